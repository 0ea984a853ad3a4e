package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type reconciler struct {
	client.Client
	events events.EventRecorder
}

func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var policy ReadinessPolicy
	if err := r.Get(ctx, req.NamespacedName, &policy); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if policy.Spec.Suspend || len(policy.Spec.Targets) == 0 {
		return ctrl.Result{}, nil
	}
	seen, err := r.look(ctx, &policy)
	if err != nil {
		return ctrl.Result{}, err
	}
	results := judge(seen, sinceOf(&policy))
	body := reportOf(seen, results)
	want, again := statusOf(&policy, body)
	if !reflect.DeepEqual(want, policy.Status) {
		if len(policy.Status.Targets) == 0 || policy.Status.Targets[0].Digest != want.Targets[0].Digest {
			if err := r.applyReport(ctx, &policy, want.Targets[0].Report, body); err != nil {
				return ctrl.Result{}, err
			}
		}
		if err := r.applyStatus(ctx, &policy, &want); err != nil {
			return ctrl.Result{}, err
		}
		new, old := meta.FindStatusCondition(want.Conditions, "Compliant"), meta.FindStatusCondition(policy.Status.Conditions, "Compliant")
		if old == nil || old.Status != new.Status {
			r.events.Eventf(&policy, nil, corev1.EventTypeNormal, new.Reason, "Judge", "%s", new.Message)
		}
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// look collects what the checks read. Lists are not copied, because nothing here changes them.
func (r *reconciler) look(ctx context.Context, policy *ReadinessPolicy) (*world, error) {
	w := &world{policy: policy}
	inside, shared := client.InNamespace(policy.Namespace), client.UnsafeDisableDeepCopy
	ref := policy.Spec.Targets[0].WorkloadRef
	var d appsv1.Deployment
	if err := r.Get(ctx, types.NamespacedName{Namespace: policy.Namespace, Name: ref.Name}, &d); err != nil {
		return w, client.IgnoreNotFound(err)
	}
	w.deployment = &d
	var pods corev1.PodList
	var budgets policyv1.PodDisruptionBudgetList
	var nodes corev1.NodeList
	var waivers ReadinessWaiverList
	for list, options := range map[client.ObjectList][]client.ListOption{
		&pods:    {inside, client.MatchingFields{byOwner: ref.Name}, shared},
		&budgets: {inside, shared}, &waivers: {inside, shared}, &nodes: {shared},
	} {
		if err := r.List(ctx, list, options...); err != nil {
			return nil, err
		}
	}
	w.pods, w.budgets, w.nodes = pods.Items, budgets.Items, nodes.Items
	for _, v := range waivers.Items {
		if v.Spec.PolicyRef == policy.Name && v.Spec.Expires.After(time.Now()) {
			w.waivers = append(w.waivers, v)
		}
	}
	for _, name := range configNames(&d) {
		var m corev1.ConfigMap
		if err := r.Get(ctx, types.NamespacedName{Namespace: policy.Namespace, Name: name}, &m); err == nil {
			w.configs = append(w.configs, m)
		} else if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
	}
	return w, r.lookAtRights(ctx, w)
}

func (r *reconciler) lookAtRights(ctx context.Context, w *world) error {
	name, namespace := w.deployment.Spec.Template.Spec.ServiceAccountName, w.policy.Namespace
	if name == "" {
		name = "default"
	}
	var account corev1.ServiceAccount
	if err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &account); err == nil {
		w.account = &account
	} else if client.IgnoreNotFound(err) != nil {
		return err
	}
	var local rbacv1.RoleBindingList
	var global rbacv1.ClusterRoleBindingList
	if err := r.List(ctx, &local, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	if err := r.List(ctx, &global, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	bound := func(ref rbacv1.RoleRef, subjects []rbacv1.Subject) error {
		for _, s := range subjects {
			if s.Kind == rbacv1.ServiceAccountKind && s.Name == name && (s.Namespace == namespace || s.Namespace == "") {
				var role rbacv1.Role
				var clusterRole rbacv1.ClusterRole
				var err error
				if ref.Kind == "Role" {
					err = r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, &role)
				} else {
					err = r.Get(ctx, types.NamespacedName{Name: ref.Name}, &clusterRole)
				}
				w.roles = append(w.roles, role.Rules, clusterRole.Rules)
				return client.IgnoreNotFound(err)
			}
		}
		return nil
	}
	for i := range local.Items {
		if err := bound(local.Items[i].RoleRef, local.Items[i].Subjects); err != nil {
			return err
		}
	}
	for i := range global.Items {
		if err := bound(global.Items[i].RoleRef, global.Items[i].Subjects); err != nil {
			return err
		}
	}
	return nil
}

// ownerOf is the Deployment (or other owner) of a pod, told by the ReplicaSet's name and the hash in the label.
func ownerOf(o client.Object) string {
	owner := metav1.GetControllerOf(o)
	if owner == nil {
		return o.GetName()
	}
	return strings.TrimSuffix(owner.Name, "-"+o.GetLabels()["pod-template-hash"])
}

func configNames(d *appsv1.Deployment) (names []string) {
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil {
				names = append(names, from.ConfigMapRef.Name)
			}
		}
	}
	return
}

func sinceOf(p *ReadinessPolicy) func(id, result, reason string) string {
	at := now()
	return func(id, result, reason string) string {
		for _, f := range p.Status.Failures {
			if f.ID == id && f.Result == result && f.Reason == reason {
				return f.Since
			}
		}
		return at
	}
}

