"""What was seen of the world for one policy: plain objects, gathered before anything is decided.

The operator fills it from its watches, `readiness check` from manifest files. Objects are
*projected*: only fields that some control reads, never managedFields. Nothing here fetches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from readiness.incidents import Incidents
from readiness.model import Manifest
from readiness.passages import Passage
from readiness.terminations import Termination

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Grant:
    """One subject that may read Secrets of the namespace, and through what.

    `subject` is `<Kind>/<name>` (a ServiceAccount of another namespace is
    `ServiceAccount/<namespace>:<name>`), `via` names binding and role, `names` the Secrets it is
    limited to (empty: all), `cluster` whether it comes from a ClusterRoleBinding.
    """

    subject: str
    via: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()
    cluster: bool = False


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret-shaped text found where none belongs; the text itself is never kept.

    `where` is `ConfigMap/app data.URL` or the like, `pattern` the id of what matched.
    """

    where: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What keeps a data service from being provided. `at` is when a write met it; 0: seen by looking."""

    reason: str
    message: str
    fix: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a Secret for TLS was found to hold when it was tried out. Its key is not kept.

    `ca` is the authority, `names` are those that the certificate is for, `mutual` is whether it also
    serves who calls. `problem` says why it serves nobody, in words that stand still.
    """

    secret: str
    ca: str = ""
    names: tuple[str, ...] = ()
    mutual: bool = False
    problem: str = ""

    def is_for(self, host: str) -> bool:
        """Whether it is for a host, by its name or by a wildcard for the first label."""
        return not {host, f"*.{host.partition('.')[2]}"}.isdisjoint(self.names)


@dataclass(frozen=True, slots=True)
class MemberSeen:
    """One member as its servers tell of it; `reasons` is empty when all is well.

    `needed_by` names what would stop without it, as far as that is more than itself.
    """

    name: str
    role: str = ""
    reasons: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a data service's servers were last told, how often in a row, and what went wrong, in a word."""

    act: object
    error: str
    at: float
    times: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """A data service as its own servers tell of it.

    `primary` is empty where there is none or it is not known; `reason` is one word for what is wrong
    with the whole, `restart` a member that has to start again for that. `lag` in seconds moves by
    itself, so it makes no two looks differ. `facts` are the kind's own, from which its next step
    follows. `busy`: servers are being told something, or have not been looked at since.
    """

    primary: str = ""
    members: tuple[MemberSeen, ...] = ()
    reason: str = ""
    lag: int | None = field(default=None, compare=False)
    restart: str = ""
    facts: object = None
    busy: bool = False
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Switched:
    """A change of primary that a drill made: `seconds` without an acknowledged write, `lost` ones that had been acknowledged."""

    before: str
    after: str
    seconds: int
    lost: int


@dataclass(frozen=True, slots=True)
class Scraping:
    """How the cluster's Prometheus works: the namespaces that it scrapes from (none: anybody may), and the labels by which
    it picks what is made for it.
    """

    namespaces: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provided:
    """What was seen of the data services that the operator provides for one policy.

    `children` are whole, by kind and name, also those of services the policy no longer declares;
    `pods`, `credentials`, `certificates`, `obstacles` and `seen` are by service, `events` are warnings about any of them.
    `runs` are pods of backups' Jobs, by service, `switched` is what a drill showed that has just ended.
    `absent` says of Secrets that backups name and that are not there how they are made, by field.
    `claims` are the volumes' of services that grow, by service; they are read only then.
    `repaired` says when a child was last put back, by kind and name. `images` are the settings', and
    `preview` the kinds that are provided although they are a preview. `unserved` are kinds of children that the cluster has not.
    """

    children: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    pods: Mapping[str, tuple[Manifest, ...]] = field(default_factory=dict)
    runs: Mapping[str, tuple[Manifest, ...]] = field(default_factory=dict)
    credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    obstacles: Mapping[str, tuple[Obstacle, ...]] = field(default_factory=dict)
    events: tuple[Manifest, ...] = ()
    claims: Mapping[str, tuple[Manifest, ...]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    repaired: Mapping[tuple[str, str], float] = field(default_factory=dict)
    switched: Mapping[str, Switched] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    operator_image: str = ""
    preview: tuple[str, ...] = ()
    scraping: Scraping = field(default_factory=Scraping)
    unserved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Housed:
    """What was seen, in the policy's namespace, of a store that somebody else runs.

    `members` are names of the pods behind each of its hosts that names a Service; `pods` and `sets`
    are those pods and the workloads they belong to.
    """

    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pods: tuple[Manifest, ...] = ()
    sets: tuple[Manifest, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One policy's world. Mappings by target name hold nothing for a target that was not found.

    `configs` holds the data of ConfigMaps by name, each value cut to 256 characters.
    `drilled` are data services whose failover is being drilled, `leftover` pods that outlive drills, by target. `saved` is what runs of backups have told, by data service, as
    the status keeps it. `housed` is by name of an external data service. `drill_settle` is how many seconds a rollout must be complete before a drill starts.
    """

    namespace: str = "default"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    workloads: Mapping[str, Manifest] = field(default_factory=dict)
    pods: Mapping[str, tuple[Manifest, ...]] = field(default_factory=dict)
    services: Mapping[str, Manifest] = field(default_factory=dict)
    slices: Mapping[str, tuple[Manifest, ...]] = field(default_factory=dict)
    pod_addresses: Mapping[str, str] = field(default_factory=dict)
    budgets: tuple[Manifest, ...] = ()
    network_policies: tuple[Manifest, ...] = ()
    accounts: Mapping[str, Manifest] = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    leaks: tuple[Leak, ...] = ()
    grants: tuple[Grant, ...] = ()
    nodes: Mapping[str, Manifest] = field(default_factory=dict)
    storage_classes: Mapping[str, Manifest] = field(default_factory=dict)
    terminations: Mapping[str, tuple[Termination, ...]] = field(default_factory=dict)
    passages: Mapping[str, tuple[Passage, ...]] = field(default_factory=dict)
    inventory: tuple[str, ...] = ()
    covered: frozenset[str] = frozenset()
    waivers: tuple[Manifest, ...] = ()
    profiles: tuple[Manifest, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    egress: tuple[str, ...] = ()
    operator_namespace: str = ""
    provided: Provided = field(default_factory=Provided)
    housed: Mapping[str, Housed] = field(default_factory=dict)
    drilled: frozenset[str] = frozenset()
    leftover: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    saved: Mapping[str, Manifest] = field(default_factory=dict)
    drill_settle: float = 120.0
    incidents: Incidents = field(default_factory=Incidents)
    live: bool = True
