"""The steps that an arm of a drill is made of: values that say what is done to a clone.

A control composes them, `engines/drill` carries them out; neither is known here. Times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from readiness.disturbance import Audit, Oust, Record, Recover, Whole
from readiness.scenario import Scene


@dataclass(frozen=True, slots=True)
class Boot:
    """Create the clone and wait until it is Ready, or its container has ended, `within` seconds.

    `succeed` False: both endings are answers (fail-fast start-up); otherwise anything but Ready
    ends the arm with a problem. Each further Boot of an arm brings another clone, on which the steps after it act.
    """

    within: float
    succeed: bool = True
    step: Literal["boot"] = "boot"


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing, for some seconds."""

    seconds: float
    step: Literal["pause"] = "pause"


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: `text`, or `size` bytes of filling that a parser of `kind` has to keep.

    Of these at most `ration` are sent (0: all), the last of them `hold` seconds after the rest. A
    `chunked` one does not announce its length.
    """

    kind: str = "application/json"
    text: str = ""
    size: int = 0
    ration: int = 0
    hold: float = 0.0
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """As soon as the next clone's container runs, to its end: what it uses, every `every` seconds, beside the steps that follow."""

    every: float = 1.0
    step: Literal["meter"] = "meter"


@dataclass(frozen=True, slots=True)
class Metered:
    """Wait for the meter's first sample, or for why there is none, at most `within` seconds."""

    within: float
    step: Literal["metered"] = "metered"


@dataclass(frozen=True, slots=True)
class Send:
    """Requests on fresh connections: `times` in a row, each of them `parallel` at once.

    `seconds` is how long the application was asked to take (0: as it likes); with `measure` the
    answers prove how many it works on at the same time, which bounds what `Flow` opens.
    """

    label: str
    path: str
    method: str = "GET"
    times: int = 1
    parallel: int = 1
    seconds: float = 0.0
    measure: bool = False
    body: Body | None = None
    step: Literal["send"] = "send"


@dataclass(frozen=True, slots=True)
class Hold:
    """Open keep-alive connections, have each serve one request, then leave them idle.

    After the signal a second request goes over each, one after every delay of `reuse_after`.
    """

    label: str
    path: str
    reuse_after: tuple[float, ...] = ()
    count: int = 2
    step: Literal["hold"] = "hold"


@dataclass(frozen=True, slots=True)
class Flow:
    """From now on until the clone takes no more: waves of `size` slow requests `every` seconds.

    Durations alternate within a wave. Never more are open than the last measuring `Send` proved,
    less one where more than one is possible, so that other requests find a free worker.
    """

    label: str
    paths: tuple[tuple[float, str], ...]
    size: int
    every: float
    step: Literal["flow"] = "flow"


@dataclass(frozen=True, slots=True)
class Knock:
    """From now on until the exit: a fresh connection with one fast request `every` seconds."""

    label: str
    path: str
    every: float = 0.1
    most: int = 300
    step: Literal["knock"] = "knock"


@dataclass(frozen=True, slots=True)
class Stop:
    """End the clone: by deleting the pod with its own grace, or by a signal to its container."""

    signal: str = ""
    step: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True)
class Exit:
    """Wait until the application's container has ended, at most `within` seconds, and until `watched` after it was told to."""

    within: float
    watched: float = 0.0
    step: Literal["exit"] = "exit"


@dataclass(frozen=True, slots=True)
class Linger:
    """Wait for the application's container to end by itself; that it does not is an answer, too."""

    within: float
    step: Literal["linger"] = "linger"


@dataclass(frozen=True, slots=True)
class Logs:
    """Read the container's log until it holds everything asked for, at most `within` seconds.

    `words` are expressions, each to be found in a line; `about` is a text that lines of interest
    hold, and `fields` the keys that one of them, being JSON, must have; `number` is a key of which lines that hold a
    word tell an integer. What else it says stays there.
    """

    label: str
    words: tuple[str, ...] = ()
    about: str = ""
    fields: tuple[str, ...] = ()
    number: str = ""
    within: float = 3.0
    step: Literal["logs"] = "logs"


@dataclass(frozen=True, slots=True)
class Play:
    """Scenes of a scenario in order, up to the first that does not hold. What they extract, later plays of the arm know.

    `{seconds}` becomes `seconds`. A scene that may be repeated gets `longer` seconds more. `succeed` False: that one
    does not hold is an answer; otherwise it ends the arm with a problem.
    """

    label: str
    scenes: tuple[Scene, ...]
    seconds: int = 0
    longer: float = 0.0
    succeed: bool = True
    step: Literal["play"] = "play"


@dataclass(frozen=True, slots=True)
class Fault:
    """Switch an upstream, or the gate of a store, for this clone alone, `after` so many more requests.

    `of` is its name, `mode` one of `drills/sink.py`.
    """

    of: str
    mode: str
    after: int = 0
    step: Literal["fault"] = "fault"


@dataclass(frozen=True, slots=True)
class Ask:
    """Request a health endpoint again until it says what is waited for; that it never does is an answer.

    It is `ill` by a status of 500 and more, or by one of `words` (expressions) which it did not say
    when it was first asked in this arm; else, with 200, it is well.
    """

    label: str
    path: str
    words: tuple[str, ...] = ()
    ill: bool = False
    within: float = 10.0
    every: float = 0.5
    step: Literal["ask"] = "ask"


@dataclass(frozen=True, slots=True)
class Calls:
    """Read what the clone has asked of an upstream since it was last read: `least` calls, if they come `within` seconds.

    `last`: until each has ended, and for a while none has followed.
    """

    label: str
    of: str
    least: int = 1
    within: float = 30.0
    last: bool = False
    step: Literal["calls"] = "calls"


@dataclass(frozen=True, slots=True)
class Peek:
    """What throw-away stores hold in some places, as digests: a store, a key, and the field of a hash or nothing."""

    label: str
    places: tuple[tuple[str, str, str], ...]
    step: Literal["peek"] = "peek"


Step = (
    Boot
    | Pause
    | Meter
    | Metered
    | Send
    | Hold
    | Flow
    | Knock
    | Stop
    | Exit
    | Linger
    | Logs
    | Play
    | Fault
    | Ask
    | Calls
    | Peek
    | Whole
    | Record
    | Oust
    | Recover
    | Audit
)
