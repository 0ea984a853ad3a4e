"""What is told of a replica set in a policy's status: who leads, what is wrong with whom, what holds it up.

Pure. Words only: positions and seconds move by themselves.
"""

from __future__ import annotations

from typing import Final

from readiness import snapshot
from readiness.dataservices.mongodb.members import Observed, State
from readiness.dataservices.mongodb.reconfigure import Wanted, plan_of
from readiness.dataservices.mongodb.steps import Held

GROWING: Final = "Growing"
_REASONS: Final = {
    State.STARTUP: "Starting", State.STARTUP2: "Syncing", State.RECOVERING: "Recovering", State.ROLLBACK: "RollingBack",
    State.REMOVED: "NotInSet", State.EMPTY: "NotInSet", State.DOWN: "Silent", State.SILENT: "Silent",
    State.UNKNOWN: "Unknown", State.ARBITER: "HoldsNoData",
}  # fmt: skip


def seen_of(wanted: Wanted, observed: Observed) -> snapshot.Seen:
    """The set as it is told; the reason is one word for what it still lacks."""
    members = tuple(_member(wanted, observed, host) for host in wanted.hosts)
    left = plan_of(wanted, observed)
    reason = left.reason if isinstance(left, Held) else GROWING if left else ""
    lags = [_lag(observed, host) for host in wanted.hosts]
    known = [lag for lag in lags if lag is not None]
    return snapshot.Seen(_pod(observed.primary), members, reason, max(known, default=None))


def _member(wanted: Wanted, observed: Observed, host: str) -> snapshot.MemberSeen:
    state = observed.at(host).state
    role = state.value.lower() if state.holds_data else ""
    late = role and observed.primary and not observed.is_close(host, wanted.lag)
    reasons = (_REASONS[state],) if not role else ("Lagging",) if late else ()
    return snapshot.MemberSeen(_pod(host), role, reasons)


def _lag(observed: Observed, host: str) -> int | None:
    mine, first = observed.at(host).optime, observed.at(observed.primary).optime
    return max(0, first.seconds - mine.seconds) if mine and first else None


def _pod(host: str) -> str:
    return host.partition(".")[0]
