"""The way back, written down beforehand: commands for one store that work with us, and with restic alone.

What is printed has been typed: a test takes every command out of the page and runs it. Variables stand at the top, so
that the rest can be pasted as it is. Pure; no secret is in it, only the names of Secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from readiness.backups.destination import repository_of, secret_of
from readiness.backups.manifest import DUMPS
from readiness.backups.snapshots import OURS, host_of

if TYPE_CHECKING:
    from readiness.api.backups import Backups
    from readiness.api.dataservice import DataService

PAGE: Final = "runbook.md"
"""The key of the ConfigMap that holds it."""
_LOADED: Final[dict[str, str]] = {
    "redis": """\
A Redis with append-only mode on ignores `dump.rdb` and begins empty, without a word. So: without it first, then switched on.
```sh
redis-server --dir "$PWD/restored" --dbfilename dump.rdb --appendonly no --bind 127.0.0.1 --port "$PORT" --daemonize yes
until redis-cli -p "$PORT" ping | grep -qx PONG; do sleep 0.2; done
redis-cli -p "$PORT" info keyspace
redis-cli -p "$PORT" config set appendonly yes
```
Compare the keyspace with `tallies` in `restored/manifest.json`.
""",
    "rabbitmq": """\
Messages are not in it: quorum queues protect them by replication, and nothing else does.
Beside a member of a new, empty cluster, never of the live one: users of the same name get the password that was saved.
```sh
rabbitmqctl import_definitions restored/definitions.json
rabbitmqctl list_vhosts name
rabbitmqctl list_queues name type
```
Compare how many there are with `tallies` in `restored/manifest.json`.
""",
    "volume": """\
```sh
mkdir volume && tar -xpf restored/volume.tar -C volume
```
Databases of SQLite in it are whole; give the files the owner that the application runs as.
""",
    "mongodb": """\
A server without users, on loopback only; with `ttlMonitorEnabled` on, documents that come to their end would go while you look.
```sh
mkdir restored/db
mongod --dbpath restored/db --port "$PORT" --bind_ip 127.0.0.1 --setParameter ttlMonitorEnabled=false > restored/mongod.log 2>&1 &
until mongosh --quiet --port "$PORT" --eval 1 2> /dev/null; do sleep 0.5; done
mongorestore --port "$PORT" --archive=restored/dump.archive --oplogReplay
mongosh --quiet --port "$PORT" --eval 'db.getMongo().getDBNames().forEach((d) => db.getSiblingDB(d).getCollectionNames().forEach((c) => print(d + "." + c, db.getSiblingDB(d).getCollection(c).countDocuments({}))))'
```
Compare the counts with `tallies` in `restored/manifest.json`.
""",
}
_FILLED: Final[dict[str, str]] = {
    "redis": "`NEW` is HOST:PORT of the new instance, `admin` a file with the password of its user `admin`.",
    "mongodb": "`NEW` is HOST:PORT of any member of the new set, `admin` a file with the password of its user `admin`, who has the roles `restore` and `readAnyDatabase`. Users that the new set lacks come along.",
    "rabbitmq": (
        "`NEW` is HOST:PORT of the new instance's management API, `admin` a file with the password of its user `admin`, an administrator. "
        "Of one that we provide it is `readiness-operator`, whose password is in its Secret of credentials; from outside, "
        "`kubectl port-forward` leads there. Whom it has already keeps its password."
    ),
}
"""What a new instance is filled by; kinds that are not filled over the network are missing."""


BESIDE: Final = frozenset({"redis", "rabbitmq"})
"""Kinds of which a restore makes an instance of its own, and fills it in the cluster."""


@dataclass(frozen=True, slots=True)
class Way:
    """Whose backups, and where they are. `credentials` is empty for a destination that is a volume; `beside`: an instance can be made."""

    kind: str
    namespace: str
    policy: str
    service: str
    repository: str
    password: str
    credentials: str = ""
    beside: bool = False


def way_of(
    kind: str, store: tuple[str, str, str], backups: Backups, service: DataService | None = None
) -> Way:
    """The way back of a store, by its namespace, policy and name, and as it is declared."""
    ours = getattr(service, kind, None) if kind in BESIDE else None
    password = backups.password_secret_ref.name if backups.password_secret_ref else ""
    repository = repository_of(backups.destination, *store).url
    beside = ours is not None and not ours.tls
    return Way(kind, *store, repository, password, secret_of(backups.destination), beside)


def build_runbook(way: Way) -> str:
    """The page, in Markdown; code blocks of `sh` are run in their order, in one shell."""
    host = host_of(way.namespace, way.policy, way.service)
    return "\n".join(
        (
            f"# Restoring {way.service} of {way.namespace}/{way.policy}\n",
            f"A {way.kind}, saved by restic in `{way.repository}`. The live instance is touched by nothing below.\n",
            "## 1. What opens the backups\n",
            *_secrets(way),
            f"```sh\nexport RESTIC_REPOSITORY={way.repository} RESTIC_PASSWORD_FILE=$PWD/password\n```\n",
            "## 2. Which snapshot\n",
            f"```sh\nrestic snapshots --no-lock --host {host} --tag {OURS}\n```\n",
            "`latest` below may be any of these ids.\n",
            "## 3. Without us: restic alone\n",
            (
                f"```sh\nrestic restore latest --no-lock --host {host} --tag {OURS} --target restored\n"
                f"sha256sum restored/{DUMPS[way.kind]}\ngrep -A 3 '{DUMPS[way.kind]}' restored/manifest.json\n```\n"
                "Both sums must be equal.\n"
            ),
            _LOADED[way.kind],
            *_beside(way),
            f"## {5 if way.beside else 4}. With us: into a new, empty instance\n",
            *_ours(way),
        )
    )


def _secrets(way: Way) -> tuple[str, ...]:
    """Where Secrets are, or the copies of them that were kept outside."""
    taken = f"kubectl -n {way.namespace} get secret {way.password} -o jsonpath='{{.data.password}}' | base64 -d > password"
    found = (
        f"From the cluster, or from the copy that was kept outside of it:\n```console\n$ {taken}\n"
    )
    if way.credentials:
        found += f"$ kubectl -n {way.namespace} get secret {way.credentials} -o json     # its keys are files of ./credentials for us, variables for restic\n"
    return (f"{found}```\n",)


def _beside(way: Way) -> tuple[str, ...]:
    """Nothing of sections 1 to 3 is needed for it, but a cluster in which the operator runs."""
    if not way.beside:
        return ()
    command = f"readiness restore {way.service} --namespace {way.namespace} --policy {way.policy}"
    return (
        "## 4. With us: into an instance of its own, beside the live one\n",
        "Where operator and cluster are well, this needs nothing of the above. The plan is shown before anything is made, and what comes next in the end.\n",
        f"```console\n$ {command} --dry-run\n$ {command} --snapshot latest\n```\n",
    )


def _ours(way: Way) -> tuple[str, ...]:
    if way.kind not in _FILLED:
        return (f"Not for a {way.kind} yet.\n",)
    credentials = " --credentials ./credentials" if way.credentials else ""
    return (
        f"{_FILLED[way.kind]} The plan is shown before anything is done.\n",
        (
            f"```sh\nreadiness restore --kind {way.kind} --namespace {way.namespace} --policy {way.policy} --service {way.service} \\\n"
            f"  --repository {way.repository}{credentials} --password-file password \\\n"
            '  --snapshot latest --into "$NEW" --user admin --user-password-file admin --yes\n```\n'
        ),
    )
