"""ERR-002: a server error is logged as one structured line, proven on a clone.

The line is looked for where it is written; only counts and names of declared fields come here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.drills import trial
from readiness.drills.answered import timeline_of
from readiness.drills.arms import boot_seconds
from readiness.drills.subject import drill_subject
from readiness.model import Outcome, Safety, Severity, Verdict
from readiness.request import Answers, DrillRequest, Request, Timeline
from readiness.script import Arm
from readiness.step import Boot, Logs, Meter, Pause, Send
from readiness.timeline import Said

LABEL: Final = "trigger"
WITHIN: Final = 10.0
AGAIN: Final = 2.0
"""How long after the first line a second one of the same error is waited for."""


def ask(subject: Subject) -> tuple[Request, ...]:
    """One clone, one request that fails, its log twice: when the line is there, and a little later."""
    errors = subject.target.errors
    if errors is None or subject.workload is None or not drill_subject(subject).port:
        return ()
    about = errors.trigger.partition("?")[0]
    look = Logs(LABEL, about=about, fields=errors.log_fields, within=WITHIN)
    boot = (Meter(), Boot(boot_seconds(subject)))
    steps = (*boot, Send(LABEL, errors.trigger), look, Pause(AGAIN), look)
    return (DrillRequest(drill_subject(subject), Arm("error", steps)),)


def judge(subject: Subject, answers: Answers) -> Verdict:
    """The answer first: only a server error must be logged."""
    if subject.target.errors is None:
        return trial.undeclared(
            subject,
            "errors: {trigger: /boom}",
            "no path is declared that provokes a server error",
        )
    asked = ask(subject)
    if not asked:
        return trial.not_asked(subject)
    verdict = trial.proven(timeline_of(subject, answers, asked[0]), _judge)
    return replace(verdict, where=subject.where, via="drill/error")


def _judge(seen: Timeline) -> Verdict:
    if (problem := _unprovoked(seen)) is not None:
        return problem
    return _judge_log(seen.said[-1]) if seen.said else unknown("LogNotRead", "the clone's log was not read")  # fmt: skip


def _unprovoked(seen: Timeline) -> Verdict | None:
    sent = next(iter(seen.labelled(LABEL)), None)
    if sent is not None and sent.answered and sent.status >= 500:
        return None
    if sent is not None and sent.outcome in (Outcome.RESET, Outcome.MALFORMED):
        return failed(
            "NotAnswered", "an error inside ends the connection instead of the request",
            expected="an answer of 5xx", observed="a broken connection",
            fix="catch what handlers raise in one place, and answer 500",
        )  # fmt: skip
    observed = str(sent.status) if sent is not None and sent.answered else "no answer"
    return unknown(
        "ControlArmFailed", "errors.trigger does not provoke a server error on a clone",
        expected="an answer of 5xx", observed=observed,
        fix="declare a path that fails inside, or let the clone have what its handler needs",
    )  # fmt: skip


def _judge_log(said: Said) -> Verdict:
    expected = "one JSON line that names the path and has every field of errors.logFields"
    if said.complete == 1:
        return passed("Logged", "a server error is logged as one structured line")
    if said.complete:
        return failed(
            "LoggedTwice", "one server error is logged as several lines of the same kind",
            expected=expected, observed="more than one",
            fix="log it in one place; if the other line is the access log's, add a key that only the "
            "error's line has to errors.logFields",
        )  # fmt: skip
    if said.structured:
        return failed(
            "FieldsMissing", "the line of a server error lacks what is needed to find and count it",
            expected=expected, observed=f"without {', '.join(said.lacking)}",
            fix="add the fields, or declare what the application calls them in errors.logFields",
        )  # fmt: skip
    if said.mentions:
        return failed(
            "NotStructured", "a server error is logged as plain text", expected=expected,
            observed="lines that name the path and are not JSON", fix="log one JSON object per line",
        )  # fmt: skip
    return failed(
        "NotLogged", "a server error is not logged", expected=expected, observed="no line names the path",
        fix="log what handlers raise in one place, with path, method, status, timestamp and message",
    )  # fmt: skip


PLUGINS: Final = (
    Control(
        id="ERR-002",
        title="Server errors are logged as structured JSON",
        severity=Severity.P1,
        criterion="A GET of errors.trigger on a clone is answered with 5xx, and within 10 s its log holds exactly one JSON "
        "line that names the path and has a value for each of errors.logFields (path, method, status, timestamp, message).",
        fix="log what handlers raise in one place, as one JSON object per line",
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("errors",),
        ask=ask, judge=judge,
        checklists=("000/7.1", "000/7.2", "000/7.5"),
    ),
)  # fmt: skip
