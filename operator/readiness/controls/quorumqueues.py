"""HA: whether a RabbitMQ survives the loss of a member, and each of its queues with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.inspecting import MAX_AGE, Seen, ask_store, on_store, refused
from readiness.inspection import Told
from readiness.model import Safety, Severity, Verdict
from readiness.passive import listed

if TYPE_CHECKING:
    from readiness.dataservices.rabbitmq.reading import Member, Queue


def judge_rabbitmq(subject: Subject, seen: Seen) -> Verdict:
    """HA-003: three that run, no split, no alarm, and no durable queue on one of them only."""
    from readiness.dataservices.rabbitmq.reading import members_of, queues_of  # with their builders

    told = next((t for t in seen.members if "nodes" in t.facts), None)
    if told is None:
        return refused(seen, "nodes", "the tag monitoring")
    members = members_of(told.facts["nodes"])
    if (problem := _judge_nodes(members, int(subject.params["members"]))) is not None:
        return problem
    if "queues" not in told.facts:
        return refused(seen, "queues", "the tag monitoring and a right on every virtual host")
    return _judge_queues(queues_of(told.facts["queues"]), told)


def _judge_nodes(members: tuple[Member, ...], least: int) -> Verdict | None:
    words = [
        *(f"{m.pod} does not run" for m in members if not m.running),
        *(f"{m.pod} is cut off from {listed(m.cut_from)}" for m in members if m.cut_from),
        *(f"{m.pod} has an alarm: {listed(m.alarms)}" for m in members if m.alarms),
    ]
    running = sum(m.running for m in members)
    if not words and running >= least:
        return None
    reason = (
        "Partitioned" if any(m.cut_from for m in members)
        else "TooFewMembers" if running < least else "MemberDown" if running < len(members) else "Alarm"
    )  # fmt: skip
    return failed(
        reason, f"the cluster is not whole: {listed(words) or 'it has too few members'}",
        expected=f"{least} members that run, no partition, no alarm", observed=f"{running} run",
        fix="rabbitmq-diagnostics cluster_status on any member",
    )  # fmt: skip


def _judge_queues(queues: tuple[Queue, ...], told: Told) -> Verdict:
    """Queues that end with their connection, or were declared not to last, are lost by agreement."""
    lasting = [queue for queue in queues if queue.durable]
    single = [queue.name for queue in lasting if len(queue.members) < 3]
    behind = [q.name for q in lasting if q.members and 2 * len(q.online) <= len(q.members)]
    if single or behind:
        words = [*(f"queue {name} is on fewer than three members" for name in single), *(f"queue {name} has no majority online" for name in behind)]  # fmt: skip
        return failed(
            "NotReplicated" if single else "QuorumLost", f"not every durable queue survives a member: {listed(sorted(words))}",
            expected="every durable queue a quorum queue or stream on three members", observed=f"{len(single)} are not, {len(behind)} without majority",
            fix="declare them with x-queue-type: quorum; rabbitmq-queues grow NODE all for members that are missing",
        )  # fmt: skip
    if lasting:
        return passed("HighlyAvailable", "three members or more run as one, and every durable queue is on three")  # fmt: skip
    kinds = {str(v.get("default_queue_type")) for v in told.facts.get("vhosts", ())}
    if kinds == {"quorum"}:
        return passed("HighlyAvailable", "three members or more run as one; no queue is declared yet, and each will be a quorum queue")  # fmt: skip
    return unknown(
        "NoQueues", "no durable queue is declared yet, and the default type of queues is not quorum",
        fix="declare the queues, or set default_queue_type of the virtual hosts to quorum",
    )  # fmt: skip


PLUGINS: Final = (
    Control(
        id="HA-003", title="RabbitMQ cluster with replicated queues", severity=Severity.P0, safety=Safety.BENIGN, stores=("rabbitmq",),
        criterion="Three members or more run, without partition and alarm, and every durable queue is a quorum queue or stream on 3 members "
        "with a majority online. Without any durable queue the default type of the virtual hosts has to be quorum.",
        fix="let the operator provide it, or declare queues with x-queue-type: quorum on a cluster of three",
        ask=ask_store, judge=on_store(judge_rabbitmq), max_age=MAX_AGE,
        params=(Param("members", 3, "Members that must run.", "higher"),),
        checklists=("002/7.a3", "002/7.t3", "002/7.t4"),
    ),
)  # fmt: skip
