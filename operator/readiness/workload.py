"""Reading workloads and pods: where the template is, which container is the application's, ports.

Pure look-ups over plain manifests, shared by every control that reads a pod template. They know
Kubernetes' defaults and no policy.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from readiness.model import Manifest

KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")
DEFAULT_GRACE_SECONDS: Final = 30
SHELLS: Final = ("sh", "ash", "dash", "ksh", "busybox")
FULL_SHELLS: Final = ("bash", "zsh")
PRESSURES: Final = frozenset({"MemoryPressure", "DiskPressure", "PIDPressure"})
STUCK: Final = frozenset({
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
    "CreateContainerConfigError", "CreateContainerError",
})  # fmt: skip
"""Why the kubelet lets a container wait that does not start by itself."""
_SLEEP: Final = re.compile(r"\s*(?:exec\s+)?(?:/\S{1,60}/)?sleep\s+(\d{1,5})s?\s*;?\s*")
_ROLLED: Final = ("NewReplicaSetAvailable", "ProgressDeadlineExceeded")
"""Reasons of Progressing once a rollout is over: it succeeded, or it is stuck."""


def key_of(workload: Manifest) -> str:
    """`Deployment/checkout-api`."""
    return f"{workload.get('kind', '')}/{workload.get('metadata', {}).get('name', '')}"


def pod_spec(workload: Manifest) -> Manifest:
    """The pod spec of a workload's template (or of a pod itself)."""
    spec: Manifest = workload.get("spec") or {}
    template = spec.get("template")
    return (template.get("spec") or {}) if isinstance(template, dict) else spec


def template_metadata(workload: Manifest) -> Manifest:
    """Labels and annotations of the pod template."""
    template = (workload.get("spec") or {}).get("template") or {}
    return template.get("metadata") or {}


def containers(workload: Manifest) -> list[Manifest]:
    """The long-running containers: the plain ones and native sidecars."""
    spec = pod_spec(workload)
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return [*(spec.get("containers") or ()), *sidecars]


def all_containers(workload: Manifest) -> list[Manifest]:
    """Every container of the template, init containers included."""
    spec = pod_spec(workload)
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def app_container(workload: Manifest, name: str | None = None) -> Manifest | None:
    """The application's container: the named one, else the first with ports, else the first."""
    found: list[Manifest] = pod_spec(workload).get("containers") or []
    if name is not None:
        return next((c for c in found if c.get("name") == name), None)
    return next((c for c in found if c.get("ports")), found[0] if found else None)


def config_maps(workload: Manifest) -> tuple[str, ...]:
    """Names of the ConfigMaps that a template uses, in its environment or as files."""
    found: list[str] = []
    for each in all_containers(workload):
        sources = (
            *((e.get("valueFrom") or {}).get("configMapKeyRef") for e in each.get("env") or ()),
            *(e.get("configMapRef") for e in each.get("envFrom") or ()),
        )
        found += [s["name"] for s in sources if s]
    for volume in pod_spec(workload).get("volumes") or ():
        projected = (volume.get("projected") or {}).get("sources") or ()
        files = (volume.get("configMap"), *(s.get("configMap") for s in projected))
        found += [f["name"] for f in files if f and f.get("name")]
    return tuple(dict.fromkeys(found))


def port_number(container: Manifest, port: int | str | None) -> int | None:
    """A container port by name or number; the first declared one for None."""
    ports: list[Manifest] = container.get("ports") or []
    if port is None:
        return ports[0].get("containerPort") if ports else None
    if isinstance(port, int) or port.isdigit():
        return int(port)
    return next((p.get("containerPort") for p in ports if p.get("name") == port), None)


def matches(selector: Manifest | None, labels: dict[str, str]) -> bool:
    """Kubernetes' label selector. None selects nothing, an empty one everything."""
    if selector is None:
        return False
    wanted: dict[str, str] = selector.get("matchLabels") or {}
    if any(labels.get(k) != v for k, v in wanted.items()):
        return False
    return all(_expression(e, labels) for e in selector.get("matchExpressions") or ())


