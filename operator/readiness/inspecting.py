"""The frame all controls of data services hang in: asking once, and saying why nothing can be said.

A judge built with `on_store` sees servers that answered. Pure; what a kind's answers mean is not
known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from readiness.control import Subject, unknown
from readiness.inspection import StoreAnswer, StoreRequest, Told
from readiness.model import Manifest, Result, Verdict
from readiness.passive import listed
from readiness.request import Answers, Request
from readiness.stores import Store

MAX_AGE: Final = 3600.0
KINDS: Final = ("redis", "mongodb", "rabbitmq")
_ERRORS: Final = {
    "Unreachable": "does not answer", "LoginRefused": "refuses the login", "Loading": "loads its data",
    "NotPermitted": "does not permit the login to look", "Refused": "refuses to tell",
    "EgressRefused": "may not be reached by the operator", "NameNotFound": "has a name that does not resolve",
    "TLSNotSupported": "is looked at without TLS only",
}  # fmt: skip
_FIXES: Final = {
    "Unreachable": "see whether it runs, and whether a NetworkPolicy or firewall drops the operator's packets",
    "LoginRefused": "compare user and password of the Secret with the server's",
    "NotPermitted": "give the login the rights that docs/data-services.md lists, or name another in probeSecretRef",
    "Refused": "see the server's log",
    "EgressRefused": "name the host, and the network of its address, in egress.allow of the operator's chart",
    "NameNotFound": "correct the host, or its DNS record",
    "Loading": "wait until it has its data",
    "TLSNotSupported": "this version asks a MongoDB without TLS only: have the control waived with whoever runs it",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """What was answered: `members` and `sentinels` that told of themselves, `silent` ones with a word for why."""

    store: Store
    told: tuple[Told, ...]

    @property
    def members(self) -> tuple[Told, ...]:
        """Members that answered."""
        return tuple(t for t in self.told if not t.sentinel and not t.error)

    @property
    def sentinels(self) -> tuple[Told, ...]:
        """Sentinels that answered."""
        return tuple(t for t in self.told if t.sentinel and not t.error)

    @property
    def silent(self) -> tuple[Told, ...]:
        """Servers that told nothing."""
        return tuple(t for t in self.told if t.error)

    def facts(self, question: str) -> Mapping[str, Any]:
        """What each member answered to a question, by name; without those that did not."""
        return {t.name: t.facts[question] for t in self.members if t.facts.get(question) is not None}  # fmt: skip


Judge = Callable[[Subject, Seen], Verdict]


def ask_store(subject: Subject) -> tuple[Request, ...]:
    """One look at the data service, once there is somebody to ask."""
    return requests_of(subject.store)


def requests_of(store: Store | None, scan: str = "") -> tuple[StoreRequest, ...]:
    """The look at a store; nothing while none of its servers is known."""
    if store is None or not (store.request.hosts or store.request.sentinels):
        return ()
    return (replace(store.request, scan=scan) if scan else store.request,)


def on_store(
    judge: Judge, *, at_least_one: bool = True, everybody: bool = False
) -> Callable[[Subject, Answers], Verdict]:
    """A `judge` that is asked once servers have answered, `at_least_one` of them a member.

    With `everybody` it passes only what every server told of itself; a RabbitMQ's member tells of all.
    """

    def judge_answered(subject: Subject, answers: Answers) -> Verdict:
        if subject.store is None:
            return unknown("NotAsked", f"{subject.where} is no data service")
        seen = seen_of(subject.store, answers)
        if isinstance(seen, Verdict):
            return seen
        verdict = judge(subject, seen) if seen.members or not at_least_one else silence(seen)
        if everybody and verdict.result is Result.PASS and seen.silent and seen.store.kind != "rabbitmq":  # fmt: skip
            verdict = silence(seen)
        return verdict if verdict.where else replace(verdict, where=where_of(subject.store))

    return judge_answered


def seen_of(store: Store, answers: Answers, scan: str = "") -> Seen | Verdict:
    """What a store answered, or why nobody could be asked."""
    asked = requests_of(store, scan)
    if not asked:
        return unknown(
            "NotProvided", f"no member of {store.name} runs yet",
            fix="see the condition Provisioned of the policy" if store.provided
            else f"correct spec.dataServices[{store.name}].external", where=where_of(store),
        )  # fmt: skip
    answer = answers.get(asked[0])
    if not isinstance(answer, StoreAnswer):
        return unknown("NotAsked", f"{store.name} has not been looked at", where=where_of(store))
    if answer.problem is not None:
        problem = answer.problem
        return unknown(problem.reason, problem.words, fix=problem.fix, where=where_of(store))
    return Seen(store, answer.told)


def silence(seen: Seen) -> Verdict:
    """Members told nothing: nothing is known of them, and everybody's reason is named."""
    errors = [told.error for told in seen.silent]
    first = next((error for error in errors if error in _FIXES), "Unreachable")
    who = "not every member" if seen.members else "no member"
    return unknown(
        first, f"{who} of {seen.store.name} tells how it is: {reasons_of(seen.silent)}",
        fix=_FIXES[first], where=where_of(seen.store),
    )  # fmt: skip


def reasons_of(silent: Iterable[Told]) -> str:
    """Each server that told nothing, with why."""
    return listed(f"{t.name} {_ERRORS.get(t.error, t.error)}" for t in silent)


def refused(seen: Seen, question: str, right: str) -> Verdict:
    """A question that no member answered, because the login lacks a right."""
    who = listed(t.name for t in seen.members if question in t.refused) or seen.store.name
    return unknown(
        "NotPermitted", f"{who} may not be asked for {question} with this login",
        fix=f"give the login {right}, or name one that has it in probeSecretRef",
        where=where_of(seen.store),
    )  # fmt: skip


def where_of(store: Store) -> str:
    """What a finding calls the service."""
    return f"DataService/{store.name}"


def names_of(manifests: Iterable[Manifest]) -> list[str]:
    """Names of objects, in order."""
    return sorted(str(each["metadata"]["name"]) for each in manifests)
