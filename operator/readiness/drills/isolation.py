"""NetworkPolicies of a drill: its pods talk to each other and ask DNS, and to nobody else.

Policies add up, so these hold also where a namespace denies everything to all pods; and they
cannot take back what a policy for all pods allows. They hold where the cluster enforces them, from
the moment on that its network plug-in has heard of the pod: a clone's first container waits for it.
"""

from __future__ import annotations

from typing import Any, Final

from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY, Place, build_metadata
from readiness.drills.room import at_least
from readiness.model import Manifest
from readiness.naming import DRILL, DRILL_RUNNER, drill
from readiness.timeline import Problem

API: Final = "networking.k8s.io/v1"
WAITER: Final = "readiness-isolation"
"""The container of a clone that runs before all others, and ends once the clone is isolated."""
WAIT_SECONDS: Final = 30.0
"""How long it waits for a slow network before it refuses one that enforces no policy at all."""
GO_ON_SECONDS: Final = 10.0
"""The same where the policy says that the clone may run there."""
OPEN: Final = "open"
"""Its last word when nothing has isolated the clone by then."""
NOT_ISOLATED: Final = Problem(
    "NotIsolated",
    "nothing isolates a clone here: the API server stays within its reach, so that no NetworkPolicy is enforced, or one for all pods allows more",
    "use a network plug-in that enforces NetworkPolicies, and no policy for all pods that allows egress; or declare every store that is used, "
    "and state spec.safety.unisolated: true",
)
_MEMORY: Final = "32Mi"
_NAMESPACE: Final = "kubernetes.io/metadata.name"


def build_isolation(place: Place) -> Manifest:
    """For clones, stores and sink of one run; made before any of them."""
    run = {"podSelector": {"matchLabels": {DRILL: place.run}}}
    runner = {"podSelector": {"matchLabels": {DRILL_RUNNER: place.run}}}
    spec = {
        **run,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [run, runner]}],
        "egress": [{"to": [run]}, *_dns()],
    }
    return _policy(build_metadata(place, drill(place.run, "isolation"), {}), spec)


def build_runner_access(job: Manifest) -> Manifest:
    """For the drill's own pod, made and owned with its Job (as created: it has a uid).

    The API server is no pod that a policy could name, so all egress is open; nobody may come in.
    It does not carry the label by which the drill clears away what it made.
    """
    metadata = job["metadata"]
    run = metadata["labels"][DRILL]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    spec = {
        "podSelector": {"matchLabels": {DRILL_RUNNER: run}},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [{}],
    }
    labels = {k: v for k, v in metadata["labels"].items() if k != DRILL} | {DRILL_RUNNER: run}
    named = {"name": drill(run, "runner"), "namespace": metadata["namespace"]}
    return _policy({**named, "labels": labels, "ownerReferences": [owner]}, spec)


def build_waiter(place: Place, application: Manifest, *, required: bool = True) -> Manifest:
    """The container that a clone starts with: it ends when the API server cannot be reached any more.

    Where that is `required`, nothing of the clone starts in a network that isolates nobody.
    It asks for what the application's container does, so that the pod's class, its quota and what
    limit ranges demand stay as they are; only memory is never less than it needs.
    """
    return {
        "name": WAITER,
        "image": place.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["drill-isolated", "--within", f"{WAIT_SECONDS:g}", "--required"]
        if required
        else ["drill-isolated", "--within", f"{GO_ON_SECONDS:g}"],
        "resources": at_least(application.get("resources") or {}, "memory", _MEMORY),
        "securityContext": CONTAINER_SECURITY
        | {k: v for k, v in POD_SECURITY.items() if k != "fsGroup"},
    }


def _policy(metadata: Manifest, spec: Manifest) -> Manifest:
    return {"apiVersion": API, "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _dns() -> list[Any]:
    """Port 53 anywhere, as a node-local cache has an address that no selector names; and the
    cluster's DNS pods on any port, as policies see the pod's port, which is not always 53."""
    port_53 = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    core = {
        "namespaceSelector": {"matchLabels": {_NAMESPACE: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    openshift = {"namespaceSelector": {"matchLabels": {_NAMESPACE: "openshift-dns"}}}
    return [{"ports": port_53}, {"to": [core, openshift]}]
