"""What a failover drill is told: a live data service, and the arms that it is taken through in their order.

What a script is to a drill of clones; the arms, and what their timelines hold, are the same. Values only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from readiness.ports import ADMINISTRATORS, SENTINEL
from readiness.script import Arm, DrillRequest, Script, deadline_of, seconds_of


@dataclass(frozen=True, slots=True)
class Application:
    """One that uses the data service, and where its Service is asked how it is. `name` is its target's."""

    name: str
    host: str
    address: str
    port: int
    path: str
    tls: bool = False


@dataclass(frozen=True, slots=True)
class StoreSubject:
    """A live data service, and how an application reaches it.

    `hosts` are its members, by names that begin with their pods'; `secret` is the Secret that
    applications are bound with. `sentinels` name the primary of `group`; `monitor` is the Secret with
    the password of a user who may look, where applications may not, at the port `management`. `applications` are asked meanwhile.
    """

    namespace: str
    target: str
    kind: str
    hosts: tuple[str, ...]
    port: int
    secret: str
    sentinels: tuple[str, ...] = ()
    sentinel_port: int = SENTINEL
    group: str = ""
    management: int = ADMINISTRATORS["rabbitmq"].plain
    monitor: str = ""
    applications: tuple[Application, ...] = ()

    @property
    def name(self) -> str:
        """As the policy calls it."""
        return self.target


@dataclass(frozen=True, slots=True)
class FailoverRequest:
    """One arm on one live data service: what a control of class disruptive asks for."""

    subject: StoreSubject
    arm: Arm


@dataclass(frozen=True, slots=True)
class FailoverScript:
    """Everything that the Job of a failover drill does: arms on one data service, one after the other."""

    run: str
    subject: StoreSubject
    arms: tuple[Arm, ...]
    deadline: float = 600.0
    labels: tuple[tuple[str, str], ...] = ()


def longest_of(arms: tuple[Arm, ...]) -> float:
    """How long these arms may take, one after the other, and a minute."""
    return sum(map(seconds_of, arms)) + 60.0


AnyScript = Script | FailoverScript
AnyRequest = DrillRequest | FailoverRequest


def script_of(run: str, requests: Sequence[AnyRequest], avoid: tuple[tuple[str, str], ...] = ()) -> AnyScript:  # fmt: skip
    """What one Job does for requests on one subject, in the order in which they are given."""
    arms, subject = tuple(each.arm for each in requests), requests[0].subject
    if isinstance(subject, StoreSubject):
        return FailoverScript(run, subject, arms, longest_of(arms))
    return Script(run, subject, arms, deadline=deadline_of(arms), avoid=avoid)
