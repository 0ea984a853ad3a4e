"""Which templates no drill clones: what would reach past the pod, or act as the application.

Works on a workload and on a pod, so that what admission made of a clone can be asked the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from readiness.model import Manifest
from readiness.timeline import Problem
from readiness.workload import all_containers, pod_spec

_HOST: Final = ("hostNetwork", "hostPID", "hostIPC")
_CAPABILITIES: Final = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
     "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)  # fmt: skip
"""What container runtimes grant anyway, and the baseline Pod Security Standard lets be added."""
_CREDENTIALS: Final = ("serviceAccountToken", "podCertificate")


def refusal_of(workload: Manifest) -> Problem | None:
    """Why this template is not cloned; None when it may be."""
    reason = next(_reasons(workload), None)
    if reason is None:
        return None
    return Problem("Refused", reason, "such a workload can only be judged by its real terminations")


def _reasons(workload: Manifest) -> Iterator[str]:
    spec = pod_spec(workload)
    if not spec.get("containers"):
        yield "the workload holds no pod template of its own"
    for name in _HOST:
        if spec.get(name):
            yield f"the template sets {name}: a clone would share it with the node"
    if spec.get("resourceClaims"):
        yield "the template claims devices (resourceClaims): a clone would take one away"
    if _context(spec).get("hostProcess"):
        yield "the template runs as a process of the node (hostProcess)"
    for volume in spec.get("volumes") or ():
        yield from _volume(volume)
    for container in all_containers(workload):
        yield from _container(container)


def _volume(volume: Manifest) -> Iterator[str]:
    if "hostPath" in volume:
        yield f"volume {volume['name']} is a hostPath: a clone would work on the node's files"
    for source in (volume.get("projected") or {}).get("sources") or ():
        if any(kind in source for kind in _CREDENTIALS):
            yield f"volume {volume['name']} holds the application's own credentials: a clone could act as the application"


def _container(container: Manifest) -> Iterator[str]:
    name, context = container.get("name", ""), container.get("securityContext") or {}
    if context.get("privileged") or _context(container).get("hostProcess"):
        yield f"container {name} is privileged"
    added = {
        c.upper().removeprefix("CAP_") for c in (context.get("capabilities") or {}).get("add") or ()
    }
    if beyond := sorted(added - _CAPABILITIES):
        yield f"container {name} adds the capability {beyond[0]}"
    if container.get("volumeDevices"):
        yield f"container {name} uses a block device"


def _context(owner: Manifest) -> Manifest:
    """The part of a security context that Windows reads."""
    return (owner.get("securityContext") or {}).get("windowsOptions") or {}
