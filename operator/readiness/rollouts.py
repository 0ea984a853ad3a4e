"""Which real rollouts are to be watched by a stream of requests, and whether they have ended. Pure.

A rollout begins when the template differs from the one that the status tells. It ends when every
replica runs the new one and the last old pod is gone: connections are lost then, if at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from readiness.consent import withheld
from readiness.control import Control, Subject
from readiness.judgement import Ground
from readiness.model import Manifest, Mode
from readiness.passages import ROLLOUT_CONTROL
from readiness.request import Hop, HopKind, Stream
from readiness.rules import Rules
from readiness.workload import rolled_out

if TYPE_CHECKING:
    from readiness.api.target import Target


def streams_of(rules: Rules, ground: Ground, policy: Manifest) -> tuple[Stream, ...]:
    """One for each target that may be asked, whether or not a rollout is under way."""
    setting, control = ground.settings.get(ROLLOUT_CONTROL), rules.controls.get(ROLLOUT_CONTROL)
    if setting is None or control is None or setting.mode is Mode.OFF or setting.wrong:
        return ()
    if "namespaces" in ground.snapshot.unreadable or not ground.snapshot.live:
        return ()
    return tuple(_streams(control, ground, policy))


def _streams(control: Control, ground: Ground, policy: Manifest) -> Iterator[Stream]:
    rows: list[Manifest] = (policy.get("status") or {}).get("targets") or []
    known = {row["name"]: row.get("templateHash", "") for row in rows}
    for name, subject in ground.subjects.items():
        path, lenient = path_of(subject.target)
        if subject.workload is None or not path or withheld(control, subject, ground.now):
            continue
        rolling, template = not rolled_out(subject.workload), ground.revisions[name][1]
        yield Stream(
            name, template, path, _service(subject), lenient,
            begins=rolling and known.get(name, "") not in ("", template),
            over=not rolling and not any(_going(pod) for pod in subject.pods),
        )  # fmt: skip


def path_of(target: Target) -> tuple[str, bool]:
    """The declared path that anyone may ask, and whether it tells health; empty for none."""
    if target.http is not None and target.http.public:
        return target.http.public[0], False
    return (target.health.path, True) if target.health is not None else ("", False)


def _service(subject: Subject) -> Hop | None:
    return next((hop for hop in subject.hops if hop.kind is HopKind.SERVICE), None)


def _going(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]