func reportOf(w *world, results []Result) *Report {
	target := w.policy.Spec.Targets[0]
	body := &Report{Policy: w.policy.Name, Target: target.Name, Compliant: "True", OperatorVersion: "gobase", Results: results,
		Workload: target.WorkloadRef.Kind + "/" + target.WorkloadRef.Name}
	for _, row := range results {
		switch row.Result {
		case "Fail":
			body.Fail++
		case "Unknown":
			body.Unknown++
		}
	}
	if body.Fail > 0 {
		body.Compliant = "False"
	} else if body.Unknown > 0 {
		body.Compliant = "Unknown"
	}
	for i := range w.pods {
		for _, s := range w.pods[i].Status.ContainerStatuses {
			body.ImageDigest = s.ImageID[strings.LastIndex(s.ImageID, "@")+1:]
		}
	}
	if w.deployment != nil {
		template, _ := json.Marshal(&w.deployment.Spec.Template)
		body.TemplateHash = short(template, 10)
	}
	return body
}

func short(data []byte, length int) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:length]
}

// digest says what a report says, without the times in it.
func digest(body *Report) string {
	still := *body
	still.Results = append([]Result(nil), body.Results...)
	for i := range still.Results {
		still.Results[i].Since = ""
	}
	data, _ := json.Marshal(still)
	return short(data, 16)
}

func statusOf(p *ReadinessPolicy, body *Report) (Status, time.Duration) {
	const valid = 24 * time.Hour
	n, pass := len(body.Results), len(body.Results)-body.Fail-body.Unknown
	want := Status{
		ObservedGeneration: p.Generation, Coverage: fmt.Sprintf("%d/%d", n-body.Unknown, n), ValidUntil: p.Status.ValidUntil,
		Summary:    &Summary{Total: n, Pass: pass, Fail: body.Fail, Unknown: body.Unknown},
		Conditions: append([]metav1.Condition(nil), p.Status.Conditions...),
		Targets: []TargetRow{{Name: body.Target, Compliant: body.Compliant, ImageDigest: body.ImageDigest, TemplateHash: body.TemplateHash,
			Report: p.Name + "-" + body.Target, Digest: digest(body)}},
	}
	if until, err := time.Parse(time.RFC3339, want.ValidUntil); err != nil || time.Until(until) < valid/2 {
		want.ValidUntil = time.Now().Add(valid).UTC().Format(time.RFC3339)
	}
	for _, row := range body.Results {
		if row.Result == "Fail" || row.Result == "Unknown" {
			want.Failures = append(want.Failures, row.Failure)
		}
	}
	if body.Compliant == "True" {
		want.Level = "P3"
	}
	reason := map[string]string{"True": "Compliant", "False": "ControlsFailed", "Unknown": "Unproven"}[body.Compliant]
	for _, c := range []metav1.Condition{
		{Type: "Accepted", Status: "True", Reason: "Valid", Message: "the spec is valid"},
		{Type: "Ready", Status: "True", Reason: "Evaluated", Message: "accepted, evaluated, nothing left to provision"},
		{Type: "Reconciling", Status: "False", Reason: "Settled", Message: "nothing under way"},
		{Type: "Stalled", Status: "False", Reason: "NotStalled", Message: "nothing stands in the way"},
		{Type: "Compliant", Status: metav1.ConditionStatus(body.Compliant), Reason: reason, Message: fmt.Sprintf("%d of %d controls hold", pass, n)},
		{Type: "Provisioned", Status: "True", Reason: "NothingDeclared", Message: "the policy declares nothing to provision"},
		{Type: "BackupsHealthy", Status: "Unknown", Reason: "NothingDeclared", Message: "the policy declares no backups"},
		{Type: "ProbesPassing", Status: "Unknown", Reason: "NothingDeclared", Message: "the policy declares nothing to probe"},
		{Type: "ShutdownSafe", Status: "Unknown", Reason: "NotDrilled", Message: "what can be read holds; no drill has proven a shutdown"},
	} {
		c.ObservedGeneration = p.Generation
		meta.SetStatusCondition(&want.Conditions, c)
	}
	return want, 14 * time.Minute
}

func (r *reconciler) applyReport(ctx context.Context, p *ReadinessPolicy, name string, body *Report) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(body)
	if err != nil {
		return err
	}
	report := &unstructured.Unstructured{Object: map[string]any{"report": content}}
	report.SetAPIVersion(groupVersion.String())
	report.SetKind("ReadinessReport")
	report.SetNamespace(p.Namespace)
	report.SetName(name)
	report.SetLabels(map[string]string{"readiness.dev/policy": p.Name, "readiness.dev/target": body.Target})
	report.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(p, groupVersion.WithKind("ReadinessPolicy"))})
	return r.Apply(ctx, client.ApplyConfigurationFromUnstructured(report), client.FieldOwner("gobase"), client.ForceOwnership)
}

func (r *reconciler) applyStatus(ctx context.Context, p *ReadinessPolicy, want *Status) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return err
	}
	policy := &unstructured.Unstructured{Object: map[string]any{"status": content}}
	policy.SetAPIVersion(groupVersion.String())
	policy.SetKind("ReadinessPolicy")
	policy.SetNamespace(p.Namespace)
	policy.SetName(p.Name)
	policy.SetUID(p.UID)
	policy.SetResourceVersion(p.ResourceVersion)
	return r.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(policy), client.FieldOwner("gobase"), client.ForceOwnership)
}
