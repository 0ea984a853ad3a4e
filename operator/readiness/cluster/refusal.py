"""What a call means that the API server refused: an obstacle with a reason, an object and a remedy."""

from __future__ import annotations

from readiness.cluster.connection import ApiError
from readiness.snapshot import Obstacle


def refusal_of(error: ApiError, name: str, namespace: str, now: float) -> Obstacle:
    """What a refused call means, in the words of the API server and with a remedy."""
    words = error.message
    if error.status == 403 and " cannot " in words:
        command = (
            f"sed 's/your-namespace/{namespace}/' manifests/provision/provision.yaml | kubectl apply -f -"
            f" (or add {namespace} to the chart's provision.namespaces)"
        )
        text = f"the operator may not provide data services in namespace {namespace}: {words}"
        return Obstacle("NotPermitted", text, command, now)
    if error.status == 403 and "exceeded quota" in words:
        return Obstacle("Quota", words, f"kubectl describe quota -n {namespace}", now)
    if error.status == 403 and "resized" in words:
        return Obstacle(
            "VolumeCannotGrow", f"PersistentVolumeClaim/{name}: its StorageClass lets no volume grow",
            "put storage back; or, if the driver can, kubectl patch storageclass NAME -p '{\"allowVolumeExpansion\": true}'", now,
        )  # fmt: skip
    if error.status == 403:
        return Obstacle("AdmissionDenied", words, "let the namespace admit it", now)
    if "updates to statefulset spec" in words:
        return Obstacle(
            "Immutable", f"StatefulSet/{name}: the class of its volumes cannot change",
            "put storageClass back, or declare another service and move the data", now,
        )  # fmt: skip
    return Obstacle("Invalid", words, "correct what the API server refuses", now)
