"""SHD-001p, 010p: what shutdown drills ask, answered by what happens anyway. No opt-in.

The real ends of pods, and what a slow stream of requests saw of real rollouts, are in the snapshot.
What a clone alone can show, such as a time to the tenth of a second, is left to the drills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from readiness.control import Control, Subject, failed, not_applicable, passed, unknown
from readiness.drills.remedies import BOUND, CODE, HANDLE
from readiness.model import Manifest, Safety, Severity, Verdict
from readiness.passages import Passage
from readiness.passive import listed, on_workload
from readiness.terminations import KEPT, WEEK, Termination, template_of
from readiness.workload import app_container

DAY: Final = 86400.0
MONTH: Final = 30 * DAY
ENOUGH: Final = 5
AGREEING: Final = 2
ROLLOUTS: Final = 3
_DECLARE: Final = "declare spec.targets[].service, and http.public or health.path"


def judge_ends(subject: Subject, workload: Manifest) -> Verdict:
    """SHD-001p: none of the last real terminations was killed at the end of its grace period."""
    ends = _deciding(_recent(subject, workload))
    codes = subject.target.shutdown.ok_exit_codes
    killed = [e for e in ends if e.killed]
    told = "; ".join(map(str, _examples(ends, codes)))
    if len(killed) >= (1 if len(ends) >= ENOUGH else AGREEING):
        return replace(_killed(killed, ends), evidence=told)
    wrong = Counter(e.code for e in ends if e.code not in codes and not e.killed)
    if any(times >= AGREEING for times in wrong.values()):
        return replace(_wrong(wrong, codes, ends), evidence=told)
    if len(ends) < ENOUGH:
        return unknown(
            "TooFewTerminations", "too few pods have ended within 7 days to tell how it ends",
            expected=f"at least {ENOUGH} real terminations, none of them killed",
            observed=_counted(len(killed), ends) if ends else "no termination yet",
            fix="nothing to do: rollouts and scaling add to it; SHD-001 asks a clone at once, where drills are allowed",
            evidence=told,
        )  # fmt: skip
    return passed(
        "EndsInOrder", f"real terminations end before the kubelet kills them{_whose(subject, ends)}",
        observed=_counted(0, ends), evidence=told,
    )  # fmt: skip


def _recent(subject: Subject, workload: Manifest) -> list[Termination]:
    """Ends of the application's container within a week, the newest first."""
    app = (app_container(workload, subject.target.container) or {}).get("name")
    found = subject.snapshot.terminations.get(subject.target.name, ())
    mine = (e for e in found if e.container in ("", app) and subject.now - e.finished <= WEEK)
    return sorted(mine, key=lambda e: (-e.finished, e.pod))


def _deciding(ends: Sequence[Termination]) -> list[Termination]:
    """All ends of the templates that the newest ones ran: what was repaired since is not held against it."""
    templates = {e.template for e in ends[:ENOUGH]}
    return [e for e in ends if e.template in templates]


def _examples(ends: Sequence[Termination], codes: Collection[int]) -> list[Termination]:
    """As many as a report holds, from which the same verdict follows: two that are wrong alike, and the newest."""
    wrong = Counter((e.killed, e.code) for e in ends if e.killed or e.code not in codes)
    worst = max(wrong, key=lambda kind: (kind[0], wrong[kind]), default=None)
    telling = [e for e in ends if (e.killed, e.code) == worst][:AGREEING]
    others = [e for e in ends if e not in telling]
    return sorted((*telling, *others[: KEPT - len(telling)]), key=lambda e: (-e.finished, e.pod))


def _killed(killed: Sequence[Termination], ends: Sequence[Termination]) -> Verdict:
    return failed(
        "KilledAtGrace", "real pods do not end by themselves: the kubelet kills them when the grace period is over",
        expected="an end by itself after SIGTERM, within terminationGracePeriodSeconds",
        observed=_counted(len(killed), ends), fix=f"{HANDLE}. Or {BOUND}",
    )  # fmt: skip


def _wrong(wrong: Counter[int], codes: Collection[int], ends: Sequence[Termination]) -> Verdict:
    code = min(code for code, times in wrong.items() if times >= AGREEING)
    return failed(
        "ExitCode", f"real pods end with exit code {code} when they are asked to go",
        expected=f"exit code {' or '.join(map(str, sorted(codes)))}",
        observed=f"exit code {code} in {_many(wrong[code])} of {_last(ends)}", fix=CODE,
    )  # fmt: skip


def _counted(killed: int, ends: Sequence[Termination]) -> str:
    return f"{_many(killed)} killed at the end of the grace period, of {_last(ends)}"


