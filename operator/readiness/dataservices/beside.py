"""An instance of its own for a restore: a policy beside the live one with that data service only, and the Job that fills it.

The Job is the pod of the restore drill, which has the server, the repository and their sizes already, with another command
and one way more. Pure: it knows the cluster by the objects it is given.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.dataservices.destined import build_mount, build_secret_volume, build_wall
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.order import Login, Order, Refusal
from readiness.dataservices.wish import kind_of
from readiness.model import Manifest

if TYPE_CHECKING:
    from readiness.api.dataservice import DataService
    from readiness.api.policy import PolicySpec

LATEST: Final = "latest"
TARGET: Final = "/target"
"""Where the password of the new instance lies for the container that fills it."""


@dataclass(frozen=True, slots=True)
class Live:
    """A data service as it is declared and known, the CronJob of its restore drills, and the policy that an earlier restore left."""

    policy: Manifest
    spec: PolicySpec
    name: str
    drill: Manifest | None = None
    there: Manifest | None = None

    @property
    def namespace(self) -> str:
        """Of the policy, and of everything that is made."""
        return str(self.policy["metadata"]["namespace"])

    @property
    def owner(self) -> str:
        """The policy that declares it."""
        return str(self.policy["metadata"]["name"])

    @property
    def service(self) -> DataService:
        """As the policy declares it."""
        return next(each for each in self.spec.data_services if each.name == self.name)

    @property
    def row(self) -> Manifest:
        """What the status says of its backups."""
        rows = (self.policy.get("status") or {}).get("dataServices") or ()
        return next((dict(r.get("backup") or {}) for r in rows if r["name"] == self.name), {})


@dataclass(frozen=True, slots=True)
class Beside:
    """What a restore makes, in this order; the Job once the instance is ready."""

    policy: Manifest
    wall: Manifest
    job: Manifest

    @property
    def name(self) -> str:
        """Of the policy: whoever deletes it deletes everything."""
        return str(self.policy["metadata"]["name"])

    @property
    def removal(self) -> str:
        """The command that does."""
        return (
            f"kubectl -n {self.policy['metadata']['namespace']} delete readinesspolicy {self.name}"
        )


def refusals_of(live: Live, wanted: str) -> Iterator[Refusal]:
    """Why no instance can be made beside this one, or none filled."""
    service = live.service
    kind = kind_of(service)
    if not kind:
        yield Refusal(
            "External", f"{live.name} is run by somebody else, and only what the operator provides can be made a second time",
            "make an empty instance, and name it with --into",
        )  # fmt: skip
        return
    if _filler(kind) is None:
        yield Refusal(
            "NotFilled", f"a {kind} is filled by programs that the operator's image does not have",
            "declare a second one, and fill it with --into from where they are: see the runbook",
        )  # fmt: skip
    if getattr(getattr(service, kind), "tls", None):
        yield Refusal(
            "CertificateNotOurs", f"{live.name} speaks TLS, and its certificate is not for the names of a second instance",
            "declare one with a certificate of its own in another policy, and fill it with --into and --authority",
        )  # fmt: skip
    yield from _without_backup(live, wanted)
    if live.there is not None:
        made = naming.restored(live.owner, live.name)
        yield Refusal(
            "ExistsAlready", f"ReadinessPolicy/{made} is there already, from an earlier restore",
            f"if it is still empty, fill it with --into; or delete it: kubectl -n {live.namespace} delete readinesspolicy {made}",
        )  # fmt: skip


def beside_of(live: Live, wanted: str) -> Beside:
    """The new policy, and how it is filled. Raises ValueError where there are refusals."""
    kind = next((each for each in KINDS if each.name == kind_of(live.service)), None)
    if kind is None or kind.source is None or kind.filler is None or live.drill is None:
        raise ValueError(f"{live.name} cannot be restored beside itself")
    order = _order(live)
    source = kind.source(order)
    made = {"namespace": live.namespace, "labels": naming.restored_labels(live.owner, live.name)}
    wall = build_wall(order, (naming.RESTORE,), source.way)
    return Beside(
        _policy(live, order, made),
        wall | {"metadata": wall["metadata"] | made},
        _job(
            live.drill,
            order,
            kind.filler,
            (f"--into={source.hosts[0]}:{source.port}", f"--snapshot={wanted}"),
        ),
    )


def plan_of(live: Live, made: Beside, wanted: str) -> str:
    """What will be done, to be read before it is."""
    spec = getattr(live.service, kind_of(live.service))
    size = f"{spec.replicas} members with {spec.storage} each"
    return (
        f"Restore of {live.name}, a {kind_of(live.service)} of {live.namespace}/{live.owner}, into an instance of its own\n"
        f"  from  {_snapshot(live, wanted)}\n"
        f"  into  ReadinessPolicy/{made.name}, which is made: {size}, as the live one\n"
        "  1. make that policy, and wait until the operator has its data service ready\n"
        "  2. a Job fetches the snapshot, loads it into a throw-away server on loopback, and compares what that holds with its manifest\n"
        "  3. it copies everything into the new instance, and compares both\n"
        "The live instance and the repository stay as they are. The new instance has no backups, and goes with its policy:\n"
        f"  {made.removal}"
    )  # fmt: skip


def next_of(live: Live, made: Beside) -> str:
    """What to do once it is filled."""
    old, new = naming.store(live.owner, live.name), naming.store(made.name, live.name)
    kubectl = f"kubectl -n {live.namespace}"
    keep = '\'{"spec":{"deletionPolicy":"Retain"}}\''
    return (
        f"{live.name} is restored in ReadinessPolicy/{made.name}, beside the live one. Next:\n"
        f"  look at it            {kubectl} get secret {new} -o jsonpath='{{.data.host}}' | base64 -d\n"
        f"  switch over           name Secret {new} (host, port, username, password, uri) wherever a workload names {old}\n"
        f"  if it is to stay      {kubectl} patch readinesspolicy {made.name} --type=merge -p {keep}\n"
        "                        and declare its backups: it has none\n"
        f"  if it is not needed   {made.removal}\n"
    )


def row_of(policy: Manifest, name: str) -> tuple[bool, str]:
    """Whether the operator says that a data service is ready, and how it stands."""
    status = policy.get("status") or {}
    row = next((r for r in status.get("dataServices") or () if r["name"] == name), None)
    if row is None or status.get("observedGeneration") != policy["metadata"].get("generation"):
        return False, "the operator has not looked at it yet"
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    told = conditions.get("Provisioned") or {"reason": row.get("reason", ""), "message": ""}
    return bool(row["ready"]), f"{told['reason']}: {told['message']}"


def _filler(kind: str) -> Login | None:
    return next((each.filler for each in KINDS if each.name == kind), None)


def _without_backup(live: Live, wanted: str) -> Iterator[Refusal]:
    own = live.service.backup
    if live.spec.backups is None or (own is not None and not own.enabled):
        yield Refusal(
            "NothingDeclared", f"{live.owner} has no backups of {live.name}",
            "name the repository where they are, and an instance: --into and what it asks for",
        )  # fmt: skip
    elif live.drill is None:
        yield Refusal(
            "NotProvided", f"CronJob/{naming.store(live.owner, live.name, naming.RESTORE_DRILL)} is not there, whose pod would fill the new instance",
            "see the condition Provisioned of the policy",
        )  # fmt: skip
    elif wanted == LATEST and not (live.row.get("newest") or live.row.get("lastSuccess")):
        yield Refusal(
            "NoSnapshot", f"no backup of {live.name} has ended well yet, as far as the operator knows",
            "see BackupsHealthy; a snapshot that is there all the same is named with --snapshot",
        )  # fmt: skip


def _snapshot(live: Live, wanted: str) -> str:
    row = live.row
    known = f"{row['snapshot']} of {row['lastSuccess']}, backup set {row['backupSet']}, {row['size']} bytes" if row.get("snapshot") else ""  # fmt: skip
    if wanted == LATEST:
        return f"the newest snapshot; the last that the operator knows is {known or 'of unknown size'}"  # fmt: skip
    if known and wanted in (row["snapshot"], row["backupSet"]):
        return f"snapshot {known}"
    return f"snapshot {wanted}; its size, and whether there is such a one, the repository tells only once the Job asks it"


def _image(live: Live) -> str:
    """That of the server which loads its backups every week: the very one, whatever the operator's default is now."""
    pod = live.drill["spec"]["jobTemplate"]["spec"]["template"]["spec"] if live.drill else {}
    return next((str(each["image"]) for each in pod.get("initContainers") or ()), "")


