"""What a data service is built from, and dumped from.

A kind (`kind.py`) turns an Order into manifests and refusals. It knows no cluster, no clock and no policy
object; ownership, common labels and the hash of what is desired are added by `children.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from readiness import naming
from readiness.model import Manifest
from readiness.snapshot import Certificate, Scraping

if TYPE_CHECKING:
    from readiness.api.backups import Backups
    from readiness.api.dataservice import DataService

NAMES: Final = ("redis", "mongodb", "rabbitmq")
"""Every kind, as the API names it."""
VOLUME: Final = "volume"
"""In the place of a kind: a plain volume, which is backed up and nothing else."""
EXTERNAL: Final = "external"
"""In the place of a kind in labels: what backs up a service that somebody else runs."""
NOTE: Final = "rotation."
"""Keys of the credentials Secret that begin so hold no secret: they say how far a rotation has got."""
NEXT: Final = ".next"
"""Ends the key of a password that nobody uses yet: first every server has to accept it."""
PREVIOUS: Final = ".previous"
"""Ends the key of the password that was current before: some may still have it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One generated value of a service's credentials Secret.

    password: letters and digits. base64: as a keyfile wants it, `length` characters.
    """

    key: str
    length: int = 32
    alphabet: Literal["password", "base64"] = "password"


@dataclass(frozen=True, slots=True)
class Login:
    """A user of ours, and the key of its password among the credentials."""

    user: str
    key: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something that a policy asks for is not built. `unsafe: [<reason>]` may allow it."""

    reason: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Order:
    """One data service to build.

    `nodes` is how many nodes pods may be scheduled to, `credentials` what the credentials Secret
    holds: it has every key of `Kind.credentials`. `formed`: every member has been Ready once.
    `certificate` is what the Secret for TLS holds; without a cluster nobody knows. `backups` says where to and how often;
    None: it has none. `resident_image` is that of the sidecar of a MongoDB, where it is not the operator's own,
    `exporter_image` that of what tells Prometheus of it, where it does not do so itself; empty: nobody does.
    """

    namespace: str
    policy: str
    service: DataService
    image: str
    operator_image: str
    operator_namespace: str
    nodes: int
    credentials: Mapping[str, str]
    formed: bool = False
    certificate: Certificate | None = None
    resident_image: str = ""
    exporter_image: str = ""
    scraping: Scraping = field(default_factory=Scraping)
    backups: Backups | None = None

    @property
    def replicas(self) -> int:
        """Members that hold data."""
        return int(getattr(self.service, self.kind).replicas)

    def resized(self, replicas: int) -> Order:
        """The same with another number of members."""
        spec = getattr(self.service, self.kind).model_copy(update={"replicas": replicas})
        return replace(self, service=self.service.model_copy(update={self.kind: spec}))

    @property
    def kind(self) -> str:
        """The name of its kind, whoever runs it."""
        declared = self.service.external or self.service
        return next(name for name in NAMES if getattr(declared, name) is not None)

    def name(self, part: str = "") -> str:
        """The name of an object; without a part, of the main StatefulSet, Service and binding Secret."""
        return naming.store(self.policy, self.service.name, part)

    def labels(self, part: str) -> dict[str, str]:
        """The labels of the pods of a part. Objects get theirs in `children.py`."""
        return naming.store_labels(self.policy, self.service.name, part)

    def selector(self, part: str = "") -> dict[str, str]:
        """What selects those pods; without a part, whatever there is of the service."""
        return naming.store_selector(self.policy, self.service.name, part)

    def host(self, service: str, pod: str = "") -> str:
        """The full name of a Service, or of one pod behind a headless one, without the cluster's domain."""
        return ".".join(filter(None, (pod, service, self.namespace, "svc")))


@dataclass(frozen=True, slots=True)
class Look:
    """What to look at: the order a service was built from, and where its pods are, by name."""

    kind: str
    order: Order
    addresses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a dump is taken, and as whom: of a service of ours, or of somebody else's.

    `way` are the rules of a NetworkPolicy that let the dump reach it, `passwords` the volume with the file `password`, and
    `username` where `login` does not say it. `tls` is the directory of the authority, or empty. `memory` and `storage` are
    those of a member; `told` is what more the dump has to know.
    """

    hosts: tuple[str, ...]
    port: int
    way: tuple[Manifest, ...]
    passwords: Manifest | None
    memory: str
    storage: str
    login: str = ""
    tls: str = ""
    told: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Manifest, ...] = ()
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class Dump:
    """How one service is dumped, and the dump verified: by /scripts/dump.sh and /scripts/verify.sh in its own image.

    Both leave what they have in /backup, and are told `told`. Only the first is given a password and reaches the service, and
    has `memory_to_dump`; the second has `memory`. They have the `room` of so many volumes of a member.
    """

    scripts: Mapping[str, str]
    told: Mapping[str, str]
    memory: str
    room: int = 1
    memory_to_dump: str = "256Mi"
