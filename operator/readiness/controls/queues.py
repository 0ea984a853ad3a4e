"""QOS: whether queues of jobs forget what nobody fetched, and let some clients come first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from readiness.api.durations import seconds
from readiness.control import Control, Subject, failed, passed, unknown
from readiness.inspecting import MAX_AGE, refused, requests_of, seen_of, silence
from readiness.model import Safety, Severity, Verdict
from readiness.passive import listed
from readiness.request import Answers, Request

Row = Mapping[str, Any]


def ask_queues(subject: Subject) -> tuple[Request, ...]:
    """One look at the store that holds the queues."""
    qos = subject.target.qos
    return requests_of(subject.stores.get(qos.store)) if qos else ()


def on_queues(judge: Callable[[Subject, Sequence[Row], int], Verdict]) -> Callable[[Subject, Answers], Verdict]:  # fmt: skip
    """A `judge` that is given the declared queues that are there, and RabbitMQ's major version."""

    def judge_there(subject: Subject, answers: Answers) -> Verdict:
        qos = subject.target.qos
        if qos is None:
            return unknown("NotDeclared", "no queues are declared")
        store = subject.stores[qos.store]
        if store.kind != "rabbitmq":
            return unknown("NotSupported", f"{store.name} is no RabbitMQ", fix=f"name the RabbitMQ in spec.targets[{subject.target.name}].qos.store")  # fmt: skip
        seen = seen_of(store, answers)
        if isinstance(seen, Verdict):
            return seen
        told = next((t for t in seen.members if "queues" in t.facts), None)
        if told is None:
            return refused(seen, "queues", "the tag monitoring") if seen.members else silence(seen)
        rows = [q for q in told.facts["queues"] if any(re.fullmatch(p, str(q.get("name"))) for p in qos.queues)]  # fmt: skip
        if not rows:
            return unknown(
                "NoQueues", f"no queue of {store.name} is called as qos.queues says",
                fix="start the workload that declares them, or correct qos.queues",
            )  # fmt: skip
        version = str((told.facts.get("overview") or {}).get("rabbitmq_version", "0"))
        return judge(subject, rows, int(version.partition(".")[0] or 0))

    return judge_there


def _setting(queue: Row, name: str) -> Any:
    """By argument of the queue, else by the policy that is in effect."""
    arguments, policy = queue.get("arguments") or {}, queue.get("effective_policy_definition") or {}
    return arguments.get(f"x-{name}", policy.get(name) if isinstance(policy, Mapping) else None)


def judge_expiry(subject: Subject, queues: Sequence[Row], _version: int) -> Verdict:
    """QOS-004: a limit of waiting, and a place for what exceeded it."""
    qos = subject.target.qos
    limit = seconds(qos.job_ttl if qos else "24h") * 1000
    endless = [str(q["name"]) for q in queues if _setting(q, "message-ttl") is None]
    long = [str(q["name"]) for q in queues if (ttl := _setting(q, "message-ttl")) is not None and float(ttl) > limit]  # fmt: skip
    if endless or long:
        words = [*(f"{name} keeps jobs for ever" for name in endless), *(f"{name} keeps them for longer" for name in long)]  # fmt: skip
        return failed(
            "NoExpiry" if endless else "ExpiresLate", f"jobs that nobody fetches stay: {listed(sorted(words))}",
            expected=f"message-ttl of {limit:.0f} ms or less", observed=f"{len(endless)} without, {len(long)} above",
            fix=f"rabbitmqctl set_policy jobs '^jobs' '{{\"message-ttl\": {limit:.0f}, \"dead-letter-exchange\": \"expired\"}}' --apply-to queues",
        )  # fmt: skip
    lost = [str(q["name"]) for q in queues if _setting(q, "dead-letter-exchange") is None]
    if lost:
        return failed(
            "NoDeadLetters", f"what expires in {listed(sorted(lost))} vanishes without a trace", expected="a dead-letter-exchange",
            observed="none", fix="add dead-letter-exchange to the policy, and a queue that holds what it gets",
        )  # fmt: skip
    return passed("Expires", "jobs expire in time, and a dead-letter-exchange gets them")


def judge_priority(subject: Subject, queues: Sequence[Row], version: int) -> Verdict:
    """QOS-009: queues of single clients, or one that tells priorities apart; on three members either way."""
    qos = subject.target.qos
    priority = qos.priority if qos else None
    single = [str(q["name"]) for q in queues if len(q.get("members") or ()) < 3]
    if priority is not None and priority.per_client:
        clients = [q for q in queues if re.fullmatch(priority.per_client, str(q["name"]))]
        if len(clients) < 2:
            return failed(
                "NotPerClient", "all clients share a queue", expected=f"a queue for each client, called {priority.per_client}",
                observed=f"{len(clients)}", fix="declare a queue for each client, and consume from them in turn",
            )  # fmt: skip
    else:
        levels = priority.levels if priority else 2
        flat = sorted(str(q["name"]) for q in queues if _levels(q, version) < levels)
        if flat:
            return failed(
                "NoPriorities", f"{listed(flat)} does not tell that many priorities apart", expected=f"{levels} priorities",
                observed="fewer", fix="quorum queues of RabbitMQ 4 know two; for more, declare a queue for each client or priority",
            )  # fmt: skip
    if single:
        return failed(
            "NotReplicated", f"{listed(sorted(single))} is on fewer than three members", expected="quorum queues on three members",
            observed=f"{len(single)} are not", fix="declare them with x-queue-type: quorum",
        )  # fmt: skip
    return passed(
        "Prioritised", "some clients can come before others, and no member's loss ends that"
    )


def _levels(queue: Row, version: int) -> int:
    """Quorum queues know two priorities since 4.0, others as many as they were declared with."""
    declared = _setting(queue, "max-priority")
    if declared is not None:
        return int(declared)
    return 2 if queue.get("type") == "quorum" and version >= 4 else 1


PLUGINS: Final = (
    Control(
        id="QOS-004", title="Jobs expire", severity=Severity.P0, safety=Safety.BENIGN, needs=("qos",),
        criterion="Every declared queue has a message-ttl, by argument or policy, of qos.jobTTL or less (24 h), and a dead-letter-exchange.",
        fix="set message-ttl and dead-letter-exchange by a policy", ask=ask_queues, judge=on_queues(judge_expiry), max_age=MAX_AGE,
        checklists=("002/6.a6", "002/6.t4"),
    ),
    Control(
        id="QOS-009", title="Queues know priorities", severity=Severity.P0, safety=Safety.BENIGN, needs=("qos.priority",),
        criterion="Two queues of single clients or more (qos.priority.perClient), or queues that tell qos.priority.levels apart (x-max-priority; "
        "quorum queues of RabbitMQ 4: two); each on three members.",
        fix="declare a quorum queue for each client", ask=ask_queues, judge=on_queues(judge_priority), max_age=MAX_AGE,
        checklists=("002/6.a4", "002/6.t3"),
    ),
)  # fmt: skip
