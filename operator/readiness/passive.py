"""What controls that read the snapshot only have in common: guards, places, bounded lists.

A control built with these sees a workload with containers, or is not asked. Knows Kubernetes'
field paths and no single requirement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from readiness.control import Subject, unknown
from readiness.model import Manifest, Verdict
from readiness.request import Answers
from readiness.workload import all_containers, pod_spec

SPEC = "spec.template.spec"


def on_workload(
    judge: Callable[[Subject, Manifest], Verdict],
) -> Callable[[Subject, Answers], Verdict]:
    """A `judge` that is asked only when the workload is there and shows its pod template."""

    def judge_present(subject: Subject, _answers: Answers) -> Verdict:
        if subject.workload is None:
            return unknown("TargetNotFound", f"{subject.where} has no workload to look at")
        if not all_containers(subject.workload):
            return unknown(
                "NoPodTemplate",
                f"{subject.where} shows no pod template",
                fix="refer to the workload that holds spec.template",
                where=subject.where,
            )
        verdict = judge(subject, subject.workload)
        return verdict if verdict.where else replace(verdict, where=subject.where)

    return judge_present


def placed(workload: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Every container of the template with its path: `spec.template.spec.containers[api]`."""
    spec = pod_spec(workload)
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            yield f"{SPEC}.{kind}[{container.get('name', index)}]", container


def listed(items: Iterable[str], limit: int = 4) -> str:
    """`a, b and 3 more`: in the given order, without repetitions, bounded."""
    distinct = list(dict.fromkeys(items))
    shown = ", ".join(distinct[:limit])
    return shown if len(distinct) <= limit else f"{shown} and {len(distinct) - limit} more"
