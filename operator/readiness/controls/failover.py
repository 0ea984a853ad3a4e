"""HA-004: the primary of a data service is taken away, twice, and no acknowledged write is gone.

What is done and what it means stands in `drills/outage.py`, whether it may begin now in `dataservices/calm.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from readiness.control import Control, Param, Subject, unknown
from readiness.dataservices.calm import hindrance
from readiness.drills.clientele import applications_of, unseen
from readiness.drills.outage import arms, judge_outage, longest, measured, store_subject
from readiness.model import Result, Safety, Severity, Verdict
from readiness.request import Answers, FailoverRequest, Request, Timeline

FIVE_WEEKS: Final = 35 * 86400.0
"""A window may come once a month."""
FIXES: Final = {
    "NotPermitted": "sed 's/your-namespace/{0}/' manifests/disruptive/disruptive.yaml | kubectl apply -f - "
    "(or add {0} to the chart's disruptive.namespaces)",
    "Held": "see why its budget lets nobody go: kubectl -n {0} get poddisruptionbudgets",
    "NotWhole": "wait until every member follows; see status.dataServices",
    "ApplicationUnwell": "see the application's log, and whether a NetworkPolicy keeps the pod of the drill from its Service",
    "Aborted": "it is repeated in a later window; readiness drill failover shows each step as it goes",
}
"""What to do where a drill could not be carried out."""


def ask(subject: Subject) -> tuple[Request, ...]:
    """Every arm, unless something stands in the way."""
    store = subject.store
    if store is None or _hindrance(subject) is not None:
        return ()
    whose = store_subject(store, subject.snapshot.namespace, applications_of(subject, store.name))
    return tuple(FailoverRequest(whose, arm) for arm in arms())


def judge(subject: Subject, answers: Answers) -> Verdict:
    """The verdict on all arms, or why none was played."""
    seen = {a.arm: a for a in answers.values() if isinstance(a, Timeline)}
    if not seen:
        found = _hindrance(subject) or unknown("NotDrilled", "the drill gave no answer", fix="wait for its next run")  # fmt: skip
        return replace(found, where=subject.where)
    params = subject.params
    lossy = subject.store is not None and subject.store.kind == "redis"
    verdict = judge_outage(seen, params["maxSeconds"], params["maxLost"] if lossy else 0)
    if verdict.reason in FIXES and verdict.result is Result.UNKNOWN:
        fix = FIXES[verdict.reason].format(subject.snapshot.namespace)
        verdict = replace(verdict, fix=fix)
    told = "; ".join(measured(seen[name]) for name in sorted(seen))
    return replace(verdict, where=subject.where, via="drill/failover", evidence=told)


def _hindrance(subject: Subject) -> Verdict | None:
    store = subject.store
    return hindrance(subject, longest()) or (unseen(subject, store.name) if store else None)


PLUGINS: Final = (
    Control(
        id="HA-004",
        title="Failover drill",
        severity=Severity.P0,
        criterion="While writes go on, one after the other, each waited for, the pod of the primary (RabbitMQ: of the member that "
        "leads a quorum queue of the drill) is evicted: first with its own grace, then with one of a second, and kept away until "
        "another is the primary. Each time another member is the primary, no time without an acknowledged write is longer than maxSeconds, "
        "every member follows again within 8 min, and every acknowledged write is there (after the second, of a Redis, all but maxLost). "
        "Targets that use it, and declare a service with health or a public route, are asked once a second and answer 5xx, or nothing, for 60 s at most. "
        "Undisturbed, writes are acknowledged every 2 s at least and none is gone, and no application answers 5xx. Nothing more is disturbed once an application "
        "was not well for 30 s.",
        fix="three members on three nodes, of which a majority agrees on the primary; hand over before a stop; acknowledge writes when a majority has them",
        safety=Safety.DISRUPTIVE, stores=("redis", "rabbitmq", "mongodb"), max_age=FIVE_WEEKS,
        params=(
            Param("maxSeconds", 30, "Longest time without an acknowledged write, in seconds.", "lower"),
            Param("maxLost", 0, "Acknowledged writes that may be gone when the primary of a Redis is killed: it replicates asynchronously.", "lower"),
        ),
        ask=ask, judge=judge,
        checklists=("002/7.a4",),
    ),
)  # fmt: skip
