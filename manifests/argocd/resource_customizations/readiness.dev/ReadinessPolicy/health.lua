-- Health of a ReadinessPolicy. The kind is kstatus-compliant: observedGeneration, Ready, Reconciling, Stalled.
--   suspend                          Suspended
--   Stalled                          Degraded     nothing but a change of the spec helps; the message says which
--   not yet observed, not yet Ready  Progressing
--   enforcement: audit               Healthy      once Ready, whatever the verdict
--   enforcement: enforce             follows the condition Compliant:
--     past status.validUntil         Degraded     nobody renews the verdict, so it proves nothing
--     True                           Healthy
--     False                          Degraded
--     Unknown/TargetNotFound         Healthy      a policy may come in an earlier sync wave than its workload
--     Unknown otherwise              Progressing, Degraded after 30 minutes
-- `readiness gate` answers from the same table. Without open libraries Argo CD gives a script neither the string
-- library nor a global os, so times are compared as text (RFC 3339 in UTC sorts) and os is required.
local os = require("os")

-- The time `minutes` ago, as the API server writes times. The fields are UTC and are only normalised by os.time,
-- which takes them for local time on both ways; Argo CD's own os.date ignores "!" when a time is given.
local function ago(minutes)
  local t = os.date("!*t")
  t.min = t.min - minutes
  t.isdst = nil
  return os.date("%Y-%m-%dT%H:%M:%SZ", os.time(t))
end

local function health(status, message)
  return { status = status, message = message }
end

local spec, status = obj.spec or {}, obj.status or {}
local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
local stalled, ready, compliant = found.Stalled, found.Ready, found.Compliant

if spec.suspend == true then
  return health("Suspended", "The policy is suspended; its last verdict ages.")
end
if status.observedGeneration == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Waiting for the operator to look at this version of the policy.")
end
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", stalled.message)
end
if ready == nil or ready.status ~= "True" then
  return health("Progressing", ready ~= nil and ready.message or "Waiting for the first look.")
end
if spec.enforcement ~= "enforce" then
  return health("Healthy", compliant ~= nil and compliant.message or ready.message)
end
if status.validUntil == nil or status.validUntil < ago(0) then
  return health("Degraded", "The verdict has expired and nobody renewed it: is the readiness operator running?")
end
if compliant == nil then
  return health("Progressing", "Waiting for the first verdict.")
end
if compliant.status == "True" then
  return health("Healthy", compliant.message)
end
if compliant.status == "False" then
  return health("Degraded", compliant.message)
end
if compliant.reason == "TargetNotFound" then
  return health("Healthy", compliant.message)
end
if compliant.lastTransitionTime ~= nil and compliant.lastTransitionTime < ago(30) then
  return health("Degraded", compliant.message)
end
return health("Progressing", compliant.message)
