"""What an application asked of an upstream, read from the calls of one arm: attempts and the gaps between them.

What they mean for a requirement is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from readiness.control import unknown
from readiness.drills.faulting import GUARD, PHASE
from readiness.model import Verdict
from readiness.timeline import Call, Exchange, Timeline

EQUAL: Final = 0.05
CLOSE: Final = 0.01
"""Gaps that differ by less are alike: a share of the longer, or seconds."""
GROWTH: Final = 1.5
TELLING: Final = 0.1
"""Below this a gap is no waiting, and says nothing about jitter."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """One request to the application under a fault, and every call of the upstream that it led to."""

    calls: tuple[Call, ...]
    answer: Exchange

    @property
    def gaps(self) -> tuple[float, ...]:
        """From the end of a call to the next one."""
        pairs = zip(self.calls, self.calls[1:], strict=False)
        return tuple(max(0.0, after.at - before.end) for before, after in pairs)

    @property
    def lasted(self) -> float:
        """From the first to the last."""
        return self.calls[-1].at - self.calls[0].at if self.calls else 0.0

    @property
    def one_key(self) -> bool:
        """Whether all carry the same Idempotency-Key."""
        return len({call.key for call in self.calls}) == 1 and bool(self.calls[0].key)


def uncalled(name: str, calls: Iterable[Call], of: str) -> Verdict | None:
    """Why what reached the sink proves nothing; None when a request was read."""
    seen = {call.outcome for call in calls}
    if seen - {"tls", "malformed"}:
        return None
    if "tls" in seen:
        return unknown(
            "SpeaksTLS", f"upstream {name} is called with TLS although its URL says http",
            expected="a call over plain HTTP", observed="a TLS handshake",
            fix=f"let the scheme of {of} decide, so that a drill can answer in its place",
        )  # fmt: skip
    if seen:
        return unknown("NotHTTP", f"upstream {name} is called in another language than HTTP/1.1",
                       fix="such an upstream cannot be played by the drill's sink")  # fmt: skip
    return unknown(
        "NotCalled", f"the declared call does not make the application call upstream {name}",
        expected="a call of the sink", observed="none",
        fix="correct the path, method or body of the upstream's call; see CFG-012",
    )  # fmt: skip


def guarded(name: str, seen: Timeline, of: str) -> Verdict | None:
    """Why an arm proves nothing: without a fault it does not call, or cannot live with our echo."""
    wrong = uncalled(name, (c for c in seen.calls if c.label == GUARD), of)
    answer = next(iter(seen.labelled(GUARD)), None)
    if wrong is not None or (answer is not None and answer.answered and answer.status < 500):
        return wrong
    return unknown(
        "EchoNotUnderstood", f"the application cannot work with what the drill's sink answers for upstream {name}",
        expected="an answer below 500 while the sink echoes", observed="a server error, or none",
        fix="declare a call that passes on what the upstream answers, without reading it",
    )  # fmt: skip


def attempts_of(name: str, seen: Timeline) -> Attempts | Verdict:
    """The attempts under the fault of what was called once without it."""
    usual = [call for call in seen.calls if call.label == GUARD and call.method]
    first = (usual[0].method, usual[0].path)
    if sum((call.method, call.path) == first for call in usual) > 1:
        return unknown(
            "CalledSeveralTimes", f"one request calls upstream {name} several times alike: repetitions cannot be told",
            expected="one call", observed="several", fix="declare a call that leads to one",
        )  # fmt: skip
    calls = [c for c in seen.calls if c.label == PHASE and (c.method, c.path) == first]
    done = next((nth for nth, call in enumerate(calls, 1) if 0 < call.status < 500), len(calls))
    answer = next(iter(seen.labelled(PHASE)), None)
    found = Attempts(tuple(calls[:done]), answer) if answer is not None else None
    if found is None or not found.calls:
        return unknown("NotCalled", f"upstream {name} was not called once more when it failed",
                       fix="see whether something remembers its last answer")  # fmt: skip
    return found


def grows(runs: Iterable[Attempts]) -> bool | None:
    """Whether gaps grow over runs that all failed; None where they vary too much to tell."""
    long = [run.gaps for run in runs if len(run.gaps) > 1]
    every = [gap for gaps in long for gap in gaps]
    if long and max(every) < TELLING:
        return False
    if not long or sum(g[-1] for g in long) >= GROWTH * sum(g[0] for g in long):
        return True
    return False if max(every) <= GROWTH * min(every) else None


def alike(runs: Iterable[Attempts]) -> bool:
    """Whether the same gap is the same in every run: then instances retry at the same time, too."""
    lists = [run.gaps for run in runs if run.gaps]
    columns = [[g[nth] for g in lists if len(g) > nth] for nth in range(max(map(len, lists), default=0))]  # fmt: skip
    compared = [column for column in columns if len(column) > 1]
    telling = [column for column in compared if max(column) >= TELLING] or compared
    return bool(telling) and all(_equal(min(c), max(c)) for c in telling)


def _equal(low: float, high: float) -> bool:
    return high - low <= max(EQUAL * high, CLOSE)
