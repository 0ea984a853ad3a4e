package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// world is everything the checks of one target look at.
type world struct {
	policy     *ReadinessPolicy
	deployment *appsv1.Deployment
	account    *corev1.ServiceAccount
	configs    []corev1.ConfigMap // those the workload reads
	pods       []corev1.Pod
	budgets    []policyv1.PodDisruptionBudget
	nodes      []corev1.Node
	roles      [][]rbacv1.PolicyRule // of the workload's service account
	waivers    []ReadinessWaiver
	severities map[string]string
}

type check struct {
	id, severity, reason, message, expected, fix string
	holds                                        func(*world) (ok bool, observed string)
}

var (
	secretName = regexp.MustCompile(`(?i)(pass(word|wd)?|secret|token|api_?key|credential)`)
	unsafeName = regexp.MustCompile(`(?i)^(debug|.*_debug|insecure|tls_verify|node_env|flask_env|log_level)$`)
	secretText = []*regexp.Regexp{
		regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`),
		regexp.MustCompile(`\bAKIA[0-9A-Z]{16}\b`),
		regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36}\b`),
		regexp.MustCompile(`\bxox[abpr]-[A-Za-z0-9-]{10,}\b`),
		regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.`),
		regexp.MustCompile(`[a-z][a-z0-9+.-]*://[^\s:/@]+:[^\s/@]{3,}@`),
	}
)

var checks = []check{
	{"CFG-003", "P0", "UnsafeValue", "a value for development is set", "no debug or insecure value", "set the value for production", safeValues},
	{"CFG-004", "P0", "PlainSecret", "an environment variable holds a secret", "secretKeyRef", "move it to a Secret", noPlainSecret},
	{"GAT-001", "P0", "OrderBroken", "a P0 or P1 control is lowered", "P0 and P1 enforced", "remove the entry from spec.controls", orderKept},
	{"GAT-003", "P0", "EvidenceStale", "evidence is older than its maxAge", "every control looked at", "see the controller's log", func(w *world) (bool, string) { return w.deployment != nil, "" }},
	{"HLT-005", "P0", "ProbesMissing", "a container has no readiness or liveness probe", "both probes on every container", "add the probes", probesWired},
	{"SEC-001", "P0", "SecretInManifest", "text shaped like a secret", "no secret in manifests", "move it to a Secret and rotate it", noSecretText},
	{"SEC-009", "P0", "TokenOrSecrets", "a token is mounted or Secrets can be read", "no token, no read of Secrets", "automountServiceAccountToken: false", tokenNeeded},
	{"GAT-005", "P1", "WaiverInvalid", "a waiver lacks owner, reason or expiry", "owner, reason, expiry", "complete the waiver", waiversComplete},
	{"HA-006", "P1", "NotSpread", "replicas may share one node or be evicted together", "two replicas, spread, with a budget", "add topologySpreadConstraints and a PodDisruptionBudget", spread},
	{"REL-001", "P1", "ResourcesMissing", "a container has no requests or memory limit", "requests and memory limit", "set resources", resourcesSet},
	{"REL-004", "P1", "Restarting", "containers restart or were killed for memory", "no restarts", "see the previous log", podsSteady},
	{"SEC-010", "P1", "TooManyRights", "a container has more rights than it needs", "restricted pod security", "set securityContext", restricted},
	{"SEC-011", "P1", "FloatingImage", "an image is named by a floating tag", "a version tag or digest", "pin the image", imagesPinned},
	{"SHD-008", "P1", "ShortGrace", "the grace period is shorter than preStop and drain", "grace >= preStop + drain", "raise terminationGracePeriodSeconds", graceLongEnough},
}

