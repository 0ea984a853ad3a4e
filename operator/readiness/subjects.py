"""What is judged: the targets of a policy, and its data services, each as controls see it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from readiness import hops
from readiness.control import Control, Subject
from readiness.snapshot import Snapshot
from readiness.stores import stores_of
from readiness.workload import app_container, image_digest, template_hash

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec
    from readiness.api.target import Target


def subjects_of(
    name: str, policy: PolicySpec, snapshot: Snapshot, now: float
) -> dict[str, Subject]:
    """The view of every target, and of every data service under its own name."""
    found = {t.name: subject_of(policy, t, snapshot, now) for t in policy.targets}
    if not (stores := stores_of(name, policy, snapshot)):
        return found
    found = {each: replace(subject, stores=stores) for each, subject in found.items()}
    for store in stores.values():
        frame = Subject(policy, _named(store.name), snapshot, stores=stores, store=store, now=now)
        found[store.name] = frame
    return found


def subject_of(policy: PolicySpec, target: Target, snapshot: Snapshot, now: float) -> Subject:
    """The view of one target, with the ways to reach it."""
    workload, pods = snapshot.workloads.get(target.name), snapshot.pods.get(target.name, ())
    found, problems = hops.hops_of(target, snapshot, workload, pods)
    return Subject(policy, target, snapshot, workload, pods, found, problems, now=now)


def _named(name: str) -> Target:
    """A target of this name and nothing else; the models are there where a data service has been read."""
    from readiness.api.target import Target, WorkloadRef

    return Target(name=name, workload_ref=WorkloadRef(kind="StatefulSet", name=name))


def revision_of(subject: Subject) -> tuple[str, str]:
    """(image digest, template hash) that evidence on this subject is bound to."""
    if subject.workload is None:
        return "", ""
    container = app_container(subject.workload, subject.target.container)
    digest = image_digest(subject.pods, container["name"]) if container else ""
    return digest, template_hash(subject.workload)


def declares(subject: Subject, capability: str) -> bool:
    """Whether the target declares `http.protected`, `scenarios.job` and the like, or the policy `spec.backups`."""
    if capability.startswith("spec."):
        return _declared(subject.policy, capability.removeprefix("spec.")) or _wants_none(subject)
    return _declared(subject.target, capability)


def _declared(declared: object, capability: str) -> bool:
    value = declared
    for part in capability.split("."):
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in part)
        snake = {"external_u_r_l": "external_url"}.get(snake, snake)
        named = {each.name: each for each in value} if isinstance(value, tuple) else {}
        if not (value := named.get(part) or getattr(value, snake, None)):
            return False
    return True


def _wants_none(subject: Subject) -> bool:
    """That a data service is to have no backups is a declaration, too."""
    named = (s for s in subject.policy.data_services if s.name == subject.target.name and subject.store)  # fmt: skip
    return any(s.backup is not None and not s.backup.enabled for s in named)


def about(control: Control, subject: Subject) -> bool:
    """Whether a control judges subjects of this kind: workloads, or data services of a kind."""
    if subject.store is None:
        return not control.stores
    return subject.store.kind in control.stores
