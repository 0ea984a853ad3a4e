"""What is done in a drill: arms, each a fresh clone taken through steps in order.

An arm is data, so that a new control composes steps and touches no runner, and equal arms of
several controls run once. Times are seconds. Values only; the codec makes JSON of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readiness.disturbance import Audit, Oust, Recover, Whole
from readiness.step import (
    Ask,
    Boot,
    Calls,
    Exit,
    Fault,
    Hold,
    Linger,
    Logs,
    Metered,
    Pause,
    Play,
    Send,
    Step,
)

CLONES: Final = 3
"""How many clones of one drill run side by side."""
ANSWER_SECONDS: Final = 10.0
"""How long an answer may take beyond what the application was asked to take."""
STORE_SECONDS: Final = 60.0
"""How long a throw-away store may take to accept connections."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One variable of the application's environment, set to a value or (None) taken away."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One clone and what it is taken through. `name` tells arms of one subject apart.

    `explicit`: of the template's `envFrom` the clone gets the subject's declared names only. An
    edit that takes a variable away needs it where there is an envFrom, and so does its control arm.
    `apart`: its clones share throw-away stores that no other arm's clone meets, empty at first.
    """

    name: str
    steps: tuple[Step, ...]
    edits: tuple[Edit, ...] = ()
    explicit: bool = False
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """A store the application uses: hosts it knows it by, and the Secret with its credentials.

    `kind` is redis, rabbitmq or mongodb. In a drill every host leads to a throw-away one.
    """

    name: str
    kind: str
    hosts: tuple[str, ...]
    port: int
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service that the application calls: the variable with its address, the path in that, its hosts.

    In arms that put it there, a port of the drill's fault sink stands for it.
    """

    name: str
    env: str
    path: str = ""
    hosts: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What stands in the value of an Edit for `address:port`."""
        return f"{{upstream {self.name}}}"

    @property
    def edit(self) -> Edit:
        """The variable, leading to the sink."""
        return Edit(self.env, f"http://{self.place}{self.path}")


@dataclass(frozen=True, slots=True)
class DrillSubject:
    """Whose template is cloned and how its clone is reached.

    `template` is the hash of the pod template that the plan saw; another one found by the drill
    is a problem, not an answer. `standalone`: the owner's word that it needs no store; `unisolated`:
    that its clones may run where no NetworkPolicy holds them. `declared` are the names of variables
    that the owner declares (config.env).
    """

    namespace: str
    target: str
    api_version: str
    kind: str
    name: str
    template: str = ""
    container: str = ""
    port: int = 0
    tls: bool = False
    host: str = ""
    standalone: bool = False
    unisolated: bool = False
    stores: tuple[Store, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    declared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """One arm on one subject: what a control of class drill asks for."""

    subject: DrillSubject
    arm: Arm


@dataclass(frozen=True, slots=True)
class Script:
    """Everything one drill Job does: arms of one subject, side by side, at most `clones` at once.

    `run` is the id that its objects, log and termination message carry; `deadline` is when the
    whole must have ended, in seconds from its start. `images` are those of throw-away stores, by kind.
    `avoid` names by arm the nodes on which it has been seen: doubt is settled elsewhere, where possible.
    """

    run: str
    subject: DrillSubject
    arms: tuple[Arm, ...]
    clones: int = CLONES
    deadline: float = 600.0
    labels: tuple[tuple[str, str], ...] = ()
    images: tuple[tuple[str, str], ...] = ()
    avoid: tuple[tuple[str, str], ...] = ()

    def calls(self, arm: Arm) -> bool:
        """Whether the clone of an arm is to call the fault sink."""
        return any(upstream.edit in arm.edits for upstream in self.subject.upstreams)


def seconds_of(arm: Arm) -> float:
    """How long an arm may take at most."""
    return sum(map(_longest, arm.steps)) + (STORE_SECONDS if arm.apart else 0.0)


def deadline_of(arms: tuple[Arm, ...], clones: int = CLONES) -> float:
    """How long these arms may take in all, each beginning when a clone has ended, and a minute."""
    each = tuple(map(seconds_of, arms))
    return sum(each) / clones + max(each, default=0.0) + 60.0


def _longest(step: Step) -> float:
    match step:
        case (
            Boot()
            | Metered()
            | Exit()
            | Linger()
            | Logs()
            | Ask()
            | Calls()
            | Whole()
            | Oust()
            | Recover()
            | Audit()
        ):
            return step.within
        case Pause():
            return step.seconds
        case Send():
            held = step.body.hold if step.body else 0.0
            return (step.seconds + held + ANSWER_SECONDS) * step.times
        case Hold() | Fault():
            return ANSWER_SECONDS
        case Play():
            return sum(ANSWER_SECONDS + (s.within and s.within + step.longer) for s in step.scenes)
    return 0.0
