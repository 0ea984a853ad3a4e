"""REL: resources that are asked for and bounded, and containers that stay up.

Read from pods where there are pods: defaults of the namespace and of admission show only there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import listed, on_workload, placed
from readiness.workload import pod_spec

DAY: Final = 86400.0
_POSITIVE: Final = re.compile(r"\+?[0.]*[1-9]")
SETTLED: Final = 600.0
"""Seconds after which the kubelet no longer holds earlier ends against a container."""
_REQUIRED: Final = ("requests.cpu", "requests.memory", "limits.memory")


def judge_resources(subject: Subject, workload: Manifest) -> Verdict:
    """REL-001: every container asks for what it needs and cannot take a node's memory."""
    spec, offences = pod_spec(workload), []
    for path, container in placed(workload):
        running = [*_running(subject.pods, str(container.get("name")))]
        absent = [
            item
            for item in subject.params["require"]
            if not _stated(spec, container, item)
            and not (running and all(_stated(pod, one, item) for pod, one in running))
        ]
        if absent:
            offences.append((path, absent))
    if not offences:
        return passed("ResourcesStated", "every container states its requests and limits")
    path, absent = offences[0]
    kind, _, resource = absent[0].partition(".")
    value = "100m" if resource == "cpu" else "128Mi"
    return failed(
        "ResourcesMissing",
        f"resources missing in {listed(place for place, _ in offences)}",
        expected=", ".join(subject.params["require"]),
        observed=listed(f"{place} without {', '.join(items)}" for place, items in offences),
        fix=f"set {path}.resources.{kind}: {{{resource}: {value}}}, with the value the application needs",
    )


def _stated(spec: Manifest, container: Manifest, item: str) -> bool:
    """Whether a positive quantity stands there; a limit alone becomes the request by defaulting."""
    kind, _, resource = item.partition(".")
    kinds = ("requests", "limits") if kind == "requests" else (kind,)
    owners = (container.get("resources") or {}, spec.get("resources") or {})
    values = [(owner.get(k) or {}).get(resource) for owner in owners for k in kinds]
    # an explicit zero request is a wish, not an omission that a limit would fill
    first = next((str(value) for value in values if value is not None), "")
    return _POSITIVE.match(first) is not None


def _running(pods: Iterable[Manifest], name: str) -> Iterator[tuple[Manifest, Manifest]]:
    """(pod spec, container) of the pods that are neither finished nor going."""
    for pod in pods:
        done = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if done or (pod.get("metadata") or {}).get("deletionTimestamp"):
            continue
        spec: Manifest = pod.get("spec") or {}
        for one in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            if one.get("name") == name:
                yield spec, one


def judge_restarts(subject: Subject, _workload: Manifest) -> Verdict:
    """REL-004: nothing loops, nothing was killed for memory lately, restarts are rare."""
    if not subject.snapshot.live:
        return unknown("NeedsCluster", "restarts are seen on running pods only")
    seen = [(pod, status) for pod in subject.pods for status in _statuses(pod)]
    if not any(_started(status) for _, status in seen):
        return unknown("NoPods", f"no pod of {subject.where} has started a container yet")
    symptoms: dict[str, set[str]] = {}
    for pod, status in seen:
        symptoms.setdefault(_symptom(pod, status, subject), set()).add(str(status.get("name")))
    for reason, expected, observed, fix in _SYMPTOMS:
        if reason in symptoms:
            names = listed(sorted(symptoms[reason]))
            message = f"container {names}: {observed}"
            return failed(reason, message, expected=expected, observed=observed, fix=fix)
    if _UNCLEAR in symptoms:
        names = listed(sorted(symptoms[_UNCLEAR]))
        return unknown(
            _UNCLEAR,
            f"container {names} restarted within 24 h and often before; pods do not show how often lately",
            fix="read the previous logs: kubectl logs --previous; replaced pods start a new count",
        )
    return passed("Stable", "no crash loop, no recent OOM kill, restarts are rare")


