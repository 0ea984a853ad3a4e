"""On which members queues are: where they lack one, and how a member leaves without any of them noticing.

Pure. One member leaves at a time, the last first: its queues go elsewhere, it is marked as one that
leaves the cluster when it stops (its own hook does that, by the cookie that it has), and only then
its pod goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from readiness.dataservices.command import Resize, Step, Task, Tell, Wait
from readiness.dataservices.rabbitmq.conf import node_name, part_of
from readiness.dataservices.rabbitmq.reading import Observed, Queue
from readiness.dataservices.roll import is_well


@dataclass(frozen=True, slots=True)
class Shrink:
    """No quorum queue has a member on this pod."""

    pod: str


@dataclass(frozen=True, slots=True)
class Mark:
    """These pods leave the cluster when they stop."""

    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grow:
    """Give queues that have too few a member on this pod."""

    pod: str


def growth_of(replicas: int, observed: Observed) -> Iterator[Step]:
    """Only among members that all run: one that is away has its place kept."""
    running = {member.pod for member in observed.members if member.running}
    if len(running) < replicas:
        return
    thin = [q for q in observed.queues or () if q.members and len(q.members) < min(3, replicas)]
    for pod in sorted(running):
        if any(pod not in queue.members for queue in thin):
            yield Tell(Grow(pod), f"queues that have too few members have one on {pod}", "Growing")


def leaving(task: Task, observed: Observed) -> Iterator[Step]:
    """What comes next of a member that is no longer declared, or of one that went without a word."""
    there, main = task.order.replicas, task.order.name()
    counted = [member.pod for member in observed.members]
    pods = [f"{main}-{number}" for number in range(there)]
    if lost := [pod for pod in counted if pod not in pods]:
        yield _lost(lost[0], task)
    elif there > task.replicas:
        yield _next(pods[-1], pods[: task.replicas], task, observed)
    elif observed.leaving:
        yield Tell(Mark(()), "no member is marked as leaving", "Scaling")


def _next(last: str, stay: Sequence[str], task: Task, observed: Observed) -> Step:
    queues = [queue for queue in observed.queues or () if last in queue.members]
    if observed.queues is None or not is_well(task.seen):
        return Wait(f"{last} leaves once all are well", "Scaling")
    if stuck := [q.name for q in observed.queues if _is_stuck(q, last)]:
        return Wait(
            f"{last} cannot leave: {', '.join(stuck[:5])} would be lost with it", "Shrink",
            f"delete what nobody needs, or move it (rabbitmq-streams delete_replica); or declare {task.order.replicas} replicas",
        )  # fmt: skip
    thin = [q for q in queues if len(q.members & set(stay)) < min(3, len(stay))]
    for pod in stay:
        if any(pod not in queue.members for queue in thin):
            return Tell(Grow(pod), f"queues of {last} have a member on {pod}", "Scaling")
    if queues:
        return Tell(Shrink(last), f"no queue has a member on {last}", "Scaling")
    if last not in observed.leaving:
        return Tell(Mark((last,)), f"{last} is marked as leaving", "Scaling")
    return Resize(task.order.replicas - 1)


def _is_stuck(queue: Queue, pod: str) -> bool:
    """A durable queue on this member alone, or a stream that has a replica there."""
    alone = queue.durable and not queue.members and queue.leader == pod
    return alone or (queue.kind == "stream" and pod in queue.members)


def _lost(pod: str, task: Task) -> Wait:
    """Killed before its hook was done, it is still counted, and nobody can tell the others but by hand."""
    if not task.calm:
        return Wait(f"{pod} leaves", "Scaling")
    node, other = node_name(f"{pod}.{part_of(task.order).domain}"), f"{task.order.name()}-0"
    return Wait(
        f"{pod} is gone, and the others still count it as a member", "StillCounted",
        f"kubectl exec {other} -- rabbitmqctl forget_cluster_node {node}",
    )  # fmt: skip