def _last(ends: Sequence[Termination]) -> str:
    """How many and when: it moves when a pod ends, and of many pods of one day once."""
    return f"{_many(len(ends))} terminations, the last on {_day(ends[0].finished)}"


def _many(count: int) -> str:
    """Not all are remembered."""
    return str(count) if count < KEPT else f"{KEPT} or more"


def _day(epoch: int) -> str:
    return str(datetime.fromtimestamp(epoch, UTC).date())


def _whose(subject: Subject, ends: Sequence[Termination]) -> str:
    now = template_of(subject.pods)
    return "" if any(e.template == now for e in ends) else "; all of them ran earlier templates"


def judge_rollouts(subject: Subject, _workload: Manifest) -> Verdict:
    """SHD-010p: while real rollouts replaced the pods, every request through the Service was served."""
    target, service = subject.target, subject.snapshot.services.get(subject.target.name) or {}
    if not (target.http and target.http.public) and target.health is None:
        return unknown("NothingToAsk", "no path is declared that anyone may ask", fix=_DECLARE)
    if (service.get("spec") or {}).get("clusterIP") == "None":
        return not_applicable("Headless", "a headless Service has no address that clients share")
    found = subject.snapshot.passages.get(target.name, ())
    recent = (p for p in found if subject.now - p.ended <= MONTH)
    last = sorted(recent, key=lambda p: -p.ended)[:ROLLOUTS]
    lossy = [p for p in last if p.lost]
    told = "; ".join(map(str, last))
    if len(lossy) >= AGREEING:
        return replace(_lossy(lossy, last), evidence=told)
    if len(last) < AGREEING or any(p.lost for p in last[:AGREEING]):
        return unknown(
            "TooFewRollouts", "too few rollouts were watched to tell whether they lose requests",
            expected=f"{AGREEING} rollouts in a row without a lost request",
            observed=_seen(lossy, last) if last else "no rollout yet",
            fix="nothing to do: every rollout that takes 10 s or more adds to it; SHD-010 asks a clone, where drills are allowed",
            evidence=told,
        )  # fmt: skip
    return passed(
        "NothingLost", "rollouts lose no request on new and kept connections",
        observed=_seen(lossy, last), evidence=told,
    )  # fmt: skip


def _lossy(lossy: Sequence[Passage], last: Sequence[Passage]) -> Verdict:
    return failed(
        "RequestsLost", "rollouts lose requests on their way through the Service",
        expected="no connection error and no 5xx while pods are replaced",
        observed=_seen(lossy, last),
        fix="keep serving until every proxy knows: lifecycle.preStop.sleep.seconds: 5, then finish what is open; let a "
        "readinessProbe hold new pods back until they serve, and strategy.rollingUpdate.maxUnavailable: 0",
    )  # fmt: skip


def _seen(lossy: Sequence[Passage], last: Sequence[Passage]) -> str:
    """What and in how many: it moves with a rollout only."""
    kinds = listed(sorted({kind for p in lossy for kind, _ in p.lost}))
    what = f"requests {kinds}" if kinds else "requests lost"
    return f"{what} in {len(lossy)} of {len(last)} rollouts, the last on {_day(last[0].ended)}"


PLUGINS: Final = (
    Control(
        id="SHD-001p",
        title="Real pods end in order",
        severity=Severity.P1,
        criterion="Of at least 5 real terminations within 7 days (the last ones of the templates that ended last), none was "
        "killed at the end of its grace period; 2 are enough to fail, as are 2 with the same code outside "
        "shutdown.okExitCodes. Ends that the application did not decide are left out: evictions, lost nodes, memory, a "
        "shortened grace, pods that were not Ready.",
        fix="handle SIGTERM: stop accepting, finish what is open, end with 0",
        judge=on_workload(judge_ends), max_age=WEEK,
        checklists=("000/6.1", "000/6.2"),
    ),
    Control(
        id="SHD-010p",
        title="Real rollouts lose no request",
        severity=Severity.P1,
        criterion="During the last 2 rollouts within 30 days, requests through the Service (at most 2 a second, on new and "
        "kept connections, to the first of http.public, else health.path, which may answer 503) met no connection error and "
        "no 5xx; errors in 2 of the last 3 fail. A rollout counts with 20 requests and when all is well after it.",
        fix="keep serving for shutdown.propagation after the pod is deleted: lifecycle.preStop.sleep.seconds: 5",
        safety=Safety.BENIGN, needs=("service",),
        judge=on_workload(judge_rollouts), max_age=MONTH,
        checklists=("000/6.6",),
    ),
)  # fmt: skip