func judge(w *world, since func(id, result, reason string) string) []Result {
	target := w.policy.Spec.Targets[0]
	w.severities = make(map[string]string, len(checks))
	for _, c := range checks {
		w.severities[c.id] = c.severity
	}
	results := make([]Result, 0, len(checks))
	for _, c := range checks {
		r := Result{Mode: "enforce", Safety: "passive", Subject: target.WorkloadRef.Kind + "/" + target.WorkloadRef.Name, MaxAge: "900s"}
		r.ID, r.Target, r.Severity, r.Result, r.Reason, r.Message = c.id, target.Name, c.severity, "Pass", "Holds", "the requirement of "+c.id+" holds"
		if w.deployment == nil {
			r.Result, r.Reason, r.Message = "Unknown", "TargetNotFound", r.Subject+" does not exist"
		} else if ok, observed := c.holds(w); !ok {
			r.Result, r.Reason, r.Message, r.Expected, r.Observed, r.Fix = "Fail", c.reason, c.message, c.expected, observed, c.fix
		}
		if slices.ContainsFunc(w.waivers, func(v ReadinessWaiver) bool { return r.Result == "Fail" && slices.Contains(v.Spec.Controls, c.id) }) {
			r.Result = "Waived"
		}
		r.Since = since(c.id, r.Result, r.Reason)
		results = append(results, r)
	}
	return results
}

func everyContainer(w *world, what string, holds func(c *corev1.Container) bool) (bool, string) {
	t := &w.deployment.Spec.Template.Spec
	for _, list := range [][]corev1.Container{t.InitContainers, t.Containers} {
		for i := range list {
			if !holds(&list[i]) {
				return false, "container " + list[i].Name + ": " + what
			}
		}
	}
	return true, ""
}

func safeValues(w *world) (bool, string) {
	bad := func(name, value string) bool {
		value = strings.ToLower(value)
		return unsafeName.MatchString(name) && (value == "debug" || value == "true" || value == "1" || value == "development" || value == "trace")
	}
	for i := range w.configs {
		for name, value := range w.configs[i].Data {
			if bad(name, value) {
				return false, "ConfigMap " + w.configs[i].Name + " " + name
			}
		}
	}
	return everyContainer(w, "env", func(c *corev1.Container) bool {
		return !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return bad(e.Name, e.Value) })
	})
}

func noPlainSecret(w *world) (bool, string) {
	return everyContainer(w, "env", func(c *corev1.Container) bool {
		return !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Value != "" && secretName.MatchString(e.Name) })
	})
}

func orderKept(w *world) (bool, string) {
	for _, c := range w.policy.Spec.Controls {
		if severity := w.severities[c.ID]; severity != "" && severity <= "P1" && c.Mode != "" && c.Mode != "enforce" {
			return false, c.ID + " " + c.Mode
		}
	}
	return true, ""
}

func probesWired(w *world) (bool, string) {
	for _, c := range w.deployment.Spec.Template.Spec.Containers {
		if c.ReadinessProbe == nil || c.LivenessProbe == nil {
			return false, "container " + c.Name
		}
	}
	return true, ""
}

func noSecretText(w *world) (bool, string) {
	shaped := func(text string) bool {
		return slices.ContainsFunc(secretText, func(r *regexp.Regexp) bool { return r.MatchString(text) })
	}
	for i := range w.configs {
		for name, value := range w.configs[i].Data {
			if shaped(value) {
				return false, "ConfigMap " + w.configs[i].Name + " " + name
			}
		}
	}
	for name, value := range w.deployment.Annotations {
		if shaped(value) {
			return false, "annotation " + name
		}
	}
	return everyContainer(w, "env, command or args", func(c *corev1.Container) bool {
		return !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return shaped(e.Value) }) &&
			!slices.ContainsFunc(c.Command, shaped) && !slices.ContainsFunc(c.Args, shaped)
	})
}

func tokenNeeded(w *world) (bool, string) {
	off := func(b *bool) bool { return b != nil && !*b }
	mounted := !off(w.deployment.Spec.Template.Spec.AutomountServiceAccountToken)
	if w.deployment.Spec.Template.Spec.AutomountServiceAccountToken == nil && w.account != nil {
		mounted = !off(w.account.AutomountServiceAccountToken)
	}
	for _, rules := range w.roles {
		for _, rule := range rules {
			if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*") {
				return false, "its ServiceAccount may read Secrets"
			}
		}
	}
	return !mounted, "the token is mounted"
}

