"""The steps in which the primary of a live data service is taken away, and writes to it are kept account of.

Values that arms of class disruptive are made of; `engines/failover` carries them out. Times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Whole:
    """Wait until every member follows, at most `within` seconds. `succeed` False: that it does not is an answer;
    otherwise it ends the arm with a problem."""

    within: float
    succeed: bool = True
    step: Literal["whole"] = "whole"


@dataclass(frozen=True, slots=True)
class Record:
    """From now on, until the audit: one write after the other, each when the one before is acknowledged or has failed.

    And every application is asked once a second.
    """

    every: float = 0.01
    step: Literal["record"] = "record"


@dataclass(frozen=True, slots=True)
class Oust:
    """Evict the primary's pod; wait until another member is the primary and takes writes, at most `within` seconds.

    `grace` None: with the pod's own grace, so that it hands over. With one of its own, whoever takes the
    pod's place is evicted as well, as long as nobody else is the primary.
    """

    within: float
    grace: int | None = None
    step: Literal["oust"] = "oust"


@dataclass(frozen=True, slots=True)
class Recover:
    """Wait until every application answers well again, or one has not for `within` seconds."""

    within: float
    step: Literal["recover"] = "recover"


@dataclass(frozen=True, slots=True)
class Audit:
    """Write no more, read back what was acknowledged, at most `within` seconds, and delete it."""

    within: float
    step: Literal["audit"] = "audit"
