"""What RabbitMQ's management API answers, read into values, and what follows from them alone.

Pure, and lenient: an answer that lacks a field is an answer that says less, and what was not said
is never taken for well. Members are called by the names of their pods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from readiness.snapshot import MemberSeen, Seen

Document = Mapping[str, Any]
LEAVING: Final = "readiness-leaving"
"""Name of the global parameter that the hook before a stop reads."""
_ALARMS: Final = {"mem": "MemoryAlarm", "disk_free": "DiskAlarm"}
_WORST: Final = ("CutOff", *_ALARMS.values(), "NotRunning", "Starting")


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `settled` is whether it has told of its alarms and partitions at all."""

    pod: str
    running: bool
    settled: bool
    alarms: tuple[str, ...] = ()
    cut_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue or stream; `members` and `online` are empty where it is on one member only."""

    name: str
    vhost: str
    kind: str
    durable: bool
    leader: str
    members: frozenset[str] = frozenset()
    online: frozenset[str] = frozenset()

    def loses_majority_without(self, pod: str) -> bool:
        """Whether the end of this member would stop it."""
        return pod in self.online and len(self.online) - 1 <= len(self.members) // 2


@dataclass(frozen=True, slots=True)
class Observed:
    """A cluster as one of its members tells of it; None where nothing was told.

    `users` are the stored password hashes by name, `connected` the users of open connections, `leaving`
    the pods that are marked to leave the cluster when they stop.
    """

    members: tuple[Member, ...] = ()
    queues: tuple[Queue, ...] | None = None
    users: Mapping[str, str] | None = None
    connected: frozenset[str] | None = None
    leaving: frozenset[str] = frozenset()
    errors: tuple[str, ...] = ()


def pod_of(node: str) -> str:
    """`rabbit@pod.service.namespace.svc` is the member of that pod."""
    return node.partition("@")[2].partition(".")[0]


def members_of(nodes: Iterable[Document]) -> tuple[Member, ...]:
    """From `/api/nodes`. A node that has just come up has not told everything yet."""
    return tuple(sorted(map(_member_of, nodes), key=lambda member: member.pod))


def queues_of(queues: Iterable[Document]) -> tuple[Queue, ...]:
    """From `/api/queues`."""
    return tuple(map(_queue_of, queues))


def users_of(users: Iterable[Document]) -> dict[str, str]:
    """From `/api/users`."""
    return {user["name"]: str(user.get("password_hash", "")) for user in users}


def connected_of(connections: Iterable[Document]) -> frozenset[str]:
    """From `/api/connections`."""
    return frozenset(str(each["user"]) for each in connections if "user" in each)


def leaving_of(parameters: Iterable[Document]) -> frozenset[str]:
    """From `/api/global-parameters`."""
    found = (each.get("value") for each in parameters if each.get("name") == LEAVING)
    return frozenset(pod for value in found if isinstance(value, list) for pod in value)


def critical_queues(observed: Observed, pod: str) -> tuple[Queue, ...] | None:
    """What would lose its majority with this member; None when that is not known."""
    if observed.queues is None:
        return None
    return tuple(queue for queue in observed.queues if queue.loses_majority_without(pod))


def classic_queues(observed: Observed) -> tuple[Queue, ...]:
    """Durable queues on one member only: their messages are gone with it, or wait for it."""
    return tuple(queue for queue in observed.queues or () if queue.durable and not queue.members)


def disturbances(observed: Observed, replicas: int) -> tuple[str, ...]:
    """What stands in the way of taking a member away; empty when the cluster is whole."""
    if observed.queues is None:
        return ("no member tells of its queues", *observed.errors)
    running = [member for member in observed.members if member.running]
    short = f"{len(running)} of {replicas} members run" if len(running) < replicas else ""
    return tuple(filter(None, (
        short,
        *(_words_of(member) for member in observed.members),
        *(_short_of(queue, replicas) for queue in observed.queues),
    )))  # fmt: skip


def seen_of(observed: Observed) -> Seen:
    """What is told of it. No member is the first: every queue has a leader of its own."""
    members = tuple(
        MemberSeen(m.pod, "", _reasons_of(m), _needing(observed, m.pod)) for m in observed.members
    )
    apart = apart_of(observed)
    restart = "" if critical_queues(observed, apart) else apart
    unwell = {reason for member in members for reason in member.reasons}
    worst = next((word for word in _WORST if word in unwell), "")
    return Seen("", members, worst if observed.members else "Unreachable", restart=restart, facts=observed)  # fmt: skip


def apart_of(observed: Observed) -> str:
    """The member that is apart from most others: a split outlives its cause until that one starts again."""
    apart = Counter(
        name for m in observed.members for other in m.cut_from for name in (m.pod, other)
    )
    led = Counter(queue.leader for queue in observed.queues or ())
    return max(apart, key=lambda name: (apart[name], -led[name], name), default="")


def _needing(observed: Observed, pod: str) -> tuple[str, ...]:
    return tuple(sorted(queue.name for queue in critical_queues(observed, pod) or ()))


def _reasons_of(member: Member) -> tuple[str, ...]:
    alarms = (_ALARMS[alarm] for alarm in member.alarms)
    return tuple(filter(None, (
        "" if member.running else "NotRunning",
        "Starting" if member.running and not member.settled else "",
        "CutOff" if member.cut_from else "",
        *alarms,
    )))  # fmt: skip


def _member_of(node: Document) -> Member:
    alarms = ("mem_alarm", "disk_free_alarm")
    return Member(
        pod_of(node["name"]),
        node.get("running") is True,
        all(key in node for key in (*alarms, "partitions")),
        tuple(key.removesuffix("_alarm") for key in alarms if node.get(key)),
        tuple(sorted(map(pod_of, node.get("partitions") or ()))),
    )


def _queue_of(queue: Document) -> Queue:
    leader = str(queue.get("leader") or queue.get("node") or "")
    return Queue(
        str(queue["name"]),
        str(queue.get("vhost", "/")),
        str(queue.get("type", "classic")),
        queue.get("durable") is True,
        pod_of(leader),
        frozenset(map(pod_of, queue.get("members") or ())),
        frozenset(map(pod_of, queue.get("online") or ())),
    )


def _words_of(member: Member) -> str:
    if member.alarms:
        return f"Pod/{member.pod} has an alarm: {', '.join(member.alarms)}"
    if member.cut_from:
        return f"Pod/{member.pod} is cut off from {', '.join(member.cut_from)}"
    if member.running and not member.settled:
        return f"Pod/{member.pod} has not told yet how it is"
    return ""


def _short_of(queue: Queue, replicas: int) -> str:
    wanted = min(3, replicas)
    if queue.members and len(queue.online) < wanted:
        return f"queue {queue.name} has {len(queue.online)} of {wanted} members online"
    return ""
