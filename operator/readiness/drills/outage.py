"""What a failover drill does, and what its timelines mean: arms, and a verdict on each.

Pure. Whether a service may be disturbed now is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from readiness.control import failed, passed, unknown
from readiness.disturbance import Audit, Oust, Record, Recover, Whole
from readiness.drills.answered import problem_verdict
from readiness.drills.clientele import (
    RECOVERS,
    is_harmed,
    judge_served,
    told,
    uncontrolled,
)
from readiness.drills.spoiled import fair_to_live
from readiness.failover import Application, StoreSubject, longest_of
from readiness.model import Result, Verdict
from readiness.naming import PART_LABEL
from readiness.request import FailoverRequest, TrialAnswers
from readiness.script import Arm
from readiness.snapshot import Snapshot, Switched
from readiness.step import Pause
from readiness.stores import Store
from readiness.timeline import NEVER, Ledger, Timeline

CALM, HANDOVER, KILLED = "calm", "handover", "killed"
AT_ONCE: Final = 1
"""Seconds of grace of whom is to have no time to hand over."""
FOLLOWS: Final = 30.0
AGAIN: Final = 480.0
"""How long members may take until all of them follow again."""
OUSTED: Final = {HANDOVER: 150.0, KILLED: 60.0}
"""How long another primary is waited for; a hook that hands over may take its time, and writes go on meanwhile."""
QUIET: Final = 10.0
BEFORE_AND_AFTER: Final = 3.0
READ: Final = 60.0
STEADY: Final = 2.0
"""Nothing that is not disturbed lets a write wait for longer."""
LEAST: Final = 50
STANDSTILL: Final = 60.0


def arms() -> tuple[Arm, ...]:
    """In the order in which they are played, which is also that of their names."""
    calm = Arm(CALM, (Whole(FOLLOWS), Record(), Pause(QUIET), Audit(READ)))
    return (calm, _disturbed(HANDOVER, None), _disturbed(KILLED, AT_ONCE))


def store_subject(store: Store, namespace: str, applications: tuple[Application, ...] = ()) -> StoreSubject:  # fmt: skip
    """A data service that the operator provides, as the drill's Job has to know it."""
    request = store.request
    members, sentinels = (_hosts(store, namespace, sentinel=each) for each in (False, True))
    return StoreSubject(
        namespace=namespace, target=store.name, kind=store.kind, hosts=members, port=request.port,
        secret=request.app.secret if request.app else "",
        sentinels=sentinels, sentinel_port=request.sentinel_port, group=request.group, management=request.management,
        monitor=request.login.secret if request.login and store.kind == "rabbitmq" else "",
        applications=applications,
    )  # fmt: skip


def longest() -> float:
    """How long a whole drill may take."""
    return longest_of(arms())


def is_trouble(seen: Timeline) -> bool:
    """Whether nothing more must be disturbed after this arm."""
    ledger, ousted = seen.ledger, seen.moment("ousted")
    if seen.problem is not None or ledger is None or is_harmed(seen):
        return True
    if ousted == NEVER:
        return _unsteady(ledger) != "" or uncontrolled(seen) is not None
    started, ended = ledger.gap()
    return ended - started > STANDSTILL or not _whole_after(seen, ousted)


def judge_outage(seen: Mapping[str, Timeline], most_seconds: float, most_lost: int) -> Verdict:
    """The verdict on all arms; the one without a disturbance first, without which the others say nothing."""
    if missing := [arm.name for arm in arms() if arm.name not in seen]:
        return unknown("NotDrilled", f"the drill gave no answer for {missing[0]}", fix="wait for its next run")  # fmt: skip
    calm = seen[CALM]
    if (verdict := problem_verdict(calm) or _control(calm.ledger) or uncontrolled(calm)) is not None:  # fmt: skip
        return verdict
    lost = {HANDOVER: 0, KILLED: most_lost}
    verdicts = [
        fair_to_live(_judge(seen[name], most_seconds, lost[name]), seen[name])
        for name in (HANDOVER, KILLED)
    ]
    wrong = [v for v in verdicts if v.result is Result.FAIL] or [v for v in verdicts if not v.result.holds]  # fmt: skip
    return wrong[0] if wrong else verdicts[0]


def with_switches(snapshot: Snapshot, answers: Mapping[tuple[str, str], TrialAnswers]) -> Snapshot:
    """A snapshot with the last change of primary that each drill showed which has just ended."""
    told = {target: _switched(each) for (_, target), each in answers.items()}
    found = {target: switched for target, switched in told.items() if switched is not None}
    return (
        replace(snapshot, provided=replace(snapshot.provided, switched=found))
        if found
        else snapshot
    )


def measured(seen: Timeline) -> str:
    """What an arm has shown, in one line of evidence."""
    ledger, ousted = seen.ledger, seen.moment("ousted")
    if ledger is None:
        return f"{seen.arm}: {seen.problem.reason if seen.problem else 'nothing written'}"
    started, ended = ledger.gap(max(ousted, 0.0))
    read = f"{ledger.lost} lost" if ledger.read else "not read back"
    to = next((f", {m.detail} follows" for m in seen.moments if m.name == "primary"), "")
    return f"{seen.arm}: longest gap {ended - started:.1f} s, {ledger.acknowledged} acknowledged, {read}{to}{told(seen)}"


def _hosts(store: Store, namespace: str, *, sentinel: bool) -> tuple[str, ...]:
    """The full name of every pod of the sets that are, or are not, Sentinels."""
    return tuple(
        f"{each['metadata']['name']}-{number}.{each['spec']['serviceName']}.{namespace}.svc"
        for each in store.sets
        if (each["spec"]["template"]["metadata"]["labels"].get(PART_LABEL) == "sentinel")
        is sentinel
        for number in range(each["spec"]["replicas"])
    )


