"""What is wrong with how a container ended: its code, the kubelet's kill, memory, the time it took.

Shared by the controls that judge an end; each returns None when nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from readiness.control import failed, unknown
from readiness.drills import remedies
from readiness.drills.reading import Seen
from readiness.model import Verdict

TOLERANCE: Final = 2.0
"""Seconds that an end may be off: the kubelet's own, and its clock's resolution."""
_SIGNALS: Final = {132: "SIGILL", 134: "SIGABRT", 135: "SIGBUS", 136: "SIGFPE", 137: "SIGKILL", 139: "SIGSEGV"}  # fmt: skip
_WHEN: Final = {
    "idle": "with nothing open", "held": "with idle connections open", "stuck": "with a request that never ends",
    "waves": "with requests in flight", "drain-env": "with a shorter drain", "sigint": "after SIGINT",
}  # fmt: skip


def when(seen: Seen) -> str:
    """What the arm was about: `with nothing open`."""
    return _WHEN[seen.timeline.arm]


def wrong_end(seen: Seen, codes: Collection[int]) -> Verdict | None:
    """An end that was not the application's own, or says that something went wrong."""
    expected = f"exit code {' or '.join(map(str, sorted({*codes})))}"
    if seen.ending.reason == "OOMKilled":
        return failed("OOMKilled", f"it runs out of memory while it stops {when(seen)}",
                      expected=expected, observed="OOMKilled", fix=remedies.MEMORY)  # fmt: skip
    if seen.killed:
        alone = seen.timeline.arm == "idle"
        return failed(
            "KilledAtGrace",
            f"{when(seen)} it does not end by itself: the kubelet kills it when the grace period is over",
            expected=expected, observed="SIGKILL at the end of terminationGracePeriodSeconds",
            fix=remedies.HANDLE if alone else f"{remedies.HANDLE}. Or {remedies.BOUND}",
        )  # fmt: skip
    code = seen.ending.code
    if code in codes:
        return None
    observed = f"exit code {code}" + (f" ({_SIGNALS[code]})" if code in _SIGNALS else "")
    return failed(
        "Crashed" if code in _SIGNALS else "ExitCode", f"{when(seen)} it ends with {observed}",
        expected=expected, observed=observed, fix=remedies.CODE,
    )  # fmt: skip


def late_end(seen: Seen, drain: float) -> Verdict | None:
    """An end after the drain, or one of which nobody can say."""
    soon = seen.took.within(drain + TOLERANCE)
    if soon is None:
        return unclear()
    return None if soon else failed(
        "DrainExceeded", f"{when(seen)} it takes longer to end than its drain",
        expected=f"an end within {drain:g} s of the signal", observed="a later one",
        fix=f"{remedies.BOUND}; or declare the drain it really has",
    )  # fmt: skip


def unclear() -> Verdict:
    """Nobody can say when the signal came."""
    return unknown(
        "SignalTimeUnknown", "the preStop hook hides when SIGTERM came, and nothing else shows it",
        expected="a known time of the signal", observed="a hook of unknown duration", fix=remedies.SLEEP,
    )  # fmt: skip
