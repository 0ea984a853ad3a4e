"""What was seen in a drill: one timeline per arm, stamped by one steady clock.

Every time is seconds since the drill's own start unless it is called epoch. Nothing of a body or a
log is kept but sizes, hashes and what a step asked for by pattern. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readiness.model import Outcome
from readiness.scenario import Unmet

NEVER: Final = -1.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request. `label` is its step's; `nth` counts within it, `wave` groups those sent together.

    `start` is when connecting began, `connected` when it succeeded, `first` the first byte of the
    answer, `end` the last; NEVER for what did not happen. `seconds` is how long the application
    was asked to take. `size` is the body's, `digest` a hash of one that took long; `whole` says that it came complete. `close`: the answer announced the end of its connection. `held`: the connection had served a request before. `unframed`: neither a
    length nor chunks tell where the body ends, so a cut one looks whole. `fits`: it said what its step waited for; `found` are the words of the step that it held. `sent` counts bytes of
    the request's body that the kernel took.
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
    whole: bool = False
    close: bool = False
    held: bool = False
    seconds: float = 0.0
    unframed: bool = False
    fits: bool = False
    found: tuple[str, ...] = ()
    sent: int = 0
    digest: str = ""

    @property
    def answered(self) -> bool:
        """Whether a complete answer arrived, whatever its status."""
        return self.outcome is Outcome.RESPONSE and self.whole


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to the clone: created, scheduled, running, ready, stopping, stopped, sent (a signal, by
    then), ended, gone, closed (an idle connection's end), switched (a fault), flapped (its node was not Ready); or to a
    data service: whole, ousted (a member's pod), kept (away), primary. `detail` is the cluster's own words, or the pod; `clone` says which of the arm's it was, 0 the first."""

    at: float
    name: str
    detail: str = ""
    clone: int = 0


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
    clone: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What the application's log held of what a step asked for: never its text.

    `found` are the step's words that it held. Of the lines that were about something, `mentions`
    counts all, `structured` those that are JSON, `complete` those with every field; `lacking` are
    the fields that the best of them lacks. Where a number was asked for, `mentions` are lines that hold a word, and
    `numbers` what JSON lines among them tell. `at` is when the log was read.
    """

    label: str
    at: float
    found: tuple[str, ...] = ()
    mentions: int = 0
    structured: int = 0
    complete: int = 0
    lacking: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A scene of the play `label`, as it was last tried: what of it did not hold; nothing: it held.

    `start` is when it was first sent, `end` when the last answer had come or had not; `status` 0: there was none.
    """

    label: str
    scene: str
    start: float
    end: float
    status: int = 0
    unmet: tuple[Unmet, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One request that reached a fault sink. `at` and `end` are seconds of the sink's, or of the drill's, clock.

    `outcome`: answered, left (the caller hung up first), reset, cut (by a limit), tls or malformed
    (no request that could be read). Of headers only names are kept, of the path no query; `content` is
    the media type, `key` tells one Idempotency-Key from another. In a timeline `label` is the step's
    that read it, and of the path, which may hold a token, only a hash is told.
    """

    at: float
    end: float
    port: int
    source: str = ""
    method: str = ""
    path: str = ""
    size: int = 0
    status: int = 0
    outcome: str = "cut"
    headers: tuple[str, ...] = ()
    content: str = ""
    key: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the application's container used up to one time. NEVER: that could not be read.

    `memory` are bytes that only it can give back: anonymous and shared ones, with what it keeps in a
    tmpfs, without page cache. `rss` are those of its processes, where each counts what it shares.
    `held` is the length of all periods in which its CPU quota held it back, `waited` how long its
    threads could have run and did not; both in seconds since it started. `killed` counts processes
    that it lost for want of memory. `clone` says which of the arm's it was.
    """

    at: float
    memory: int = -1
    rss: int = -1
    held: float = NEVER
    waited: float = NEVER
    killed: int = -1
    clone: int = 0


@dataclass(frozen=True, slots=True)
class Imprint:
    """What a throw-away store held at the `nth` place of a look, as a digest; empty: nothing."""

    label: str
    nth: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Writes to a data service, one after the other, from `began` to `ended`. `lost` ones were acknowledged and are not there.

    `gaps` are the longest times between two acknowledgements, as (from, to), in their order; one
    that nothing ended goes on to `ended`. `read`: whether they could be read back at all.
    """

    began: float
    ended: float
    acknowledged: int = 0
    lost: int = 0
    gaps: tuple[tuple[float, float], ...] = ()
    read: bool = False

    def gap(self, since: float = 0.0) -> tuple[float, float]:
        """The longest of them that was not over at a time; an empty one where there is none."""
        found = ((max(since, start), end) for start, end in self.gaps if end > since)
        return max(found, key=lambda gap: gap[1] - gap[0], default=(since, since))


@dataclass(frozen=True, slots=True)
class Served:
    """What an application answered, `asked` so many times, once a second. `down` are the times, as (from, to), in which it
    answered 5xx or nothing; `to` is when it began to answer well for a while, or, unless it is `well` in the end, the last time."""

    name: str
    asked: int = 0
    down: tuple[tuple[float, float], ...] = ()
    well: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an arm has no answer: a closed set of reasons, with the words of whoever said so.

    Refused (a rule of safety), NotPermitted, Denied (admission), Unschedulable, ImagePull,
    InitFailed, NotReady, Ended (before it was Ready), TemplateChanged, NotIsolated, StoreUnavailable, SinkUnavailable, Quota, Unplayed (a scenario
    that must hold does not), NotWhole (a data service), ApplicationUnwell, Held (an eviction, by a budget), Aborted.
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
    own loop was late, `throttled` the share of the time since it was Ready in which the clone was held back
    (NEVER: not measured; of several clones the worst), `crowded` the share of the time in which we waited for a CPU, `starved` how long,
    at most, the clone did once it was told to end (NEVER: not measured). `samples` are what a meter read, where memory moved;
    `blind` is the longest it did not look, `unmeasured` why it could not. `images` are digests of what its clones ran.
    """

    arm: str
    epoch: float = 0.0
    stopped: float = NEVER
    grace: float = 30.0
    hook: float | None = 0.0
    parallel: int = 0
    lag: float = 0.0
    throttled: float = NEVER
    crowded: float = 0.0
    starved: float = NEVER
    container: str = ""
    node: str = ""
    images: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    moments: tuple[Moment, ...] = ()
    endings: tuple[Ending, ...] = ()
    said: tuple[Said, ...] = ()
    checks: tuple[Check, ...] = ()
    imprints: tuple[Imprint, ...] = ()
    calls: tuple[Call, ...] = ()
    samples: tuple[Sample, ...] = ()
    blind: float = NEVER
    unmeasured: str = ""
    ledger: Ledger | None = None
    served: tuple[Served, ...] = ()
    problem: Problem | None = None

    def labelled(self, label: str) -> tuple[Exchange, ...]:
        """The exchanges of one step, in order of their start."""
        return tuple(x for x in self.exchanges if x.label == label)

    def moment(self, name: str, clone: int = 0) -> float:
        """When something first happened to a clone, or NEVER."""
        return next((m.at for m in self.moments if (m.name, m.clone) == (name, clone)), NEVER)

    def played(self, label: str) -> tuple[Check, ...]:
        """The scenes of one play."""
        return tuple(each for each in self.checks if each.label == label)

    @property
    def ending(self) -> Ending | None:
        """How the application's container of the first clone ended."""
        own = (e for e in self.endings if (e.container, e.clone) == (self.container, 0))
        return next(own, None)
