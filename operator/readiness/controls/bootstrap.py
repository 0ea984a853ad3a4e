"""CFG-014: what an application sets up once, it does not set up again, proven by starting it twice.

Judged from a word of the log, from digests of stored hashes and from how long the starts took.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from readiness.control import Control, Subject, declaration, failed, passed, unknown
from readiness.drills import trial, twice
from readiness.drills.answered import timeline_of
from readiness.drills.starting import config_of
from readiness.drills.subject import drill_subject
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers, Request
from readiness.timeline import Timeline

SKIP: Final = (
    "look in the store first, and skip the work (accounts, hashes, seeds) where it has been done"
)


def ask(subject: Subject) -> tuple[Request, ...]:
    """One arm: two clones, one after the other, on the same stores."""
    request = twice.request_of(subject)
    return (request,) if request else ()


def judge(subject: Subject, answers: Answers) -> Verdict:
    """A first start that sets nothing up proves nothing."""
    if config_of(subject).bootstrap_pattern is None:
        return trial.undeclared(
            subject,
            f"config: {{{declaration('config.bootstrapPattern').removeprefix('config.')}}}",
            "no line of the log is declared that tells of setting up",
        )
    request = twice.request_of(subject)
    if request is None:
        return _not_asked(subject)
    verdict = trial.proven(timeline_of(subject, answers, request), partial(_judge, subject))
    return replace(verdict, where=subject.where, via="drill/twice")


def _not_asked(subject: Subject) -> Verdict:
    if subject.workload is None or drill_subject(subject).stores:
        return trial.not_asked(subject)
    return unknown(
        "NoSharedStore", "the target uses no store that two clones could share: each start is a first one",
        fix="declare the store in dataServices, and its name in uses of the target", where=subject.where,
    )  # fmt: skip


def _judge(subject: Subject, seen: Timeline) -> Verdict:
    pattern, starts = config_of(subject).bootstrap_pattern, twice.starts_of(seen)
    if len(seen.said) < 2 or starts is None:
        return unknown("StartNotSeen", "the second start was not seen to its end", fix="it is repeated by itself")  # fmt: skip
    first, second = (bool(said.found) for said in seen.said)
    if not first:
        return unknown(
            "ControlArmFailed", "a first start on an empty store does not say that it sets anything up",
            expected=f"a line that matches {pattern!r} within {twice.SAID:g} s of Ready", observed="none",
            fix="correct config.bootstrapPattern, or declare in uses the store that it sets up",
        )  # fmt: skip
    if second:
        return _repeated(subject, str(pattern))
    if (wrong := _judge_hashes(subject, seen)) is not None:
        return wrong
    evidence = f"Ready {starts[0]:.1f} s after the first start, {starts[1]:.1f} s after the second"
    if starts[1] > twice.limit_of(subject, starts[0]):
        return replace(_slower(), evidence=evidence)
    return passed(
        "SetUpOnce",
        "a second start on the same store sets nothing up, and is not slower",
        evidence=evidence,
    )


def _judge_hashes(subject: Subject, seen: Timeline) -> Verdict | None:
    """What is wrong with the stored hashes; None when they are as they were, or none is declared."""
    declared = subject.target.data.password_hashes if subject.target.data else ()
    if len(twice.places_of(subject)) < len(declared):
        return unknown(
            "HashNotRead", "a hash is declared in a store that a drill cannot read",
            fix="declare hashes that are kept in a Redis of uses", where=subject.where,
        )  # fmt: skip
    first, second = (
        {i.nth: i.digest for i in seen.imprints if i.label == label}
        for label in ("first", "second")
    )
    for nth, (_, key, _) in enumerate(twice.places_of(subject)):
        if not first.get(nth):
            return unknown(
                "ControlArmFailed", "a first start on an empty store leaves no hash where one is declared",
                expected=f"a value at {key}", observed="none",
                fix="correct key and field of data.passwordHashes",
            )  # fmt: skip
        if first[nth] != second.get(nth):
            return failed(
                "HashChanged", "a second start on the same store writes another hash",
                expected=f"the value at {key} as the first start left it", observed="another one", fix=SKIP,
            )  # fmt: skip
    return None


def _repeated(subject: Subject, pattern: str) -> Verdict:
    return trial.unshared(subject, "what it sets up") or failed(
        "SetUpAgain", "a second start on the same store sets up again what is there",
        expected=f"no line that matches {pattern!r}", observed="one", fix=SKIP,
    )  # fmt: skip


def _slower() -> Verdict:
    return failed(
        "SlowerStart", "a second start on the same store is slower than the first",
        expected=f"Ready as soon as the first time, {twice.SHARE:.0%} later at most, with a probe's period and "
        f"{twice.ALLOWANCE:g} s for what the node does", observed="later", fix=SKIP,
    )  # fmt: skip


PLUGINS: Final = (
    Control(
        id="CFG-014",
        title="Setting up is done once",
        severity=Severity.P0,
        criterion="A clone that is started a second time on the same throw-away stores logs no line that matches "
        "config.bootstrapPattern, which the first start on the empty stores does, and is Ready as soon: 10 % later at most, "
        "with the probe's period and 5 s for noise. The values of data.passwordHashes, in a Redis, are byte for byte the same.",
        fix=SKIP,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("config.bootstrapPattern",),
        ask=ask, judge=judge,
        checklists=("000/3.8",),
    ),
)  # fmt: skip