def _disturbed(name: str, grace: int | None) -> Arm:
    return Arm(
        name,
        (
            Whole(FOLLOWS), Record(), Pause(BEFORE_AND_AFTER), Oust(OUSTED[name], grace),
            Whole(AGAIN, succeed=False), Pause(BEFORE_AND_AFTER), Recover(RECOVERS), Audit(READ),
        ),
    )  # fmt: skip


def _switched(answered: TrialAnswers) -> Switched | None:
    seen = {
        r.arm.name: a
        for r, a in answered.answers.items()
        if isinstance(r, FailoverRequest) and isinstance(a, Timeline)
    }
    for arm in (KILLED, HANDOVER):
        timeline = seen.get(arm)
        if timeline is None or timeline.ledger is None or timeline.moment("primary") == NEVER:
            continue
        who = {m.name: m.detail for m in timeline.moments}
        started, ended = timeline.ledger.gap(timeline.moment("ousted"))
        return Switched(who["ousted"], who["primary"], round(ended - started), timeline.ledger.lost)
    return None


def _control(ledger: Ledger | None) -> Verdict | None:
    """Why writes that nothing disturbs prove nothing about those that something does."""
    why = _unsteady(ledger) if ledger is not None else "nothing was written"
    if not why:
        return None
    return unknown(
        "ControlArmFailed", f"without any disturbance {why}",
        expected=f"writes acknowledged every {STEADY:g} s at least, and each of them there afterwards", observed=why,
        fix="see the members' logs, and whether they have the CPU and the memory that they ask for",
    )  # fmt: skip


def _unsteady(ledger: Ledger) -> str:
    started, ended = ledger.gap()
    if ledger.acknowledged < LEAST or ended - started > STEADY:
        return "writes are not acknowledged steadily"
    if not ledger.read:
        return "what was acknowledged cannot be read back"
    return "acknowledged writes are not there" if ledger.lost else ""


def _judge(seen: Timeline, most_seconds: float, most_lost: int) -> Verdict:
    ledger, ousted = seen.ledger, seen.moment("ousted")
    if (ledger is None or ousted == NEVER) and (verdict := problem_verdict(seen)) is not None:
        return verdict
    if ledger is None or ousted == NEVER:
        return unknown("NotDrilled", f"in arm {seen.arm} nothing was disturbed", fix="wait for its next run")  # fmt: skip
    return (
        _lost(seen, ledger, most_lost)
        or _late(seen, ledger, most_seconds)
        or judge_served(seen, _way(seen))
        or _unread(seen, ledger)
        or _not_again(seen, ousted)
        or passed(
            "FailsOver",
            "when its primary goes, another one takes writes in time, and what was acknowledged is there",
        )
    )


def _lost(seen: Timeline, ledger: Ledger, most: int) -> Verdict | None:
    if ledger.lost <= most:
        return None
    if seen.arm == HANDOVER:
        return failed(
            "HandOverLosesWrites", "acknowledged writes are gone after the primary was asked to go",
            expected="every acknowledged write is there", observed="some are not",
            fix="hand over before the end: hold writes, wait until a replica has everything, promote it, then stop",
        )  # fmt: skip
    return failed(
        "FailoverLosesWrites", "acknowledged writes are gone after the primary was killed",
        expected=f"{most} lost at most" if most else "every acknowledged write is there", observed="more are not there",
        fix="acknowledge when a majority has it; where replication is asynchronous declare what may be lost: controls: [{id: HA-004, params: {maxLost: 100}}]",
    )  # fmt: skip


def _unread(seen: Timeline, ledger: Ledger) -> Verdict | None:
    if ledger.read:
        return None
    return unknown(
        "LedgerNotRead", f"what was acknowledged in arm {seen.arm} could not be read back",
        fix="it is repeated in a later window; see whether the service is well",
    )  # fmt: skip


def _late(seen: Timeline, ledger: Ledger, most: float) -> Verdict | None:
    started, ended = ledger.gap(seen.moment("ousted"))
    way = _way(seen)
    if seen.moment("primary") == NEVER:
        return failed(
            "NoFailover", f"no other member became the primary after the one there was {way}",
            expected="another primary", observed="none",
            fix="see whether those who vote agree and can reach each other: Sentinels (SENTINEL CKQUORUM), a majority of members",
        )  # fmt: skip
    if ended - started <= most:
        return None
    return failed(
        "FailoverTooSlow", f"no write was acknowledged for too long after the primary {way}",
        expected=f"{most:g} s at most", observed="longer",
        fix="find out sooner that a primary is gone (down-after-milliseconds, net_ticktime, electionTimeoutMillis), and have clients ask for it anew",
    )  # fmt: skip


def _way(seen: Timeline) -> str:
    return "was asked to go" if seen.arm == HANDOVER else "was killed"


def _not_again(seen: Timeline, ousted: float) -> Verdict | None:
    if _whole_after(seen, ousted):
        return None
    return failed(
        "NotWholeAgain", "the member that went does not follow again",
        expected=f"every member follows within {AGAIN:g} s", observed="not every member does",
        fix="see why its pod does not start, or does not catch up: kubectl describe pod, its log",
    )  # fmt: skip


def _whole_after(seen: Timeline, ousted: float) -> bool:
    return any(m.name == "whole" and m.at > ousted for m in seen.moments)
