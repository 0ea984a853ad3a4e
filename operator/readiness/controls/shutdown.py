"""SHD: how the application stops. Here what its manifest shows; drills decide the rest.

An image's own entrypoint is not in the API, so nothing is concluded from its absence.
"""

from __future__ import annotations

import re
from typing import Final

from readiness.api.durations import seconds
from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import SPEC, on_workload
from readiness.workload import (
    DEFAULT_GRACE_SECONDS,
    FULL_SHELLS,
    app_container,
    pod_spec,
    pre_stop_seconds,
    shell_script,
)

# `exec` with a command behind it; `exec 2>&1` alone only redirects.
_EXEC: Final = re.compile(
    r"(?:^|[;&|({\n]|\bthen\b|\bdo\b)\s*(?:\w+=\S*\s+){0,20}exec\s+(?!\d*[<>])\S", re.ASCII
)
_COMPOUND: Final = re.compile(r"[|&;\n]")


def judge_grace(subject: Subject, workload: Manifest) -> Verdict:
    """SHD-008: the kubelet's kill comes after preStop, drain and margin; SIGTERM reaches the app."""
    container = app_container(workload, subject.target.container)
    if container is None:
        return unknown(
            "ContainerNotFound",
            f"the template has no container {subject.target.container}",
            fix=f"correct spec.targets[{subject.target.name}].container",
        )
    path = f"{SPEC}.containers[{container.get('name', '')}]"
    shell = _shell_form(container)
    if shell:
        return failed(
            "ShellForm",
            f"{path} starts its server through {shell} without exec: the shell may keep SIGTERM to itself",
            expected="the server itself, or a shell that hands over with `exec`",
            observed=f"{shell} -c without exec",
            fix='write command: ["sh", "-c", "exec <server>"], or the server and its arguments as a list',
        )
    return _judge_sum(subject, workload, container, path)


def _judge_sum(subject: Subject, workload: Manifest, container: Manifest, path: str) -> Verdict:
    grace = pod_spec(workload).get("terminationGracePeriodSeconds")
    grace = DEFAULT_GRACE_SECONDS if grace is None else int(grace)
    drain, margin = seconds(subject.target.shutdown.drain), float(subject.params["margin"])
    hook = pre_stop_seconds(container)
    if hook is None:
        hook = subject.params["preStopSeconds"]
    needed = (hook or 0) + drain + margin
    if grace < needed:
        return failed(
            "GraceTooShort",
            f"{SPEC}.terminationGracePeriodSeconds is {grace}: the kill comes before the drain of {path} can end",
            expected=f"at least {needed:g} s: preStop {hook or 0:g} + drain {drain:g} + {margin:g}",
            observed=f"{grace} s",
            fix=f"set {SPEC}.terminationGracePeriodSeconds: {-(-needed // 1):g}",
        )
    if hook is None:
        return unknown(
            "PreStopUnknown",
            f"{path}.lifecycle.preStop runs a hook whose duration its manifest does not show",
            expected=f"preStop of at most {grace - drain - margin:g} s",
            observed="an exec or httpGet hook",
            fix="use preStop.sleep.seconds, or state the parameter preStopSeconds of SHD-008",
        )
    return passed("GraceCoversDrain", f"{grace} s of grace cover the {needed:g} s that are needed")


def _shell_form(container: Manifest) -> str:
    """The shell that stays process 1 in front of the server, or empty.

    bash replaces itself by a single simple command, the smaller shells of most images do not.
    A script with a trap handles signals on purpose; a drill decides whether it does so well.
    """
    words = [str(w) for w in (*(container.get("command") or ()), *(container.get("args") or ()))]
    shell, script = shell_script(words) if container.get("command") else ("", "")
    if not script or _EXEC.search(script) or re.search(r"\btrap\b", script):
        return ""
    simple = not _COMPOUND.search(script.strip())
    return "" if shell in FULL_SHELLS and simple else shell


PLUGINS: Final = (
    Control(
        id="SHD-008",
        title="Grace period covers preStop and drain",
        severity=Severity.P1,
        criterion="terminationGracePeriodSeconds ≥ preStop + spec.targets[].shutdown.drain + 5 s, and where the pod "
        "spec shows a shell in front of the server, the shell hands over with exec. Unknown when an exec or HTTP "
        "preStop hook hides its duration (`sleep N` is understood). An image's own entrypoint is left to the drill.",
        fix="raise spec.template.spec.terminationGracePeriodSeconds, or shorten preStop or the drain",
        judge=on_workload(judge_grace),
        static=True,
        params=(
            Param("margin", 5, "Seconds left between the end of the drain and the kill.", "higher"),
            Param(
                "preStopSeconds",
                None,
                "How long an exec or HTTP preStop hook takes, by the owner's word.",
            ),
        ),
        checklists=("000/6.4",),
    ),
)
