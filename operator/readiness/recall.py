"""After a restart: the last findings stand, as the report tells them, until they are looked at again.

Without this, every restart would turn each probed policy Unknown for some seconds. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from readiness.api.durations import seconds
from readiness.control import asks_nothing
from readiness.evidence import DRILLS, RENEW_AT, Look, Memory
from readiness.model import Manifest, Result, Verdict
from readiness.rules import Rules
from readiness.waivers import epoch

SPREAD_SECONDS = 60.0
EARLIER = "earlier"
"""What evidence is bound to that stands from a template before the report's."""


def needs_recall(policy: Manifest) -> bool:
    """Whether the policy was judged before by looks, or real ends of pods, that a restart forgot."""
    spec, status = policy.get("spec") or {}, policy.get("status") or {}
    conditions: list[Manifest] = status.get("conditions") or []
    probed = [
        c for c in conditions if c["type"] == "ProbesPassing" and c["reason"] != "NothingDeclared"
    ]
    more = spec.get("controls") or set(spec.get("profiles") or ()) - {"baseline"}
    return bool(status.get("targets")) and bool(probed or more)


def recalled(reports: Iterable[Manifest], rules: Rules, now: float) -> Memory:
    """The evidence the reports hold. Looks are due at once, spread over a minute."""
    memory: dict[tuple[str, str], Look] = {}
    for body in (r.get("report") or {} for r in reports):
        revision = recalled_key(body.get("imageDigest", ""), body.get("templateHash", ""))
        for row in body.get("results") or ():
            control = rules.controls.get(row["id"])
            if control is None or control.ask is asks_nothing:
                continue
            verdict = _verdict(row)
            if verdict is not None:
                place = (row["id"], row.get("target", ""))
                memory[place] = _look(revision, verdict, row, (now, now + _spread(place)))
    return memory


def _look(revision: str, verdict: Verdict, row: Manifest, times: tuple[float, float]) -> Look:
    """As it was: a cheap look is repeated soon, a drill when it would have been."""
    now, soon = times
    revised = epoch(row["revisedAt"]) if row.get("revisedAt") else 0.0
    key = EARLIER if revised else revision
    if not row.get("drilledAt"):
        return Look(key, verdict, at=now, due=soon, revised_at=revised)
    at, wait = epoch(row["drilledAt"]), RENEW_AT * seconds(row.get("maxAge") or "1h")
    if not verdict.result.holds:
        failed = verdict.result is Result.FAIL
        wait = min(wait, DRILLS.failed_after if failed else DRILLS.unproven_after)
    return Look(key, verdict, at=at, due=max(at + wait, soon), revised_at=revised)


def recalled_key(digest: str, template: str) -> str:
    """What recalled evidence is bound to, until a pass binds it to what it would ask now."""
    return f"{digest}/{template}"


def _spread(place: tuple[str, str]) -> float:
    return (sum(map(ord, "".join(place))) % 600) / 600 * SPREAD_SECONDS


def _verdict(row: Manifest) -> Verdict | None:
    result = Result(row.get("actual") or row["result"])
    if result in (Result.BLOCKED, Result.OPT_IN_REQUIRED) or row["reason"] in (
        "Stale",
        "NotYetObserved",
    ):
        return None
    message = row.get("message", "")
    if row.get("actual"):
        message = message.partition(": ")[2]
    return Verdict(
        result, row["reason"], message, row.get("expected", ""), row.get("observed", ""),
        row.get("fix", ""), row.get("subject", ""), row.get("via", ""),
        row.get("confidence", ""), row.get("evidence", ""),
    )  # fmt: skip