def _expression(expression: Manifest, labels: dict[str, str]) -> bool:
    key, operator = expression.get("key", ""), expression.get("operator")
    values: tuple[str, ...] = tuple(expression.get("values") or ())
    match operator:
        case "In":
            return labels.get(key, "") in values and key in labels
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False


def scaled(value: int | str, of: int) -> int:
    """An integer, or a percentage rounded up, as the disruption controller reads it."""
    text = str(value)
    return -(-int(text[:-1]) * of // 100) if text.endswith("%") else int(text)


def template_hash(workload: Manifest) -> str:
    """A short hash of the pod template as it stands in the spec."""
    template: Any = (workload.get("spec") or {}).get("template") or {}
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def pressures_of(node: Manifest) -> tuple[str, ...]:
    """What a node is short of, as its conditions call it."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return tuple(c["type"] for c in conditions if c.get("type") in PRESSURES and c.get("status") == "True")  # fmt: skip


def is_ready(pod: Manifest) -> bool:
    """Whether the pod is Ready and not on its way out."""
    if pod.get("metadata", {}).get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def ready_since(pod: Manifest) -> float:
    """When a pod became Ready, as epoch seconds; 0 while it is not."""
    if not is_ready(pod):
        return 0.0
    found = (c for c in pod["status"]["conditions"] if c.get("type") == "Ready")
    return stamp_of(next((c.get("lastTransitionTime") for c in found), None))


def stamp_of(text: str | None) -> float:
    """A time as Kubernetes writes it, as epoch seconds; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def image_digest(pods: Iterable[Manifest], container: str) -> str:
    """The digest the container's image has in the pods; empty while they differ or tell none."""
    found = {
        str(status["imageID"]).rpartition("@")[2]
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
        if status.get("name") == container and status.get("imageID")
    }
    return found.pop() if len(found) == 1 else ""


def rolled_out(workload: Manifest) -> bool:
    """Whether every replica runs the current template (no rollout is under way)."""
    status, spec = workload.get("status") or {}, workload.get("spec") or {}
    if status.get("observedGeneration", 0) != workload.get("metadata", {}).get("generation", 0):
        return False
    if workload.get("kind") == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(status.get("updatedNumberScheduled", 0) == wanted)
    progressing = [c for c in status.get("conditions") or () if c.get("type") == "Progressing"]
    if any(c.get("reason") not in _ROLLED for c in progressing):
        return False
    wanted = spec.get("replicas", 1)
    return bool(status.get("updatedReplicas", 0) == wanted == status.get("replicas", 0))


def pre_stop_seconds(container: Manifest) -> float | None:
    """Seconds of the preStop hook; None when the manifest does not show them."""
    hook: Manifest = (container.get("lifecycle") or {}).get("preStop") or {}
    if not hook:
        return 0.0
    if hook.get("sleep"):
        return float(hook["sleep"].get("seconds") or 0)
    words = [str(word) for word in (hook.get("exec") or {}).get("command") or ()]
    slept = _SLEEP.fullmatch(shell_script(words)[1] or " ".join(words))
    return float(slept[1]) if slept else None


def shell_script(words: Sequence[str]) -> tuple[str, str]:
    """(shell, script) of `["sh", "-c", "…"]`; two empty texts for anything else."""
    shell = words[0].rpartition("/")[2] if words else ""
    rest = words[1:]
    if shell == "busybox" and rest and rest[0] in SHELLS:
        rest = rest[1:]
    if shell not in SHELLS + FULL_SHELLS:
        return "", ""
    for index, word in enumerate(rest[:-1]):
        if not word.startswith("-"):
            break
        if not word.startswith("--") and "c" in word:
            return shell, rest[index + 1]
    return "", ""
