"""CFG-001, 002, 006, 007: a wrong environment stops the start, proven on clones.

Judged from what became of each clone and from whether its log held a word; no text of a log comes
here. How the clones are made and watched is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from readiness.api.durations import seconds
from readiness.control import Control, Subject, failed, not_applicable, passed, unknown
from readiness.drills import starting, trial
from readiness.drills.keeping import judge_paths
from readiness.drills.spoiled import fair
from readiness.drills.starting import Case, Start
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers, Request

Judge = Callable[[float, Case, Start], Verdict]
SAY: Final = "print one line with the name of the variable before ending"
CHECK: Final = "check the whole environment first thing at the start, and end with an error that names what is wrong"


def judge_required(subject: Subject, answers: Answers) -> Verdict:
    """CFG-001: without a required variable it does not start, and says which."""
    config = starting.config_of(subject)
    if not config.env:
        return _undeclared(subject, "config: {env: [{name: DATABASE_URL, required: true}]}")
    cases = starting.without(subject)
    if not cases:
        return not_applicable("NoRequiredVariable", "no variable is declared as required", where=subject.where)  # fmt: skip
    return _judged(subject, answers, cases, _judge_required)


def judge_invalid(subject: Subject, answers: Answers) -> Verdict:
    """CFG-002: an invalid value is refused, or replaced aloud."""
    cases = starting.with_invalid(subject)
    if not cases:
        return _undeclared(subject, 'config: {env: [{name: TTL, invalid: ["NaN", "-1", "0"]}]}')
    return _judged(subject, answers, cases, _judge_invalid)


def judge_fallback(subject: Subject, answers: Answers) -> Verdict:
    """CFG-006: what it keeps is kept, and what falls back to something that is not kept says so."""
    if (lost := judge_paths(subject)) is not None:
        return replace(lost, where=subject.where)
    cases = starting.variants(subject, "warn")
    if not cases:
        line = (
            "config: {variants: [{name: no-path, unset: [DATA_DIR], expect: warn, says: memory}]}"
        )
        return _undeclared(subject, line)
    return _judged(subject, answers, cases, _judge_fallback)


def judge_plugin(subject: Subject, answers: Answers) -> Verdict:
    """CFG-007: what is missing is missed at the start, with the words that help."""
    cases = starting.variants(subject, "refuse")
    if not cases:
        line = "config: {variants: [{name: no-plugin, set: [{name: PROVIDER, value: none}], expect: refuse, says: install}]}"
        return _undeclared(subject, line)
    return _judged(subject, answers, cases, _judge_plugin)


def _judged(subject: Subject, answers: Answers, cases: Sequence[Case], judge: Judge) -> Verdict:
    if subject.workload is None:
        return trial.not_asked(subject)
    asked = starting.requests_of(subject, cases)
    wrong = starting.read_control(subject, answers, asked)
    if wrong is not None:
        return replace(wrong, where=subject.where)
    limit = seconds(starting.config_of(subject).startup_fail)
    judged = []
    for case in cases:
        seen = starting.read_case(subject, answers, asked, case)
        verdict = (
            seen if isinstance(seen, Verdict) else fair(judge(limit, case, seen), seen.timeline)
        )
        evidence = f"{case.told}: {verdict.result}/{verdict.reason}"
        judged.append(replace(verdict, where=subject.where, via=f"drill/{case.arm.name}", evidence=evidence))  # fmt: skip
    return trial.worst(judged)


def _judge_required(limit: float, case: Case, seen: Start) -> Verdict:
    wrong = _not_refused(limit, case, seen, "StartsWithout", "HangsWithout")
    if wrong is not None:
        return wrong
    if not seen.named:
        return failed(
            "NotNamed", f"{case.told} it ends, and does not say why",
            expected="a line of its log that names the variable", observed="none does", fix=SAY,
        )  # fmt: skip
    return passed("Refuses", "without a required variable it ends at once and names it")


def _judge_invalid(limit: float, case: Case, seen: Start) -> Verdict:
    if seen.started and seen.named and not seen.idle:
        return passed("RefusesOrSays", "invalid values are refused, or replaced by a safe one and said")  # fmt: skip
    wrong = _not_refused(limit, case, seen, "AcceptsInvalid", "HangsOnInvalid")
    return wrong or passed("RefusesOrSays", "invalid values are refused")


def _judge_fallback(limit: float, case: Case, seen: Start) -> Verdict:
    if seen.ending is not None and seen.ending.code:
        return passed("EndsInstead", "it ends instead of falling back")
    if seen.idle:
        return _idle(case)
    if seen.named:
        return passed("Warns", "its log says that it falls back")
    return failed(
        "SilentFallback", f"{case.told} it goes on and does not say so",
        expected=f"a line of its log that matches {case.word!r}, or an end with an error",
        observed="neither", fix="log a warning when nothing is kept, or refuse to start",
    )  # fmt: skip


def _judge_plugin(limit: float, case: Case, seen: Start) -> Verdict:
    wrong = _not_refused(limit, case, seen, "StartsAnyway", "HangsAtStart")
    if wrong is not None:
        return wrong
    if seen.idle:
        return _idle(case)
    if not seen.named:
        return failed(
            "NoHint", f"{case.told} it ends, and does not say what would help",
            expected=f"a line of its log that matches {case.word!r}", observed="none does",
            fix="name what is missing and the command that installs it",
        )  # fmt: skip
    return passed("RefusesWithHint", "it ends at once and says what is missing")


def _not_refused(limit: float, case: Case, seen: Start, starts: str, hangs: str) -> Verdict | None:
    """Why an end was none: it started, came late, or called itself a success."""
    expected = f"an end with an error within {limit:g} s of its start"
    if seen.started:
        return failed(
            starts, f"{case.told} it starts", expected=expected, observed="Ready", fix=CHECK
        )
    if seen.late:
        return failed(
            hangs, f"{case.told} it neither starts nor ends in time", expected=expected,
            observed="it was still running then", fix=CHECK,
        )  # fmt: skip
    if seen.ending is not None and not seen.ending.code:
        return failed(
            "ExitCode", f"{case.told} it ends as if all were well", expected=expected,
            observed="exit code 0", fix="end with another exit code than 0",
        )  # fmt: skip
    return None


def _idle(case: Case) -> Verdict:
    return unknown(
        "SaidAnyway", f"what its log must hold {case.told} is there without it, too",
        expected="words that are said only then", observed=f"{case.word!r} also in the log of a complete clone",
        fix="make the variant's says more exact",
    )  # fmt: skip


def _undeclared(subject: Subject, line: str) -> Verdict:
    return trial.undeclared(subject, line, "nothing is declared that the start must refuse or say")


def _ask(cases: Callable[[Subject], Sequence[Case]], subject: Subject) -> tuple[Request, ...]:
    return starting.ask(subject, cases(subject))


PLUGINS: Final = (
    Control(
        id="CFG-001",
        title="Fail-fast on missing required variables",
        severity=Severity.P0,
        criterion="For each variable of config.env that is required, a clone without it ends within config.startupFail "
        "(30 s) of its container's start, with an exit code other than 0, never stays Ready, and a line of its log names "
        "the variable; a clone with everything starts. An image that sets the variable itself counts as starting without.",
        fix=CHECK,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("config.env",),
        ask=partial(_ask, starting.without), judge=judge_required,
        checklists=("000/1.4", "000/1.10", "000/9.5", "000/9.10", "003/1.4", "004/1.1.1-5"),
    ),
    Control(
        id="CFG-002",
        title="Invalid values are rejected",
        severity=Severity.P0,
        criterion="For each value of config.env[].invalid, a clone with it ends within config.startupFail of its start with "
        "an exit code other than 0; or it starts and its log names the variable, which the log of a complete clone does "
        "not: a safe value in its place cannot be seen from outside, so it must be said.",
        fix=CHECK,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("config.env",),
        ask=partial(_ask, starting.with_invalid), judge=judge_invalid,
        checklists=("000/1.7",),
    ),
    Control(
        id="CFG-006",
        title="No silent ephemeral fallback",
        severity=Severity.P0,
        criterion="In each variant of config.variants that expects warn, such as without the path of its data, a clone's "
        "log has a line that matches says, which the log of a complete clone has not; or it ends with an error. Each "
        "variable of config.persistentPaths is set in the template, to a path on a volume that outlives the pod.",
        fix="log a warning when nothing is kept, or refuse to start",
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("config.variants",),
        ask=partial(_ask, partial(starting.variants, expect="warn")), judge=judge_fallback,
        checklists=("000/2.8",),
    ),
    Control(
        id="CFG-007",
        title="A missing plugin fails at the start",
        severity=Severity.P0,
        criterion="In each variant of config.variants that expects refuse, such as with a provider that is not installed, "
        "a clone ends within config.startupFail of its start with an exit code other than 0, and a line of its log matches "
        "says.",
        fix="name what is missing and the command that installs it, and end with an error",
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("config.variants",),
        ask=partial(_ask, partial(starting.variants, expect="refuse")), judge=judge_plugin,
        checklists=("001/1.1-3", "001/6.2-2"),
    ),
)  # fmt: skip