func waiversComplete(w *world) (bool, string) {
	for _, v := range w.waivers {
		if v.Spec.Owner == "" || v.Spec.Reason == "" || v.Spec.Expires.Before(&metav1.Time{Time: time.Now()}) {
			return false, v.Name
		}
	}
	return true, ""
}

func spread(w *world) (bool, string) {
	d := w.deployment
	if d.Spec.Replicas == nil || *d.Spec.Replicas < 2 {
		return false, "fewer than two replicas"
	}
	zones := map[string]bool{}
	for i := range w.nodes {
		zones[w.nodes[i].Labels[corev1.LabelHostname]] = true
	}
	if len(zones) < 2 {
		return false, "fewer than two nodes"
	}
	if len(d.Spec.Template.Spec.TopologySpreadConstraints) == 0 && d.Spec.Template.Spec.Affinity == nil {
		return false, "no topologySpreadConstraints and no affinity"
	}
	for i := range w.budgets {
		selector, err := metav1.LabelSelectorAsSelector(w.budgets[i].Spec.Selector)
		if err == nil && selector.Matches(labels.Set(d.Spec.Template.Labels)) {
			return true, ""
		}
	}
	return false, "no PodDisruptionBudget"
}

func resourcesSet(w *world) (bool, string) {
	return everyContainer(w, "resources", func(c *corev1.Container) bool {
		return !c.Resources.Requests.Cpu().IsZero() && !c.Resources.Requests.Memory().IsZero() && !c.Resources.Limits.Memory().IsZero()
	})
}

func podsSteady(w *world) (bool, string) {
	for i := range w.pods {
		for _, s := range w.pods[i].Status.ContainerStatuses {
			last := s.LastTerminationState.Terminated
			if s.RestartCount > 3 || (last != nil && last.Reason == "OOMKilled") || (s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff") {
				return false, fmt.Sprintf("pod %s, container %s: %d restarts", w.pods[i].Name, s.Name, s.RestartCount)
			}
		}
	}
	return len(w.pods) > 0, "no pods"
}

func restricted(w *world) (bool, string) {
	t := &w.deployment.Spec.Template.Spec
	if t.HostNetwork || t.HostPID || t.HostIPC {
		return false, "a namespace of the host"
	}
	is := func(b *bool, want bool) bool { return b != nil && *b == want }
	podNonRoot := t.SecurityContext != nil && is(t.SecurityContext.RunAsNonRoot, true)
	podSeccomp := t.SecurityContext != nil && t.SecurityContext.SeccompProfile != nil
	return everyContainer(w, "securityContext", func(c *corev1.Container) bool {
		s := c.SecurityContext
		return s != nil && (podNonRoot || is(s.RunAsNonRoot, true)) && is(s.AllowPrivilegeEscalation, false) && !is(s.Privileged, true) &&
			(podSeccomp || s.SeccompProfile != nil) && is(s.ReadOnlyRootFilesystem, true) &&
			s.Capabilities != nil && slices.Contains(s.Capabilities.Drop, corev1.Capability("ALL"))
	})
}

func imagesPinned(w *world) (bool, string) {
	return everyContainer(w, "image", func(c *corev1.Container) bool {
		name := c.Image[strings.LastIndex(c.Image, "/")+1:]
		return strings.Contains(c.Image, "@") || (strings.Contains(name, ":") && !strings.HasSuffix(name, ":latest"))
	})
}

func graceLongEnough(w *world) (bool, string) {
	t := &w.deployment.Spec.Template.Spec
	grace := int64(30)
	if t.TerminationGracePeriodSeconds != nil {
		grace = *t.TerminationGracePeriodSeconds
	}
	for _, c := range t.Containers {
		if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep != nil && c.Lifecycle.PreStop.Sleep.Seconds >= grace {
			return false, fmt.Sprintf("preStop %d s, grace %d s", c.Lifecycle.PreStop.Sleep.Seconds, grace)
		}
	}
	return true, ""
}
