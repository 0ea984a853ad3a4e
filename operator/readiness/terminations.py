"""How real pods ended when they were asked to: values out of what a watch shows, and back from text.

A pod's own end tells what a drill would, for nothing. What the application did not decide is left
out: evictions, lost nodes, memory, restarts, pods that never served. Pure; it judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from readiness.model import Manifest
from readiness.naming import DRILL

END_CONTROL: Final = "SHD-001p"
SETTLED: Final = 5
"""A container that started less than so many seconds before its pod was asked to go was not up yet."""
KEPT: Final = 8
"""As many as fit the evidence of a report's row, and more of one kind than a verdict asks for."""
MOST: Final = 64
WEEK: Final = 7 * 86400
LATE: Final = 10
"""So much later than the grace period no kubelet kills but one whose node was away."""
_TEMPLATES: Final = (
    "pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash"
)  # fmt: skip
_NOT_ITS_OWN: Final = ("OOMKilled", "ContainerStatusUnknown", "ContainerCannotRun", "StartError")
_LINE: Final = re.compile(r"(\S{20}) (\S{1,63}) (\S{1,63}) exit (\d{1,3}) (\d{1,6})/(\d{1,6})s")


@dataclass(frozen=True, slots=True)
class Termination:
    """How one container ended after its pod was asked to go. Times are whole epoch seconds.

    `pod` is the last part of the pod's name, `template` the hash of what it ran; an empty
    `container` is the application's.
    """

    pod: str
    template: str
    asked: int
    finished: int
    grace: int
    code: int
    container: str = ""

    @property
    def killed(self) -> bool:
        """Whether the kubelet's patience ended it; both clocks tell whole seconds."""
        return self.code == 137 and self.finished - self.asked >= self.grace - 1

    def __str__(self) -> str:
        used = max(0, self.finished - self.asked)
        return f"{stamp_of(self.finished)} {self.pod} {self.template} exit {self.code} {used}/{self.grace}s"


def epoch_of(stamp: str) -> int:
    """Whole epoch seconds of a timestamp of the API."""
    return int(datetime.fromisoformat(stamp).timestamp())


def stamp_of(epoch: int) -> str:
    """A timestamp as the API writes it."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def terminations_of(pod: Manifest | None) -> frozenset[Termination]:
    """The ends of a pod's containers, as far as they answer the request to go."""
    return frozenset(_ends(pod)) if pod and _asked_to_go(pod) else frozenset()


def parse_terminations(text: str) -> Iterator[Termination]:
    """What `str` made of them, one after another, whatever else stands there."""
    for when, pod, template, code, used, grace in _LINE.findall(text):
        finished = epoch_of(when)
        yield Termination(pod, template, finished - int(used), finished, int(grace), int(code))


def kept(ends: Iterable[Termination]) -> tuple[Termination, ...]:
    """What verdicts need of all these: of each container the newest, and the newest of each template that ended alike.

    So a kill is not forgotten for the orderly ends that follow it. What is a week older than the newest no verdict asks for.
    """
    of_container: dict[str, list[Termination]] = {}
    for end in sorted(ends, key=lambda e: -e.finished):
        mine = of_container.setdefault(end.container, [])
        alike = sum((e.template, e.killed, e.code) == (end.template, end.killed, end.code) for e in mine)  # fmt: skip
        if alike < KEPT and (not mine or mine[0].finished - end.finished <= WEEK):
            mine.append(end)
    return tuple(e for mine in of_container.values() for e in _foremost(mine))


def _foremost(ends: list[Termination]) -> list[Termination]:
    """Of many templates and codes within a week the newest few ends, then kills."""
    return [*ends[:KEPT], *sorted(ends[KEPT:], key=lambda e: not e.killed)][:MOST]


def template_of(pods: Iterable[Manifest]) -> str:
    """The hash of the template that the youngest pod runs."""
    youngest = max(pods, key=lambda p: str(p["metadata"].get("creationTimestamp", "")), default={})
    return _template(youngest)


def _asked_to_go(pod: Manifest) -> bool:
    """By deletion, with all the time that its spec gives, and while it was serving.

    The API server shortens the grace to nothing when it removes the object at last: too late to tell.
    """
    meta, status = pod["metadata"], pod.get("status") or {}
    given = (pod.get("spec") or {}).get("terminationGracePeriodSeconds", 30)
    grace = meta.get("deletionGracePeriodSeconds") or 0
    if not meta.get("deletionTimestamp") or not grace or grace < given:
        return False
    if DRILL in (meta.get("labels") or {}) or status.get("reason"):  # Evicted, NodeLost, …
        return False
    conditions: list[Manifest] = status.get("conditions") or []
    ready: Manifest = next((c for c in conditions if c.get("type") == "Ready"), {})
    turned = ready.get("lastTransitionTime")
    asked = epoch_of(meta["deletionTimestamp"]) - int(grace)
    return ready.get("status") == "True" or bool(turned and epoch_of(turned) >= asked - 1)


def _ends(pod: Manifest) -> Iterator[Termination]:
    meta, names = pod["metadata"], {c["name"] for c in pod["spec"].get("containers") or ()}
    grace = int(meta["deletionGracePeriodSeconds"])
    asked = epoch_of(meta["deletionTimestamp"]) - grace
    for status in pod["status"].get("containerStatuses") or ():
        end = (status.get("state") or {}).get("terminated") or {}
        if status.get("name") not in names or not end.get("finishedAt") or not end.get("startedAt"):
            continue
        finished = epoch_of(end["finishedAt"])
        settled = epoch_of(end["startedAt"]) <= asked - SETTLED
        answer = settled and asked - 1 <= finished <= asked + grace + LATE
        if answer and end.get("reason") not in _NOT_ITS_OWN:
            yield Termination(
                str(meta["name"]).rpartition("-")[2], _template(pod), asked, finished, grace,
                int(end.get("exitCode", 0)), str(status["name"]),
            )  # fmt: skip


def _template(pod: Manifest) -> str:
    labels: dict[str, Any] = (pod.get("metadata") or {}).get("labels") or {}
    return str(next((labels[name] for name in _TEMPLATES if name in labels), "-"))
