"""BKP: whether what is saved survives the cluster, and who may read and delete it.

restic encrypts whatever it saves, under a password that a policy has to name; so what is judged is where it lies, who may
delete it, and that nobody reads it without a name. The operator has no credentials of the destination: it asks as anybody may.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from readiness.backing import DECLARED, lacking, on_backups
from readiness.backups.destination import Repository, host_of, is_inside, repository_of, secret_of
from readiness.backups.proof import unsaved
from readiness.control import Control, Subject, failed, passed, unknown
from readiness.hops import outside_of
from readiness.inspecting import KINDS
from readiness.model import Safety, Severity, Verdict
from readiness.probing import MAX_AGE, unreachable
from readiness.request import Answers, Hop, HttpAnswer, HttpRequest, Request
from readiness.stores import Store

if TYPE_CHECKING:
    from readiness.api.backups import Backups

FOREVER: Final = float("inf")
_WAIVE: Final = "have a ReadinessWaiver approved with whoever configured it"
_GOOGLE: Final = "https://storage.googleapis.com"


def judge_offsite(subject: Subject, store: Store, backups: Backups) -> Verdict:
    """BKP-003: another place than this cluster, from which something has been read back."""
    host = host_of(backups.destination)
    expected, fix = "a server outside of this cluster", "name one in spec.backups.destination"
    if not host or is_inside(host) or host in subject.snapshot.pod_addresses:
        where = f"at {host}" if host else "on a volume"
        return failed("InCluster", f"backups lie {where}, and are gone with the cluster", expected=expected, observed=host or "a volume of this cluster", fix=fix)  # fmt: skip
    if _is_private(host):
        return unknown(
            "AddressOnly", f"whether {host} is outside of this cluster cannot be told from its address", expected=expected,
            fix="name it in spec.backups.destination by its host name",
        )  # fmt: skip
    if lack := unsaved(store.backup, subject.now, FOREVER):
        return lacking(lack, store, "a snapshot that was read back from there")
    return passed("Offsite", f"snapshots of {store.name} are saved at {host}, and were read back from there")  # fmt: skip


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def ask_anybody(subject: Subject) -> tuple[Request, ...]:
    """The repository's own configuration, once there is one, without a name."""
    store, backups = subject.store, subject.policy.backups
    if store is None or backups is None or unsaved(store.backup, subject.now, FOREVER):
        return ()
    way = _way_of(subject, store, backups)
    return (_asked(way),) if isinstance(way, Hop) else ()


def judge_access(subject: Subject, answers: Answers) -> Verdict:
    """BKP-007: two identities, and nobody without one."""

    def judge(subject: Subject, store: Store, backups: Backups) -> Verdict:
        if (shared := _roles(backups)) is not None:
            return shared
        if lack := unsaved(store.backup, subject.now, FOREVER):
            return lacking(lack, store, "a snapshot whose access can be tried")
        way = _way_of(subject, store, backups)
        if isinstance(way, Verdict):
            return way
        answer = answers.get(_asked(way))
        if not isinstance(answer, HttpAnswer):
            return unknown("NotAsked", f"{way.host} has not been asked", fix="wait for the next look")  # fmt: skip
        return _refusal(subject, way, answer)

    return on_backups(judge)(subject, answers)


def _roles(backups: Backups) -> Verdict | None:
    destination, own = backups.destination, backups.prune_secret_ref
    if destination.volume is not None:
        return failed(
            "NoIdentities", "backups lie on a volume: whoever may mount it may read and delete them",
            expected="a destination that tells identities apart", observed="a volume", fix="name one in spec.backups.destination",
        )  # fmt: skip
    if own is None or own.name == secret_of(destination):
        return failed(
            "OneIdentity", "whoever saves may also delete every backup", expected="another identity that deletes",
            observed="the one that saves", fix="name its Secret in spec.backups.pruneSecretRef, and take from the writer the right to delete",
        )  # fmt: skip
    return None


def _way_of(subject: Subject, store: Store, backups: Backups) -> Hop | Verdict:
    """To the configuration of the repository, as anybody would ask for it."""
    path = (subject.snapshot.namespace, store.policy, store.name)
    url = _url_of(repository_of(backups.destination, *path), backups)
    if not url:
        return unknown(
            "NotVisible", "whether anybody may read the backups cannot be tried without credentials",
            expected="a refusal for whoever has no name", fix=_WAIVE,
        )  # fmt: skip
    return outside_of(url, subject.snapshot)


def _url_of(repository: Repository, backups: Backups) -> str:
    """Empty where it cannot be known: an Azure account stands in a Secret, and a server of SFTP speaks no HTTP."""
    destination = backups.destination
    if destination.s3 is not None:
        return f"{repository.url.removeprefix('s3:')}/config"
    if destination.gcs is not None:
        return f"{_GOOGLE}/{repository.url.removeprefix('gs:').replace(':', '', 1)}/config"
    return ""


def _asked(way: Hop) -> HttpRequest:
    return HttpRequest(way, way.prefix, cap=1)


def _refusal(subject: Subject, way: Hop, answer: HttpAnswer) -> Verdict:
    expected = "401 or 403 for whoever has no name"
    if not answer.answered:
        fix = "let the operator reach it, or correct spec.backups.destination"
        return replace(unreachable(subject, way, answer), fix=fix, expected=expected)
    if answer.status in (401, 403):
        return passed("Separated", "what is saved is encrypted; another identity deletes it; nobody without one reads it")  # fmt: skip
    if answer.status < 300:
        return failed(
            "Public", "anybody may read the backups: they are encrypted, and yet nobody's business", expected=expected,
            observed=f"{answer.status}", fix="forbid anonymous access to the bucket",
        )  # fmt: skip
    return unknown(
        "Undecided", f"{way.host} neither serves nor refuses whoever has no name", expected=expected, observed=f"{answer.status}",
        fix=f"name the endpoint of the bucket's own region in spec.backups.destination, or {_WAIVE}",
    )  # fmt: skip


PLUGINS: Final = (
    Control(
        id="BKP-003", title="Backups outside of the cluster", severity=Severity.P0, needs=(DECLARED,), stores=KINDS,
        criterion="The destination is no volume and no Service or pod of this cluster, and a snapshot has been read back from it.",
        fix="name a bucket of another system in spec.backups.destination", judge=on_backups(judge_offsite), checklists=("002/8.a3", "002/8.t3"),
    ),
    Control(
        id="BKP-007", title="Backups encrypted, and closed to others", severity=Severity.P0, needs=(DECLARED,), stores=KINDS, safety=Safety.BENIGN,
        criterion="Snapshots are encrypted (restic does so always); another identity than the one that saves deletes them; and whoever has no name is refused "
        "(401, 403) where the repository's configuration lies.",
        fix="declare spec.backups.pruneSecretRef, and forbid anonymous access to the bucket", ask=ask_anybody, judge=judge_access, max_age=MAX_AGE,
        checklists=("003/4.3", "003/4.3a"),
    ),
)  # fmt: skip
