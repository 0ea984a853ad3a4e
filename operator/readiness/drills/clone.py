"""The clone: a pod made of a workload's template that lives for one arm and touches nothing of it.

It keeps what decides how the application runs (image, command, environment, limits, hooks, grace,
own emptyDirs) and loses what ties it to the rest: labels that something selects, volumes that
outlive a pod, credentials, priority, restarts. Nothing here asks the cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from readiness.drills.environment import edit_environment, tell_labels
from readiness.drills.hosts import build_aliases
from readiness.drills.isolation import build_waiter
from readiness.drills.labels import build_labels
from readiness.drills.place import Place, build_metadata, priority_of, unmeshed
from readiness.drills.refusal import refusal_of
from readiness.drills.room import room_of
from readiness.drills.undeclared import undeclared_store
from readiness.lasting import lasting_volumes
from readiness.model import Manifest
from readiness.naming import drill
from readiness.script import Arm, DrillSubject
from readiness.step import Meter
from readiness.timeline import Problem
from readiness.workload import app_container, matches, pod_spec, template_metadata

__all__ = ["Place", "build_clone"]

_DROPPED: Final = (
    "nodeName", "subdomain", "setHostnameAsFQDN", "priorityClassName", "priority", "preemptionPolicy", "readinessGates",
    "schedulingGates",
)  # fmt: skip
"""Where it ran, what Services call it, whom it preempts, and conditions that nobody would set on a clone."""
_ANNOTATIONS: Final = (
    "container.apparmor.security.beta.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
)
_ENDLESS: Final = 2**31 - 1
_EMPTY: Final = {"sizeLimit": "2Gi"}
"""What a claim becomes: empty, and no danger to the node's disk."""


def build_clone(
    workload: Manifest, subject: DrillSubject, arm: Arm, place: Place
) -> Manifest | Problem:
    """The pod of one arm, whole; or why there can be none. Whose template it is, the caller knows."""
    if problem := refusal_of(workload):
        return problem
    application = app_container(workload, subject.container or None)
    if application is None:
        return Problem("Refused", f"the template has no container {subject.container}")
    edited = edit_environment(application, arm, subject, place.sinks)
    if isinstance(edited, Problem):
        return edited
    spec = dict(pod_spec(workload))
    spec["containers"] = [edited if c is application else c for c in spec["containers"]]
    aliases = build_aliases(subject, place, spec.get("hostAliases") or [])
    if isinstance(aliases, Problem):
        return aliases
    made = _spec(spec, workload, place) | {"hostAliases": aliases}
    if place.image:
        made["initContainers"] = [
            build_waiter(place, application, required=not subject.unisolated),
            *made["initContainers"],
        ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(workload, arm, place),
        "spec": made | _room(made, arm),
    }
    return undeclared_store(pod, subject, place) or pod


def _room(spec: Manifest, arm: Arm) -> Manifest:
    """What a meter needs beside the application, where one comes."""
    return room_of(spec) if any(isinstance(step, Meter) for step in arm.steps) else {}


def _metadata(workload: Manifest, arm: Arm, place: Place) -> Manifest:
    own = build_metadata(place, _name(workload, arm, place), {})
    annotations = template_metadata(workload).get("annotations") or {}
    own["annotations"] = {k: v for k, v in annotations.items() if k.startswith(_ANNOTATIONS)}
    return unmeshed(own) | {"labels": build_labels(workload, arm, place)}


def _name(workload: Manifest, arm: Arm, place: Place) -> str:
    """Ends in a number, as members of a StatefulSet find theirs: one that no living member has."""
    spec, number = workload.get("spec") or {}, place.index
    if workload.get("kind") == "StatefulSet":
        start = (spec.get("ordinals") or {}).get("start", 0)
        number += start + spec.get("replicas", 1)
    return drill(place.run, arm.name, number=number)


