"""SHD: how the application stops. Here what its manifest shows; drills decide the rest.

An image's own entrypoint is not in the API, so nothing is concluded from its absence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from readiness.api.types import seconds
from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import SPEC, on_workload
from readiness.workload import DEFAULT_GRACE_SECONDS, app_container, pod_spec

_SHELLS: Final = ("sh", "ash", "dash", "ksh", "busybox")
_FULL_SHELLS: Final = ("bash", "zsh")
_SLEEP: Final = re.compile(r"\s*(?:exec\s+)?(?:/\S{1,60}/)?sleep\s+(\d{1,5})s?\s*;?\s*")
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
    hook = _pre_stop(container)
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


def _pre_stop(container: Manifest) -> float | None:
    """Seconds of the preStop hook; None when the manifest does not show them."""
    hook: Manifest = (container.get("lifecycle") or {}).get("preStop") or {}
    if not hook:
        return 0.0
    if hook.get("sleep"):
        return float(hook["sleep"].get("seconds") or 0)
    words = [str(word) for word in (hook.get("exec") or {}).get("command") or ()]
    slept = _SLEEP.fullmatch(_script(words)[1] or " ".join(words))
    return float(slept[1]) if slept else None


def _shell_form(container: Manifest) -> str:
    """The shell that stays process 1 in front of the server, or empty.

    bash replaces itself by a single simple command, the smaller shells of most images do not.
    A script with a trap handles signals on purpose; a drill decides whether it does so well.
    """
    words = [str(w) for w in (*(container.get("command") or ()), *(container.get("args") or ()))]
    shell, script = _script(words) if container.get("command") else ("", "")
    if not script or _EXEC.search(script) or re.search(r"\btrap\b", script):
        return ""
    simple = not _COMPOUND.search(script.strip())
    return "" if shell in _FULL_SHELLS and simple else shell


def _script(words: Sequence[str]) -> tuple[str, str]:
    """(shell, script) of `["sh", "-c", "…"]`; two empty texts for anything else."""
    shell = words[0].rpartition("/")[2] if words else ""
    rest: Sequence[Any] = words[1:]
    if shell == "busybox" and rest and rest[0] in _SHELLS:
        rest = rest[1:]
    if shell not in _SHELLS + _FULL_SHELLS:
        return "", ""
    for index, word in enumerate(rest[:-1]):
        if not word.startswith("-"):
            break
        if not word.startswith("--") and "c" in word:
            return shell, rest[index + 1]
    return "", ""


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
