// gobase is a yardstick, not a product: what a Go engineer would write with controller-runtime for the passive
// controls of profile baseline. It watches the kinds the operator watches, and writes what the operator writes.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	byWorkload = "workload"
	byOwner    = "owner"
)

func main() {
	ctrl.SetLogger(zap.New())
	ctx := ctrl.SetupSignalHandler()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	config.QPS, config.UserAgent = -1, "gobase"
	scheme := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	scheme.AddKnownTypes(groupVersion, &ReadinessPolicy{}, &ReadinessPolicyList{}, &ReadinessWaiver{}, &ReadinessWaiverList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: os.Getenv("METRICS_ADDRESS")},
		LeaderElection: true, LeaderElectionID: "gobase", LeaderElectionNamespace: "readiness-system", LeaderElectionReleaseOnCancel: true,
		Cache: cache.Options{DefaultTransform: cache.TransformStripManagedFields(), ByObject: projections()},
	})
	must(err)
	index := mgr.GetFieldIndexer()
	must(index.IndexField(ctx, &ReadinessPolicy{}, byWorkload, func(o client.Object) (names []string) {
		for _, t := range o.(*ReadinessPolicy).Spec.Targets {
			names = append(names, t.WorkloadRef.Name)
		}
		return
	}))
	must(index.IndexField(ctx, &corev1.Pod{}, byOwner, func(o client.Object) []string { return []string{ownerOf(o)} }))
	must(watches(mgr).Complete(&reconciler{mgr.GetClient(), mgr.GetEventRecorder("gobase")}))
	must(mgr.Start(ctx))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// watches says which change wakes which policy.
func watches(mgr ctrl.Manager) *builder.Builder {
	requests := func(options ...client.ListOption) (out []reconcile.Request) {
		var found ReadinessPolicyList
		_ = mgr.GetClient().List(context.Background(), &found, append(options, client.UnsafeDisableDeepCopy)...)
		for i := range found.Items {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])})
		}
		return
	}
	named := func(name func(client.Object) string) handler.EventHandler {
		return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
			return requests(client.InNamespace(o.GetNamespace()), client.MatchingFields{byWorkload: name(o)})
		})
	}
	everybody := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return requests(client.InNamespace(o.GetNamespace())) // of a cluster-scoped object: all namespaces
	})
	own := func(o client.Object) string { return o.GetName() }
	later := builder.WithPredicates(predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }})
	// No GenerationChangedPredicate: the comparison with the cached status may see a version before our own last
	// write, so the echo of that write must come back, or a verdict that flips twice in a moment stays wrong.
	b := ctrl.NewControllerManagedBy(mgr).For(&ReadinessPolicy{}).WithOptions(controller.Options{MaxConcurrentReconciles: 10})
	for _, kind := range []client.Object{&appsv1.Deployment{}, &appsv1.StatefulSet{}, &appsv1.DaemonSet{}, &corev1.Service{}} {
		b = b.Watches(kind, named(own), later)
	}
	b = b.Watches(&corev1.Pod{}, named(ownerOf), later).
		Watches(&discoveryv1.EndpointSlice{}, named(func(o client.Object) string { return o.GetLabels()[discoveryv1.LabelServiceName] }), later)
	for _, kind := range []client.Object{
		&ReadinessWaiver{}, &policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{}, &corev1.ServiceAccount{}, &corev1.ConfigMap{},
		&rbacv1.Role{}, &rbacv1.RoleBinding{}, &rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}, &corev1.Node{}, &corev1.Namespace{},
	} {
		b = b.Watches(kind, everybody, later)
	}
	return b
}

// projections drop what no check reads before it is cached.
func projections() map[client.Object]cache.ByObject {
	with := func(drop func(any)) cache.ByObject {
		return cache.ByObject{Transform: func(o any) (any, error) {
			if m, ok := o.(client.Object); ok {
				m.SetManagedFields(nil)
			}
			drop(o)
			return o, nil
		}}
	}
	return map[client.Object]cache.ByObject{
		&corev1.Pod{}: with(func(o any) {
			if p, ok := o.(*corev1.Pod); ok {
				p.Annotations, p.Spec.Volumes, p.Spec.Tolerations, p.Spec.Affinity, p.Spec.TopologySpreadConstraints = nil, nil, nil, nil, nil
				for i := range p.Spec.Containers {
					c := &p.Spec.Containers[i]
					*c = corev1.Container{Name: c.Name, Image: c.Image, Ports: c.Ports, Resources: c.Resources, RestartPolicy: c.RestartPolicy}
				}
			}
		}),
		&corev1.ConfigMap{}: with(func(o any) {
			if m, ok := o.(*corev1.ConfigMap); ok {
				m.BinaryData, m.Annotations = nil, nil
				for name, value := range m.Data {
					m.Data[name] = value[:min(len(value), 256)]
				}
			}
		}),
		&corev1.Node{}: with(func(o any) {
			if n, ok := o.(*corev1.Node); ok {
				n.Annotations, n.Status.Images, n.Status.Conditions = nil, nil, nil
			}
		}),
	}
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }
