"""What is told of a change of primary: when, from whom to whom, why, and for how long nobody was it.

Level-based: what a pass sees of the primary's end is kept in the row of the status until another one
is there, so that an operator that starts anew goes on from it. Pure. Looks are five seconds apart,
and so is what is told of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from readiness.dataservices.roll import outdated
from readiness.model import Manifest
from readiness.snapshot import Seen, Switched
from readiness.workload import stamp_of

SHORTLY: Final = 30.0
"""Seconds by which an end may come before the first look that misses the primary."""


class Cause(StrEnum):
    """Why a primary was followed by another."""

    REPLACED = "Replaced"
    """The operator replaced its pod, for another template."""
    STOPPED = "Stopped"
    """Its pod was deleted or evicted by somebody."""
    HANDED_OVER = "HandedOver"
    """It runs on, and follows now: somebody ordered it."""
    CRASHED = "Crashed"
    """Its server ended by itself, or was killed."""
    DRILLED = "Drilled"
    """The failover drill evicted its pod."""
    UNREACHABLE = "Unreachable"
    """It did not answer the others any more, and nothing is known of an end."""


def failover_rows(seen: Seen | None, old: Manifest, pods: Sequence[Manifest], sets: Iterable[Manifest], now: str) -> Manifest:  # fmt: skip
    """`primary`, `primaryLoss` while one is missed or about to go, and `lastFailover`, as far as there is each."""
    before, primary = old.get("primary", ""), seen.primary if seen else ""
    loss = dict(old.get("primaryLoss") or {})
    if seen is not None and before:
        loss = _loss(seen, before, loss, (_end(before, pods, sets), now))
    if primary in ("", before) or not before:
        found = {"primary": primary or before, "primaryLoss": loss, "lastFailover": old.get("lastFailover")}  # fmt: skip
        return {key: value for key, value in found.items() if value}
    return {"primary": primary, "lastFailover": _told(seen, before, loss, pods, now)}


def drilled_row(switched: Switched, now: str) -> Manifest:
    """`lastFailover` as a drill measured it."""
    return {
        "at": now, "from": switched.before, "to": switched.after, "cause": Cause.DRILLED,
        "seconds": switched.seconds, "lost": switched.lost,
    }  # fmt: skip


def _loss(seen: Seen, before: str, loss: Manifest, now: tuple[str, str]) -> Manifest:
    """Since when nobody is primary, and how the last one ends; nothing once it is back and stays."""
    end, moment = now
    if _leads(seen, before) and not end:
        return {}
    kept = loss if loss.get("since") or end or loss.get("cause") else {}
    if end and not kept.get("cause"):
        kept = {**kept, "cause": end}
    return kept if _leads(seen, before) or kept.get("since") or seen.primary not in ("", before) else {**kept, "since": moment}  # fmt: skip


def _leads(seen: Seen, name: str) -> bool:
    """Whether it is the primary, and says so itself."""
    member = next((m for m in seen.members if m.name == name), None)
    return seen.primary == name and (member is None or bool(member.role))


def _end(name: str, pods: Iterable[Manifest], sets: Iterable[Manifest]) -> str:
    """How a pod is about to end, if it is."""
    pod = next((each for each in pods if each["metadata"]["name"] == name), None)
    if pod is None or not pod["metadata"].get("deletionTimestamp"):
        return ""
    return Cause.REPLACED if outdated(sets, (pod,)) else Cause.STOPPED


def _told(seen: Seen | None, before: str, loss: Manifest, pods: Sequence[Manifest], now: str) -> Manifest:  # fmt: skip
    since = loss.get("since", "")
    seconds = max(0, round(stamp_of(now) - stamp_of(since))) if since else 0
    cause = loss.get("cause") or _cause(seen, before, pods, stamp_of(since or now) - SHORTLY)
    told = {"at": now, "from": before, "to": seen.primary if seen else "", "cause": cause, "seconds": seconds}  # fmt: skip
    return {key: value for key, value in told.items() if value != ""}


def _cause(seen: Seen | None, before: str, pods: Iterable[Manifest], after: float) -> str:
    """From what is left of the primary: its pod, its containers, its server."""
    pod = next((each for each in pods if each["metadata"]["name"] == before), None)
    if pod is None or stamp_of(pod["metadata"].get("creationTimestamp")) >= after:
        return Cause.STOPPED
    ends = (_ended(status) for status in (pod.get("status") or {}).get("containerStatuses") or ())
    if any(end >= after for end in ends if end):
        return Cause.CRASHED
    member = next((m for m in seen.members if m.name == before), None) if seen else None
    return Cause.HANDED_OVER if member is not None and member.role else Cause.UNREACHABLE


def _ended(status: Manifest) -> float:
    """When a container last ended."""
    ends = ((status.get(at) or {}).get("terminated") or {} for at in ("state", "lastState"))
    return max((stamp_of(end.get("finishedAt")) for end in ends), default=0.0)
