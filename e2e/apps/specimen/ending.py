"""How the specimen ends. One value, so that a defect of the end changes one part of it and nothing else."""

import signal
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class End:
    """What a signal leads to: `drain` makes of the setting how long requests under way may take, `code` is the exit code.

    `accepts`: new connections are still taken; `lingers`: so many seconds pass although nothing was under way.
    """

    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)
    drain: Callable[[float], float] = float
    accepts: bool = False
    lingers: float = 0.0
    code: int = 0
