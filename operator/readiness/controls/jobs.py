"""SHD-007, 009: jobs that are under way when the application stops are told, and are not lost.

Judged from which declared steps held on which clone, and from the integers of one declared key of the log. How a
job is started and looked for is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from readiness.control import Control, Subject, declaration, failed, passed, unknown
from readiness.drills import trial
from readiness.drills.answered import timeline_of
from readiness.drills.arms import terms_of
from readiness.drills.jobs import job_seconds, requests_of, scenario_of
from readiness.drills.reading import LAG
from readiness.model import Result, Safety, Severity, Verdict
from readiness.request import Answers, Request, Timeline
from readiness.scenario import JOB
from readiness.timeline import NEVER, Check

_COUNTS: Final = {"jobs-0": 0, "jobs-1": 1}
REQUEUE: Final = (
    "acknowledge a job when its work is done and not before; at SIGTERM hand back what cannot be finished "
    "(basic.nack with requeue, a lease that is given up), and close the connection so that the broker does it otherwise"
)
ONCE: Final = "write the effect under the job's own id, so that doing it again changes nothing"
OUTSIDE: Final = (
    "keep jobs in a store that outlives the process, and declare it in dataServices and uses"
)
LOG: Final = "at SIGTERM log one JSON line with the number of jobs under way, also when it is 0"


def judge_count(subject: Subject, answers: Answers) -> Verdict:
    """SHD-007: after the signal a JSON line tells how many jobs are under way."""
    shutdown = subject.target.shutdown
    if shutdown.log_pattern is None or shutdown.jobs_field is None:
        line = f"{declaration('shutdown.logPattern')}, {declaration('shutdown.jobsField')}"
        return _undeclared(subject, f"shutdown: {{{line.replace('shutdown.', '')}}}")
    return _judged(subject, answers, partial(_count, subject), *_COUNTS)


def _count(subject: Subject, seen: Timeline) -> Verdict:
    """Lines before the signal do not count: a log may tell its jobs every minute."""
    if len(seen.said) < 2:
        return unknown("LogNotRead", "the clone's log was not read")
    before, after = seen.said[0], seen.said[-1]
    shutdown, count = subject.target.shutdown, _COUNTS[seen.arm]
    case = "with one job under way" if count else "with no job under way"
    expected = f"a JSON line after SIGTERM that matches {shutdown.log_pattern!r}, with {count} as {shutdown.jobs_field}"
    if after.mentions <= before.mentions:
        return failed("NotLogged", f"{case} its log does not tell their number at the end",
                      expected=expected, observed="no such line", fix=LOG)  # fmt: skip
    if after.structured <= before.structured:
        return failed("NotStructured", f"{case} its log tells the end as plain text",
                      expected=expected, observed="a line that is no JSON", fix=LOG)  # fmt: skip
    numbers = after.numbers[len(before.numbers) :]
    if not numbers:
        return failed("NoCount", f"{case} the line of the end does not tell their number",
                      expected=expected, observed=f"no integer as {shutdown.jobs_field}", fix=LOG)  # fmt: skip
    if count not in numbers:
        return failed("WrongCount", f"{case} its log tells another number of jobs at the end",
                      expected=expected, observed="another number",
                      fix="count what a worker has taken and not yet acknowledged, at the moment of the signal")  # fmt: skip
    return passed("Counted", "its log tells the number of jobs that are under way at SIGTERM")


def judge_survival(subject: Subject, answers: Answers) -> Verdict:
    """SHD-009: a job that outlasts its worker is done by another one, once."""
    return _judged(subject, answers, partial(_survival, subject), "job", "job-short")


def _survival(subject: Subject, seen: Timeline) -> Verdict:
    if seen.arm == "job-short":
        return passed("JobDone", "a short job is done when nothing disturbs it")
    wrong = _unproven(subject, seen)
    if wrong is not None:
        return wrong
    last = next((c for c in (*seen.played("done"), *seen.played("again")) if c.unmet), None)
    if last is None:
        return passed(
            "JobSurvives", "a job that outlasts the drain is done by another worker, once"
        )
    return _lost(subject, last)


def _unproven(subject: Subject, seen: Timeline) -> Verdict | None:
    """Why the job did not have to change its worker."""
    started, ending, terms = seen.played("start"), seen.ending, terms_of(subject)
    if not started or ending is None or seen.stopped == NEVER or not seen.played("done"):
        return unknown("EndNotSeen", "the end of the worker was not seen", fix="it is repeated by itself")  # fmt: skip
    over = started[0].start + job_seconds(subject)
    hook = terms.grace if terms.hook is None else terms.hook
    if over - (seen.stopped + hook + LAG) < terms.drain:
        return unknown(
            "NotStraddled", "the job may have ended within the drain: starting it took too long",
            fix="let the job's first steps hold sooner, or the node have more CPU",
        )  # fmt: skip
    if ending.at >= over:
        return unknown(
            "FinishedInstead", "it works on beyond its drain until the job is done: no other worker had to take it up",
            expected=f"an end within {terms.drain:g} s of the signal", observed="an end after the job's",
            fix="end when the drain is over and hand the job back, or declare the drain it really has",
        )  # fmt: skip
    return None


def _lost(subject: Subject, last: Check) -> Verdict:
    """A value above what is declared is an effect too many; anything else that does not hold is missing."""
    expected = "every step after `working` holds on another clone, and still does a little later"
    told = ", ".join(f"{each.what} ({each.how})" for each in last.unmet)
    observed = f"step {last.scene} does not hold: {told}"
    if any(each.how == "more" for each in last.unmet):
        return failed(
            "EffectDuplicated", "a job that outlasts the drain has its effect more than once",
            expected=expected, observed=observed, fix=ONCE,
        )  # fmt: skip
    return trial.unshared(subject, "the job") or failed(
        "JobLost", "a job that outlasts the drain is not done by another worker",
        expected=expected, observed=observed, fix=REQUEUE if subject.target.uses else OUTSIDE,
    )  # fmt: skip


def _judged(
    subject: Subject, answers: Answers, judge: Callable[[Timeline], Verdict], *names: str
) -> Verdict:
    """The worst of these arms; each proves nothing where it could not be carried out."""
    if scenario_of(subject, JOB) is None:
        return _undeclared(subject, f"scenarios: [{{name: {JOB}, steps: […]}}]")
    asked = requests_of(subject, *names)
    if not asked:
        return trial.not_asked(subject)
    verdicts = {}
    for name, request in asked.items():
        verdict = trial.proven(timeline_of(subject, answers, request), judge)
        evidence = f"{name}: {verdict.result}/{verdict.reason}"
        verdicts[name] = replace(
            verdict, where=subject.where, via=f"drill/{name}", evidence=evidence
        )
    control = verdicts.get("job-short")
    if control is not None and control.result is not Result.PASS:
        return control
    return trial.worst(verdicts.values())


def _undeclared(subject: Subject, line: str) -> Verdict:
    return trial.undeclared(
        subject,
        f"{line} (docs/drills.md has an example)",
        "nothing is declared by which a job could be started and followed",
    )


def _ask(*names: str) -> Callable[[Subject], tuple[Request, ...]]:
    return lambda subject: tuple(requests_of(subject, *names).values())


PLUGINS: Final = (
    Control(
        id="SHD-007",
        title="The number of jobs under way is logged at shutdown",
        severity=Severity.P1,
        criterion="After SIGTERM the log of a clone has a JSON line that matches shutdown.logPattern and tells the number of "
        "its jobs as an integer under shutdown.jobsField: 0 where the drill started none, 1 where it started one that a "
        "worker has. Lines before the signal do not count.",
        fix=LOG,
        safety=Safety.DRILL, max_age=trial.WEEK,
        needs=("shutdown.logPattern", "shutdown.jobsField", "scenarios.job"),
        ask=_ask(*_COUNTS), judge=judge_count,
        checklists=("000/6.3",),
    ),
    Control(
        id="SHD-009",
        title="Unfinished jobs survive shutdown",
        severity=Severity.P1,
        criterion="A job of the scenario job that outlasts the drain and the grace period (of up to 120 s) is taken by a "
        "clone, which is then deleted; on another clone with the same throw-away stores the scenario's remaining steps hold "
        "within their time and the job's length, and still hold 5 s later. A short job that nothing disturbs is done first.",
        fix=REQUEUE,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("scenarios.job",),
        ask=_ask("job", "job-short"), judge=judge_survival,
        checklists=("000/6.3", "000/6.4"),
    ),
)  # fmt: skip
