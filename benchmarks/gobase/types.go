package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The operator's own kinds, as far as this controller reads and writes them.

var groupVersion = schema.GroupVersion{Group: "readiness.dev", Version: "v1alpha1"}

type ReadinessPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              Spec   `json:"spec"`
	Status            Status `json:"status,omitempty"`
}

type Spec struct {
	Profiles    []string      `json:"profiles,omitempty"`
	Environment string        `json:"environment,omitempty"`
	Suspend     bool          `json:"suspend,omitempty"`
	Targets     []Target      `json:"targets"`
	Controls    []ControlRule `json:"controls,omitempty"`
}

type Target struct {
	Name        string `json:"name"`
	WorkloadRef Ref    `json:"workloadRef"`
	Service     *Named `json:"service,omitempty"`
}

type Ref struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

type Named struct {
	Name string `json:"name"`
}

type ControlRule struct {
	ID   string `json:"id"`
	Mode string `json:"mode,omitempty"`
}

type Status struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Level              string             `json:"level"`
	Coverage           string             `json:"coverage,omitempty"`
	ValidUntil         string             `json:"validUntil,omitempty"`
	Summary            *Summary           `json:"summary,omitempty"`
	Targets            []TargetRow        `json:"targets,omitempty"`
	Failures           []Failure          `json:"failures,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

type Summary struct {
	Total   int `json:"total"`
	Pass    int `json:"pass"`
	Fail    int `json:"fail"`
	Unknown int `json:"unknown"`
}

type TargetRow struct {
	Name         string `json:"name"`
	Compliant    string `json:"compliant"`
	ImageDigest  string `json:"imageDigest,omitempty"`
	TemplateHash string `json:"templateHash,omitempty"`
	Report       string `json:"report"`
	Digest       string `json:"digest"`
}

type Failure struct {
	ID       string `json:"id"`
	Target   string `json:"target,omitempty"`
	Severity string `json:"severity"`
	Result   string `json:"result"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	Expected string `json:"expected,omitempty"`
	Observed string `json:"observed,omitempty"`
	Fix      string `json:"fix,omitempty"`
	Since    string `json:"since"`
}

// Result is a row of a report: a Failure and how it was come by.
type Result struct {
	Failure `json:",inline"`
	Mode    string `json:"mode"`
	Safety  string `json:"safety"`
	Subject string `json:"subject,omitempty"`
	MaxAge  string `json:"maxAge"`
}

type Report struct {
	Policy          string   `json:"policy"`
	Target          string   `json:"target"`
	Compliant       string   `json:"compliant"`
	Fail            int      `json:"fail"`
	Unknown         int      `json:"unknown"`
	Workload        string   `json:"workload"`
	ImageDigest     string   `json:"imageDigest,omitempty"`
	TemplateHash    string   `json:"templateHash,omitempty"`
	OperatorVersion string   `json:"operatorVersion"`
	Results         []Result `json:"results"`
}

type ReadinessWaiver struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              WaiverSpec `json:"spec"`
}

type WaiverSpec struct {
	PolicyRef string      `json:"policyRef"`
	Controls  []string    `json:"controls"`
	Targets   []string    `json:"targets,omitempty"`
	Reason    string      `json:"reason"`
	Owner     string      `json:"owner"`
	Expires   metav1.Time `json:"expires"`
}

type ReadinessPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ReadinessPolicy `json:"items"`
}

type ReadinessWaiverList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ReadinessWaiver `json:"items"`
}

func copied[T any](items []T) []T { return append([]T(nil), items...) }

func (p *ReadinessPolicy) DeepCopyObject() runtime.Object {
	q := *p
	p.ObjectMeta.DeepCopyInto(&q.ObjectMeta)
	q.Spec.Profiles, q.Spec.Targets, q.Spec.Controls = copied(p.Spec.Profiles), copied(p.Spec.Targets), copied(p.Spec.Controls)
	q.Status.Targets, q.Status.Failures, q.Status.Conditions = copied(p.Status.Targets), copied(p.Status.Failures), copied(p.Status.Conditions)
	return &q
}

func (w *ReadinessWaiver) DeepCopyObject() runtime.Object {
	v := *w
	w.ObjectMeta.DeepCopyInto(&v.ObjectMeta)
	v.Spec.Controls, v.Spec.Targets = copied(w.Spec.Controls), copied(w.Spec.Targets)
	return &v
}

func (l *ReadinessPolicyList) DeepCopyObject() runtime.Object {
	m := *l
	m.Items = make([]ReadinessPolicy, len(l.Items))
	for i := range l.Items {
		m.Items[i] = *l.Items[i].DeepCopyObject().(*ReadinessPolicy)
	}
	return &m
}

func (l *ReadinessWaiverList) DeepCopyObject() runtime.Object {
	m := *l
	m.Items = make([]ReadinessWaiver, len(l.Items))
	for i := range l.Items {
		m.Items[i] = *l.Items[i].DeepCopyObject().(*ReadinessWaiver)
	}
	return &m
}
