"""HLT-005: Kubernetes' own probes stand on every container that has ports.

Read from the pod template alone, so that a manifest can be judged before it is applied.
"""

from __future__ import annotations

from typing import Final

from readiness.control import Control, Subject, failed, not_applicable, passed, unknown
from readiness.model import Manifest, Severity, Verdict
from readiness.request import Answers
from readiness.workload import app_container, containers

DEFAULT_PERIOD: Final = 10
DEFAULT_TIMEOUT: Final = 1
_PROBES: Final = ("readinessProbe", "livenessProbe", "startupProbe")


def _judge(subject: Subject, _: Answers) -> Verdict:
    where = subject.where
    if subject.workload is None:
        return unknown("TargetNotFound", f"{where} was not found", where=where)
    probed = _probed(subject, subject.workload)
    if not probed:
        return not_applicable(
            "NoPorts", f"no container of {where} has ports, and no service or health is declared", where=where
        )  # fmt: skip
    deep = subject.target.health.deep_path if subject.target.health else None
    for container in probed:
        wrong = _missing(container) or _slow(container) or _deep(container, deep)
        if wrong is not None:
            reason, what, expected, fix = wrong
            return failed(
                reason, f"container {container.get('name')} of {where} has {what}",
                expected=expected, observed=what, fix=fix, where=where,
            )  # fmt: skip
    names = ", ".join(str(c.get("name")) for c in probed)
    return passed("ProbesWired", f"readiness and liveness probes stand on {names}", where=where)


def _probed(subject: Subject, workload: Manifest) -> list[Manifest]:
    """Containers with ports; ports are optional in a manifest, a declared service is as telling."""
    found = [c for c in containers(workload) if c.get("ports")]
    app = app_container(workload, subject.target.container)
    serves = subject.target.service is not None or subject.target.health is not None
    return [app] if not found and app is not None and serves else found


Wrong = tuple[str, str, str, str] | None


def _missing(container: Manifest) -> Wrong:
    absent = [name for name in _PROBES[:2] if not container.get(name)]
    if not absent:
        return None
    return (
        "ProbeMissing",
        f"no {' and no '.join(absent)}",
        "readinessProbe and livenessProbe on every container with ports",
        f"add {' and '.join(absent)} to the container",
    )


def _slow(container: Manifest) -> Wrong:
    for name in _PROBES:
        probe = container.get(name) or {}
        timeout, period = (
            int(probe.get("timeoutSeconds") or DEFAULT_TIMEOUT),
            int(probe.get("periodSeconds") or DEFAULT_PERIOD),
        )
        if timeout >= period:
            return (
                "ProbeTimeout",
                f"a {name} with timeoutSeconds {timeout} and periodSeconds {period}",
                "timeoutSeconds smaller than periodSeconds",
                f"lower {name}.timeoutSeconds, or raise periodSeconds",
            )
    return None


def _deep(container: Manifest, deep: str | None) -> Wrong:
    path = ((container.get("livenessProbe") or {}).get("httpGet") or {}).get("path")
    if deep is None or path != deep:
        return None
    return (
        "LivenessIsDeep",
        f"a livenessProbe on the deep health path {path}",
        "liveness that depends on the process only: a broken dependency must not restart every pod",
        "point livenessProbe at the shallow health.path",
    )


PLUGINS: Final = (
    Control(
        id="HLT-005",
        title="Kubernetes probes wired correctly",
        severity=Severity.P0,
        criterion="every container with ports has a readinessProbe and a livenessProbe; timeoutSeconds is smaller than "
        "periodSeconds; liveness is not the deep health path",
        fix="add readinessProbe and livenessProbe to each container that has ports",
        judge=_judge,
        static=True,
        checklists=("002/7.a6",),
    ),
)
