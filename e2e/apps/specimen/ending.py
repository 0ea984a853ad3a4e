"""How the specimen ends. One value, so that a defect of the end changes one part of it and nothing else."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass

from specimen.http import Application, Open

Under = Callable[[Application, asyncio.Event], Application]
"""The application as it answers what is under way; the event says that the signal has come."""


@dataclass(frozen=True)
class End:
    """What a signal leads to: `drain` makes of the setting how long requests under way may take, `code` is the exit code.

    `accepts`: new connections are still taken; `keeps`: idle ones stay open and are served. `lasts`: so many seconds it takes
    at least where all is finished, by what was open when the signal came.
    """

    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)
    drain: Callable[[float], float] = float
    accepts: bool = False
    keeps: bool = False
    lasts: Callable[[Open], float] = lambda _: 0.0
    under: Under = lambda application, _: application
    code: int = 0
