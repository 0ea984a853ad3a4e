"""What was seen in a drill: one timeline per arm, stamped by one steady clock.

Every time is seconds since the drill's own start unless it is called epoch. Nothing of a body or a
log is kept but sizes, hashes and what a step asked for by pattern. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readiness.model import Outcome

NEVER: Final = -1.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request. `label` is its step's; `nth` counts within it, `wave` groups those sent together.

    `start` is when connecting began, `connected` when it succeeded, `first` the first byte of the
    answer, `end` the last; NEVER for what did not happen. `seconds` is how long the application
    was asked to take. `size` and `digest` are the body's; `whole` says that it came complete. `close`: the answer announced the end of
    its connection. `held`: the connection had served a request before. `unframed`: neither a
    length nor chunks tell where the body ends, so a cut one looks whole.
    """

    label: str
    nth: int
    wave: int
    start: float
    connected: float
    first: float
    end: float
    outcome: Outcome
    status: int = 0
    size: int = 0
    digest: str = ""
    whole: bool = False
    close: bool = False
    held: bool = False
    seconds: float = 0.0
    unframed: bool = False

    @property
    def answered(self) -> bool:
        """Whether a complete answer arrived, whatever its status."""
        return self.outcome is Outcome.RESPONSE and self.whole


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to the clone: created, scheduled, running, ready, stopping, stopped, sent (a signal, by
    then), ended, gone, closed (an idle connection's end), pulled, restarted, flapped (its node's readiness). `detail`
    is the cluster's own words."""

    at: float
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container of the clone ended, as the kubelet told it; `at` is when we saw that.

    `started` and `finished` are epoch seconds of the node's clock, whole seconds.
    """

    at: float
    container: str
    code: int
    signal: int = 0
    reason: str = ""
    started: float = 0.0
    finished: float = 0.0


@dataclass(frozen=True, slots=True)
class Said:
    """What the application's log held of what a step asked for: never its text.

    `found` are the step's words that it held. Of the lines that were about something, `mentions`
    counts all, `structured` those that are JSON, `complete` those with every field; `lacking` are
    the fields that the best of them lacks. `at` is when the log was read.
    """

    label: str
    at: float
    found: tuple[str, ...] = ()
    mentions: int = 0
    structured: int = 0
    complete: int = 0
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an arm has no answer: a closed set of reasons, with the words of whoever said so.

    Refused (a rule of safety), NotPermitted, Denied (admission), Unschedulable, ImagePull,
    InitFailed, NotReady, Ended (before it was Ready), TemplateChanged, StoreUnavailable, Quota, Aborted.
    """

    reason: str
    words: str
    fix: str = ""


class ProblemError(Exception):
    """A drill, or an arm of it, that cannot be carried out, and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.reason}: {problem.words}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Timeline:
    """One arm. `epoch` is the wall clock at time 0; `stopped` is when the API server had answered
    the deletion, or the signal was sent (NEVER: the arm did not get there).

    `grace` and `hook` are the clone's terminationGracePeriodSeconds and preStop sleep (None: a hook whose duration is not
    shown). `parallel` is what the application proved to work on at once. `lag` is the longest our
    own loop was late, `throttled` the share of periods in which the clone was held back (NEVER: not measured).
    """

    arm: str
    epoch: float = 0.0
    stopped: float = NEVER
    grace: float = 30.0
    hook: float | None = 0.0
    parallel: int = 0
    lag: float = 0.0
    throttled: float = NEVER
    container: str = ""
    node: str = ""
    exchanges: tuple[Exchange, ...] = ()
    moments: tuple[Moment, ...] = ()
    endings: tuple[Ending, ...] = ()
    said: tuple[Said, ...] = ()
    problem: Problem | None = None

    def labelled(self, label: str) -> tuple[Exchange, ...]:
        """The exchanges of one step, in order of their start."""
        return tuple(x for x in self.exchanges if x.label == label)

    def moment(self, name: str) -> float:
        """When something first happened, or NEVER."""
        return next((m.at for m in self.moments if m.name == name), NEVER)

    @property
    def ending(self) -> Ending | None:
        """How the application's container ended."""
        return next((e for e in self.endings if e.container == self.container), None)
