"""Services that a policy no longer declares: kept until somebody confirms, and then what goes.

Pure. Volumes and the credentials that open them stay: data outlives the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from readiness import naming
from readiness.dataservices.order import EXTERNAL, NAMES
from readiness.model import Manifest
from readiness.snapshot import Obstacle

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec

Place = tuple[str, str]
"""Kind and name of an object."""


def is_confirmed(policy: Manifest, service: str) -> bool:
    """Whether the annotation names this service; several are separated by commas."""
    annotations = policy["metadata"].get("annotations") or {}
    return service in str(annotations.get(naming.CONFIRM_REMOVAL, "")).split(",")


def pending(policy: Manifest, service: str) -> Obstacle:
    """What is told while nobody has confirmed."""
    command = (
        f"kubectl annotate rdy {policy['metadata']['name']} {naming.CONFIRM_REMOVAL}={service}"
    )
    return Obstacle(
        "RemovalPending", f"{service} is no longer declared and goes on running",
        f"declare it again, or confirm that it may go: {command}",
    )  # fmt: skip


def backed_only(spec: PolicySpec) -> Iterator[str]:
    """Names of what a policy has backed up and does not ask us to run."""
    yield from (service.name for service in spec.data_services if service.external)
    yield from (volume.name for volume in (spec.backups.volumes if spec.backups else ()))


def still_runs(live: Iterable[Manifest]) -> bool:
    """Whether children are there of a service that we ran under a name that is somebody else's now."""
    return not _kinds_of(live).isdisjoint(NAMES)


def changed_kind(service: str, kind: str, live: Iterable[Manifest]) -> Iterator[Obstacle]:
    """A service that changed its kind would delete the old one with its data: it needs a new name. Backups of others' have none."""
    for other in sorted(_kinds_of(live) - {kind, "", EXTERNAL}):
        words = f"{service} still runs as {other}"
        yield Obstacle("KindChanged", words, f"give the new {kind} another name")


def _kinds_of(live: Iterable[Manifest]) -> set[str]:
    return {child["metadata"]["labels"].get(naming.KIND_LABEL, "") for child in live}


def leftovers_of(
    policy: Manifest, service: str, live: Mapping[Place, Manifest]
) -> Iterator[Manifest]:
    """What is deleted. Secrets are not watched: those that pods use are named by their StatefulSets."""
    meta = policy["metadata"]
    main = naming.store(meta["name"], service)
    secrets = {main}
    for child in live.values():
        if child["kind"] == "StatefulSet":
            volumes = child["spec"]["template"]["spec"].get("volumes") or ()
            secrets |= {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
        if child["kind"] != "Secret":
            yield child
    for name in sorted(secrets - {naming.store(meta["name"], service, naming.CREDENTIALS)}):
        if name.startswith(main):
            place = {"name": name, "namespace": meta["namespace"]}
            yield {"apiVersion": "v1", "kind": "Secret", "metadata": place}
