"""What a drill answered to a request: the timeline of an arm, or why there is none that counts.

A timeline counts for the image that the evidence is kept for. What it shows is not known here.
"""

from __future__ import annotations

from typing import Final

from readiness.control import Subject, unknown
from readiness.model import Result, Verdict
from readiness.request import Answers, Request
from readiness.subjects import revision_of
from readiness.timeline import Problem, Timeline

NOT_DRILLED: Final = unknown("NotDrilled", "the drill gave no answer", fix="wait for its next run")
_REASONS: Final = {"Refused": "DrillRefused", "NotReady": "ControlArmFailed", "Ended": "ControlArmFailed", "Unplayed": "ControlArmFailed", "Denied": "AdmissionDenied"}  # fmt: skip
_SHOWN: Final = 19
"""Of a digest, with its algorithm: twelve digits."""


def timeline_of(subject: Subject, answers: Answers, request: Request) -> Timeline | None:
    """The timeline that answers a request, where there is one."""
    answer = answers.get(request)
    if not isinstance(answer, Timeline):
        return None
    problem = _of_another(answer, revision_of(subject)[0])
    return Timeline(answer.arm, problem=problem) if problem else answer


def problem_verdict(timeline: Timeline) -> Verdict | None:
    """Why an arm of any drill could not be carried out; None when it was."""
    if timeline.problem is None:
        return None
    reason, words = timeline.problem.reason, timeline.problem.words
    return Verdict(
        Result.BLOCKED if reason == "Denied" else Result.UNKNOWN, _REASONS.get(reason, reason),
        f"the drill could not be carried out: {words}",
        fix=timeline.problem.fix or "`readiness drill` shows each step of a clone as it goes",
        via=f"drill/{timeline.arm}",
    )  # fmt: skip


def _of_another(seen: Timeline, judged: str) -> Problem | None:
    """Where a tag has moved, a clone pulls another image than the pods run: what it shows is not theirs."""
    others = [digest for digest in seen.images if digest != judged]
    if not others or not judged:
        return None
    return Problem(
        "ImageDiffers", f"the clone ran image {others[0][:_SHOWN]}, the pods run {judged[:_SHOWN]}",
        fix="the image's tag has moved: name the image by its digest, or roll the workload out anew (kubectl rollout restart)",
    )  # fmt: skip