def _order(live: Live) -> Order:
    """Enough of an order to know where the new instance will be."""
    return Order(
        live.namespace, naming.restored(live.owner, live.name), live.service, _image(live), "", "", 0, {},
        backups=live.spec.backups,
    )  # fmt: skip


def _policy(live: Live, order: Order, made: Manifest) -> Manifest:
    spec = live.policy["spec"]
    declared = next(each for each in spec["dataServices"] if each["name"] == live.name)
    server = declared[order.kind] | ({"image": order.image} if order.image else {})
    service = {"name": live.name, order.kind: server, "backup": {"enabled": False}}
    place = {key: spec[key] for key in ("environment",) if key in spec}
    return {
        "apiVersion": naming.API_VERSION,
        "kind": "ReadinessPolicy",
        "metadata": {"name": order.policy, **made},
        "spec": {**place, "dataServices": [service], "deletionPolicy": "Delete"},
    }


def _job(drill: Manifest, order: Order, login: Login, into: tuple[str, ...]) -> Manifest:
    """The drill's pod. It runs once: a second try would find an instance that is not empty."""
    spec = copy.deepcopy(drill["spec"]["jobTemplate"]["spec"]) | {"backoffLimit": 0}
    labels, pod = order.labels(naming.RESTORE), spec["template"]["spec"]
    spec["template"]["metadata"] = {"labels": labels}
    pod["volumes"].append(build_secret_volume("target", order.name(naming.CREDENTIALS), login.key, "password"))  # fmt: skip
    (ours,) = pod["containers"]
    kept = (each for each in ours["args"][1:] if not each.startswith("--run="))
    who = (f"--user={login.user}", f"--user-password-file={TARGET}/password")
    ours |= {"name": naming.RESTORE, "args": ["restore", *kept, *into, *who, "--yes"]}
    ours["volumeMounts"].append(build_mount("target", TARGET, read_only=True))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": order.name(naming.RESTORE),
            "namespace": order.namespace,
            "labels": labels,
        },
        "spec": spec,
    }
