"""What a control is: two pure functions with their metadata, and the words to answer with.

The only import a control needs besides `api`, `workload` and `request`. A `Control` looks at one
target, a `Gate` at the policy as a whole. Neither knows how requests are sent, which profile
enforces it, or whether a waiver covers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from readiness.model import Finding, Manifest, Mode, Params, Result, Safety, Severity, Verdict
from readiness.request import Answers, Hop, Request
from readiness.snapshot import Snapshot
from readiness.stores import Store

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec
    from readiness.api.target import Target

_EXAMPLES: Final = {
    "shutdown.slowRequest": '{path: "/slow?seconds={seconds}"}',
    "upstreams": "[{name: llm, urlEnv: LLM_URL, call: {path: /ask}}]",
    "health.deepPath": '"/health?deep=true"',
    "shutdown.logPattern": "shutting down",
    "shutdown.jobsField": "jobs",
    "scenarios.job": "steps that start a job of {seconds}, find it working, and find it done once "
    "(docs/drills.md has an example)",
    "config.bootstrapPattern": "created the first account",
    "spec.backups": "{destination: {s3: {bucket: shop-backups, secretRef: {name: backup-writer}}}, passwordSecretRef: {name: backup-password}}",
    "limits.request": '{path: /api/orders, body: "{}"}',
}
"""How a capability is declared, where its name does not say it."""
Direction = Literal["higher", "lower", "superset", "subset", "true", "false"]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a control. `stricter` is the direction a floor may bound; None: no floor."""

    name: str
    default: Any
    description: str
    stricter: Direction | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything a control may see of one target. `workload` is None when only a URL is judged.

    `hop_problems` says by kind of hop why a declared way cannot be asked. `stores` are the policy's
    data services; `store` is set where one of them is judged itself: then `target` holds its name only.
    """

    policy: PolicySpec
    target: Target
    snapshot: Snapshot
    workload: Manifest | None = None
    pods: tuple[Manifest, ...] = ()
    hops: tuple[Hop, ...] = ()
    hop_problems: Mapping[str, Verdict] = field(default_factory=dict)
    stores: Mapping[str, Store] = field(default_factory=dict)
    store: Store | None = None
    params: Params = field(default_factory=dict)
    now: float = 0.0

    @property
    def where(self) -> str:
        """`Deployment/checkout-api`, or the target's name when there is no workload."""
        if self.workload is None:
            return self.target.name
        return f"{self.target.workload_ref.kind}/{self.target.workload_ref.name}"


class Weight(Protocol):
    """What a gate may know of a control's setting; `weigh.Setting` is one."""

    @property
    def mode(self) -> Mode:
        """As in Setting."""

    @property
    def severity(self) -> Severity:
        """As in Setting."""

    @property
    def max_age(self) -> float:
        """As in Setting."""

    @property
    def lowered(self) -> bool:
        """As in Setting."""


class Excuse(Protocol):
    """What a gate may know of a waiver; `waivers.Waiver` is one."""

    @property
    def name(self) -> str:
        """As in Waiver."""

    @property
    def problem(self) -> str:
        """As in Waiver."""


@dataclass(frozen=True, slots=True)
class PolicyView:
    """Everything a gate may see: the findings, what they were weighed by, and how old they are.

    `ages` holds seconds since a look settled, by (control, target); None before the first.
    """

    policy: PolicySpec
    snapshot: Snapshot
    findings: tuple[Finding, ...]
    name: str
    settings: Mapping[str, Weight]
    waivers: tuple[Excuse, ...]
    ages: Mapping[tuple[str, str], float | None] = field(default_factory=dict)
    params: Params = field(default_factory=dict)
    now: float = 0.0


def asks_nothing(subject: Subject) -> tuple[Request, ...]:
    """The `ask` of a control that reads the snapshot only."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What controls and gates have in common: what they are called and how they are weighed.

    `needs` names capabilities the target must declare (`health`, `http.protected`); undeclared
    ones make the requirement unjudgeable, not failed. `requires` are controls that must hold
    first. `static` ones can be judged from manifests alone. `max_age` is in seconds.
    """

    id: str
    title: str
    severity: Severity
    criterion: str
    fix: str
    safety: Safety = Safety.PASSIVE
    static: bool = False
    needs: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    max_age: float = 900.0
    checklists: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """`SHD` of `SHD-008`."""
        return self.id.partition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control(Requirement):
    """One checkable requirement on a target.

    `ask(subject)` says what must be seen; `judge(subject, answers)` says what it means. `stores` are
    the kinds of data services it judges; without any it judges workloads.
    """

    stores: tuple[str, ...] = ()
    judge: Callable[[Subject, Answers], Verdict]
    ask: Callable[[Subject], tuple[Request, ...]] = asks_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Requirement):
    """One requirement on the policy as a whole, judged after every control."""

    judge: Callable[[PolicyView], Verdict]


def declaration(capability: str) -> str:
    """What to declare: the name of a capability, with an example where that says too little."""
    example = _EXAMPLES.get(capability, "")
    return f"{capability}: {example}" if example else capability


def passed(reason: str, message: str, **details: str) -> Verdict:
    """The requirement holds."""
    return Verdict(Result.PASS, reason, message, **details)


def failed(reason: str, message: str, *, expected: str, observed: str, **details: str) -> Verdict:
    """The requirement does not hold: always with what was expected and what was seen."""
    return Verdict(Result.FAIL, reason, message, expected=expected, observed=observed, **details)


def unknown(reason: str, message: str, **details: str) -> Verdict:
    """It could not be judged, and why."""
    return Verdict(Result.UNKNOWN, reason, message, **details)


def not_applicable(reason: str, message: str, **details: str) -> Verdict:
    """It does not apply, because something declared or observed says so."""
    return Verdict(Result.NOT_APPLICABLE, reason, message, **details)