def _spec(spec: Manifest, workload: Manifest, place: Place) -> Manifest:
    metadata = template_metadata(workload)
    kept = {key: value for key, value in spec.items() if key not in _DROPPED}
    spread = [c for c in spec.get("topologySpreadConstraints") or () if not _of_kin(c, metadata)]
    return {
        **kept,
        **priority_of(place),
        "containers": [_container(c, metadata) for c in spec["containers"]],
        "initContainers": [_init(c, metadata) for c in spec.get("initContainers") or ()],
        "volumes": list(_volumes(workload, spec)),
        "affinity": _affinity(spec.get("affinity") or {}, metadata, place),
        "topologySpreadConstraints": spread,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        # Service links would tell the addresses of live stores past every host name.
        "enableServiceLinks": False,
        "activeDeadlineSeconds": math.ceil(place.deadline),
    }


def _container(container: Manifest, metadata: Manifest) -> Manifest:
    """A container that ends once and is not killed for being slow.

    The startup probe still decides when it counts as started, but never kills: an arm that waits
    for an application to end by itself must not see the kubelet end it. A liveness probe stands in
    where nothing else tells Ready.
    """
    made = tell_labels(container, metadata)
    made = {k: v for k, v in made.items() if k not in ("restartPolicy", "restartPolicyRules")}
    return _unkilled(made)


def _init(container: Manifest, metadata: Manifest) -> Manifest:
    """An init container; a native sidecar keeps what makes it one."""
    return _unkilled(tell_labels(container, metadata))


def _unkilled(container: Manifest) -> Manifest:
    made = {k: v for k, v in container.items() if k not in ("livenessProbe", "startupProbe")}
    liveness = None if container.get("readinessProbe") else container.get("livenessProbe")
    if probe := container.get("startupProbe") or (
        liveness and {**liveness, "initialDelaySeconds": 0}
    ):
        made["startupProbe"] = {**probe, "failureThreshold": _ENDLESS}
    if ports := container.get("ports"):
        made["ports"] = [
            {k: v for k, v in port.items() if k not in ("hostPort", "hostIP")} for port in ports
        ]
    return made


def _volumes(workload: Manifest, spec: Manifest) -> Iterator[Manifest]:
    """The template's own volumes; whatever outlives a pod is empty, at the same path.

    An emptyDir may be written by anyone, as the root of a fresh volume with the template's fsGroup
    may be written by the application.
    """
    lasting = lasting_volumes(workload)
    given = spec.get("volumes") or ()
    for volume in given:
        yield volume if volume["name"] not in lasting else _empty(volume["name"])
    for name in lasting:
        if all(volume["name"] != name for volume in given):
            yield _empty(name)


def _empty(name: str) -> Manifest:
    return {"name": name, "emptyDir": dict(_EMPTY)}


def _of_kin(rule: Manifest, metadata: Manifest) -> bool:
    """Whether a rule of placement is about the workload's own pods: a clone goes where there is room."""
    return matches(rule.get("labelSelector"), metadata.get("labels") or {})


def _affinity(affinity: Manifest, metadata: Manifest, place: Place) -> Manifest:
    """The template's rules but those that keep its own pods apart, and nodes to avoid if possible."""
    made: Manifest = dict(affinity)
    anti = {
        strength: [
            term for term in terms if not _of_kin(term.get("podAffinityTerm", term), metadata)
        ]
        for strength, terms in (affinity.get("podAntiAffinity") or {}).items()
    }
    if "podAntiAffinity" in made:
        made["podAntiAffinity"] = {strength: terms for strength, terms in anti.items() if terms}
    if place.avoid:
        node: dict[str, Any] = dict(affinity.get("nodeAffinity") or {})
        preferred = "preferredDuringSchedulingIgnoredDuringExecution"
        names = [{"key": "metadata.name", "operator": "NotIn", "values": [n]} for n in place.avoid]
        rule = {"weight": 100, "preference": {"matchFields": names}}
        made["nodeAffinity"] = node | {preferred: [*(node.get(preferred) or ()), rule]}
    return made
