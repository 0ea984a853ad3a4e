"""CFG-009: routes for developers are closed in production.

A route counts as open only when it answers unlike a route that cannot exist: a single-page
application serves its shell for every path. At most ten GETs per hop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.model import Safety, Severity, Verdict
from readiness.probing import MAX_AGE, Case, Probe, across, get, missing, ways
from readiness.reading import like_missing, stays_on
from readiness.request import Hop, HttpAnswer, HttpRequest, Outcome

PATHS: Final = (
    "/.env",
    "/.git/HEAD",
    "/actuator/env",
    "/debug/pprof/",
    "/server-status",
    "/phpinfo.php",
    "/@vite/client",
    "/__nuxt_devtools__/client/",
)


def _cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    declared = subject.target.http.debug_paths if subject.target.http else ()
    for path in declared or PATHS:
        request, baseline = get(hop, path), missing(subject, hop)
        yield Case((*baseline, request), partial(_judge, (*baseline, request), path), partial=True)


def _judge(
    requests: tuple[HttpRequest, ...], path: str, answers: tuple[HttpAnswer, ...]
) -> Verdict:
    *absent, answer = answers
    if any(not a.answered or a.status >= 500 for a in absent):
        return unknown(
            "ControlArmFailed", "a route that does not exist is not answered properly, so nothing can be compared",
            fix="see why the application answers 5xx or not at all",
        )  # fmt: skip
    routes = [(r.path, a) for r, a in zip(requests, absent, strict=False)]
    if _closed(requests[-1].path, answer, routes):
        return passed("DebugClosed", "debug and development routes are closed")
    unseen = _unseen(path, answer)
    if unseen is not None:
        return unseen
    return failed(
        "DebugOpen", f"GET {path} is open",
        expected="401, 403, 404, or the answer of a route that does not exist",
        observed=f"{answer.status}, unlike a route that does not exist",
        fix=f"turn {path} off in production, or close it in the application; http.debugPaths replaces the list",
    )  # fmt: skip


def _closed(path: str, answer: HttpAnswer, routes: Sequence[tuple[str, HttpAnswer]]) -> bool:
    """A connection closed without a word is a refusal too: some servers hide dotfiles that way."""
    if not answer.answered:
        return answer.outcome is Outcome.RESET
    if 400 <= answer.status < 500 or like_missing(answer, path, routes):
        return True
    return 300 <= answer.status < 400 and not stays_on(answer, path)


def _unseen(path: str, answer: HttpAnswer) -> Verdict | None:
    if not answer.answered:
        return unknown("Unreachable", f"GET {path} gets no answer ({answer.outcome})",
                       fix="a route that hangs ties up workers: answer 404")  # fmt: skip
    if answer.status >= 500:
        return unknown("ServerError", f"GET {path} is answered {answer.status}: something stands there and fails",
                       fix=f"remove the route, or answer 404 to {path}")  # fmt: skip
    if answer.status >= 300:
        return unknown("Redirected", f"GET {path} is redirected to the same path elsewhere; what is there was not seen",
                       fix=f"answer 404 to {path}, or declare the address it leads to")  # fmt: skip
    return None


_PROBE: Final = Probe(ways, _cases, across)

PLUGINS: Final = (
    Control(
        id="CFG-009",
        title="Debug and development routes are closed",
        severity=Severity.P0,
        criterion=f"{', '.join(PATHS)} (or http.debugPaths) answer 4xx, or like a route that does not exist",
        fix="turn development tools off in production; serve no dotfiles",
        ask=_PROBE.ask,
        judge=_PROBE.judge,
        safety=Safety.BENIGN,
        max_age=MAX_AGE,
        checklists=("000/12.1",),
    ),
)
