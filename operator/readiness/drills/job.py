"""The Job in which a drill runs: one pod of the operator's image, and its order in the environment.

Its pod does not carry the label of the drill's other pods: it is not cut off as they are.
"""

from __future__ import annotations

import math
from typing import Final

from readiness.drills.codec import dump_script
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY, unmeshed
from readiness.failover import AnyScript, FailoverScript, StoreSubject
from readiness.model import Manifest
from readiness.naming import DRILL, DRILL_RUNNER, OURS, drill

SERVICE_ACCOUNT: Final = "readiness-drill"
FAILOVER_ACCOUNT: Final = "readiness-failover"
BINDING: Final = "/binding"
"""Where a failover drill finds what applications are bound with, a file for each key."""
MONITOR_KEY: Final = "monitoring-password"
MONITOR_FILE: Final = "monitoring"
KEPT_SECONDS: Final = 300
START_SECONDS: Final = 60
"""What pulling the image and finding a node may take, on top of the script's own deadline."""
_FIELDS: Final = {
    "POD_NAME": "metadata.name",
    "POD_UID": "metadata.uid",
    "POD_NAMESPACE": "metadata.namespace",
    "POD_IP": "status.podIP",
    "HOST_IP": "status.hostIP",
}


def build_job(script: AnyScript, image: str, owner: Manifest | None = None) -> Manifest:
    """The Job of a script, in the subject's namespace. `owner` is an ownerReference to the policy."""
    labels = {**OURS, **dict(script.labels)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": drill(script.run),
            "namespace": script.subject.namespace,
            "labels": labels | {DRILL: script.run},
            "ownerReferences": [owner] if owner else [],
        },
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "activeDeadlineSeconds": math.ceil(script.deadline) + START_SECONDS,
            "template": {
                "metadata": unmeshed({"labels": labels | {DRILL_RUNNER: script.run}}),
                "spec": _pod(script, image),
            },
        },
    }


def _pod(script: AnyScript, image: str) -> Manifest:
    live = isinstance(script, FailoverScript)
    volumes = [_binding(script.subject)] if isinstance(script, FailoverScript) else []
    mounts = [{"name": v["name"], "mountPath": BINDING, "readOnly": True} for v in volumes]
    return {
        "restartPolicy": "Never",
        "serviceAccountName": FAILOVER_ACCOUNT if live else SERVICE_ACCOUNT,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
        "containers": [
            {
                "name": "drill",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "args": ["drill-job"],
                "env": _environment(script, image),
                "resources": {
                    "requests": {"cpu": "50m", "memory": "96Mi"},
                    "limits": {"cpu": "1", "memory": "256Mi"},
                },
                "securityContext": CONTAINER_SECURITY,
                "terminationMessagePolicy": "File",
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def _binding(subject: StoreSubject) -> Manifest:
    """What applications are given, and of what they are not given the one password by which members are looked at."""
    sources: list[Manifest] = [{"secret": {"name": subject.secret}}]
    if subject.monitor:
        items = [{"key": MONITOR_KEY, "path": MONITOR_FILE}]
        sources.append({"secret": {"name": subject.monitor, "items": items}})
    return {"name": "binding", "projected": {"sources": sources, "defaultMode": 0o444}}


def _environment(script: AnyScript, image: str) -> list[Manifest]:
    """The order, the image that a signal is sent from, and what the pod must know of itself."""
    told = {"READINESS_DRILL": dump_script(script), "READINESS_IMAGE": image}
    fields = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in _FIELDS.items()
    ]
    # The kubelet expands $(NAME) in values; the order is to arrive as it is.
    return [*({"name": n, "value": v.replace("$", "$$")} for n, v in told.items()), *fields]