_UNCLEAR: Final = "RestartRateUnclear"
_SYMPTOMS: Final = (
    (
        "CrashLoop",
        "containers that stay up",
        "CrashLoopBackOff",
        "read why it ends: kubectl logs --previous; roll back the last change",
    ),
    (
        "OOMKilled",
        "no OOM kill in the period that the parameter oomDays sets",
        "killed for using more memory than its limit",
        "raise resources.limits.memory, or bound what the application holds",
    ),
    (
        "RestartsTooOften",
        "no more restarts in 24 h than the parameter maxRestarts allows",
        "more restarts in less than 24 h",
        "read why it ends: kubectl logs --previous; check livenessProbe and limits",
    ),
)


def _symptom(pod: Manifest, status: Manifest, subject: Subject) -> str:
    """The worst thing that one container's status shows, or empty."""
    ends = _ends(status)
    oom = float(subject.params["oomDays"]) * DAY
    if any(
        e.get("reason") == "OOMKilled" and _age(e.get("finishedAt"), subject) <= oom for e in ends
    ):
        return "OOMKilled"
    if _loops(status, subject):
        return "CrashLoop"
    if int(status.get("restartCount") or 0) <= int(subject.params["maxRestarts"]):
        return ""
    if not any(_age(end.get("finishedAt"), subject) <= DAY for end in ends):
        return ""
    young = _age((pod.get("status") or {}).get("startTime"), subject) <= DAY
    return "RestartsTooOften" if young else _UNCLEAR


def _loops(status: Manifest, subject: Subject) -> bool:
    """Whether it waits to be started again, or has not yet outlasted a run that was short.

    Between two waits a looping container runs for a moment; the verdict must not follow it.
    """
    state = status.get("state") or {}
    if (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff":
        return True
    ends = _ends(status)
    if int(status.get("restartCount") or 0) < 2 or not ends:
        return False
    lasted = _age(ends[0].get("startedAt"), subject) - _age(ends[0].get("finishedAt"), subject)
    present = (state.get("running") or {}).get("startedAt")
    up = _age(present, subject) if present or "running" in state else 0.0
    return lasted < SETTLED and up < min(SETTLED, max(60.0, 2 * lasted))


def _ends(status: Manifest) -> list[Manifest]:
    """How the container ended, as far as it is told, the latest first."""
    states = (status.get("state") or {}, status.get("lastState") or {})
    return [end for each in states if (end := each.get("terminated"))]


def _statuses(pod: Manifest) -> Iterator[Manifest]:
    status = pod.get("status") or {}
    yield from status.get("containerStatuses") or ()
    yield from status.get("initContainerStatuses") or ()


def _started(status: Manifest) -> bool:
    state = status.get("state") or {}
    return bool(state.keys() - {"waiting"} or status.get("lastState") or status.get("restartCount"))


def _age(stamp: Any, subject: Subject) -> float:
    """Seconds since a timestamp of the API; an absent one is infinitely long ago."""
    if not stamp:
        return float("inf")
    return subject.now - datetime.fromisoformat(str(stamp)).timestamp()


PLUGINS: Final = (
    Control(
        id="REL-001",
        title="Resource requests and limits",
        severity=Severity.P1,
        criterion="Every container, init containers included, has positive cpu and memory requests and a memory limit, in "
        "the template or in all its running pods (where LimitRanges and admission add defaults). A limit alone becomes the "
        "request; resources of the pod as a whole count for its containers.",
        fix="resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 256Mi}} with measured values",
        judge=on_workload(judge_resources),
        static=True,
        params=(
            Param("require", _REQUIRED, "What every container must state, as `requests.cpu`.", "superset"),
        ),
        checklists=("003/7.1", "003/7.1a"),
    ),
    Control(
        id="REL-004",
        title="No crash loops and OOM kills",
        severity=Severity.P1,
        criterion="As far as the present pods show: no container waits in CrashLoopBackOff or has, since it did, "
        "not yet run for a minute and twice as long as the time before; none was OOM-killed within 7 days, none of a pod younger than a day restarted more than 3 times. An older pod with more restarts, one of them "
        "within 24 h, is Unknown: the API keeps the last end of a container only.",
        fix="kubectl logs --previous shows how the container ended; raise the memory limit or roll back",
        judge=on_workload(judge_restarts),
        params=(
            Param("maxRestarts", 3, "Restarts of a container that are tolerable within 24 h.", "lower"),
            Param("oomDays", 7, "Days that an OOM kill is held against a container.", "higher"),
        ),
        checklists=("004/1.3.3-3",),
    ),
)  # fmt: skip
