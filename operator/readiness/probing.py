"""Asking over every way and merging what each way said: the frame all HTTP controls hang in.

A control states its cases per hop, each with requests and a look at their answers; the same
definition serves `ask` and `judge`, so that they cannot drift apart. Equal requests of several
controls are sent once: build them here. Pure; how a request is sent is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from readiness.control import Subject, unknown
from readiness.model import Result, Verdict
from readiness.naming import digest
from readiness.obstacles import closed_by, mesh_of, opening
from readiness.request import Answers, Hop, HopKind, HttpAnswer, HttpRequest, Outcome

MAX_AGE: Final = 3600.0
BROWSER: Final = ("accept", "text/html,*/*;q=0.8")
_UNSEEN: Final = HttpAnswer(Outcome.ABORTED, detail="the request was not sent")
_TLS: Final = "serve a certificate that is valid for this host"
_AGAIN: Final = "it is asked again"
_ENDED: Final = {
    Outcome.REFUSED: ("refuses connections",
                      "listen on 0.0.0.0 (not 127.0.0.1) at this port, or correct the declared port",
                      "correct the port of {url}, or start what should listen there"),
    Outcome.RESET: ("closes the connection without an answer",
                    "if it speaks TLS, name the Service's port https; otherwise see the application's log",
                    "if it speaks TLS, write https:// in {url}; otherwise see the log of what answers there"),
    Outcome.TIMEOUT: ("does not answer in time",
                      "see whether it is overloaded, or a NetworkPolicy or firewall drops the operator's packets",
                      "correct the port of {url}, or see whether it is overloaded or a firewall on the way drops packets"),
    Outcome.DNS: ("has a name that does not resolve", _AGAIN, "correct {url}, or the DNS record"),
    Outcome.TLS: ("fails the TLS handshake", _TLS, _TLS),
    Outcome.MALFORMED: ("answers with something that is not HTTP/1.1",
                        "declare the port that speaks HTTP", "correct {url}: name the port that speaks HTTP"),
}  # fmt: skip
"""What is seen, what helps at a pod or Service, and what helps at an address outside."""


@dataclass(frozen=True, slots=True)
class Case:
    """Requests of one hop that are judged together; `look` gets their answers in this order.

    Unless `partial`, `look` is called only when all were answered; with it, when the first was.
    """

    requests: tuple[HttpRequest, ...]
    look: Callable[[tuple[HttpAnswer, ...]], Verdict]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """Which hops a control asks, its cases on each, and how the hops' verdicts become one.

    `kinds` are the ways whose problems explain why there is no hop.
    """

    hops: Callable[[Subject], tuple[Hop, ...]]
    cases: Callable[[Subject, Hop], Iterable[Case]]
    merge: Callable[[Subject, Mapping[Hop, Verdict]], Verdict]
    kinds: tuple[HopKind, ...] = (HopKind.POD, HopKind.SERVICE, HopKind.EDGE)

    def ask(self, subject: Subject) -> tuple[HttpRequest, ...]:
        """Every request of every case, each once."""
        cases = (case for hop in self.hops(subject) for case in self.cases(subject, hop))
        return tuple(dict.fromkeys(request for case in cases for request in case.requests))

    def judge(self, subject: Subject, answers: Answers) -> Verdict:
        """One verdict over all hops."""
        seen = {
            hop: worst(_look(subject, hop, case, answers) for case in self.cases(subject, hop))
            for hop in self.hops(subject)
        }
        if not seen:
            problems = (subject.hop_problems.get(kind) for kind in self.kinds)
            none = unknown(
                "NoWay", f"target {subject.target.name} has no address that could be asked",
                fix="declare spec.targets[].service or externalURL",
            )  # fmt: skip
            return replace(next((p for p in problems if p), none), where=subject.where)
        return replace(self.merge(subject, seen), where=subject.where)


def get(
    hop: Hop, path: str, *headers: tuple[str, str], nth: int = 0, after: float = 0.0
) -> HttpRequest:
    """GET as a browser would, plus `headers`; a header given replaces the browser's."""
    names = {name for name, _ in headers}
    browser = () if BROWSER[0] in names else (BROWSER,)
    return HttpRequest(hop, hop.prefix + path, "GET", (*browser, *headers), nth, after)


def missing(subject: Subject, hop: Hop) -> tuple[HttpRequest, HttpRequest]:
    """Two routes that cannot exist, the same ones for every control: the baseline."""
    key = (subject.snapshot.namespace, subject.target.name)
    first, second = (get(hop, f"/readiness-{digest(*key, n)}") for n in ("a", "b"))
    return first, second


def innermost(subject: Subject) -> tuple[Hop, ...]:
    """One pod, else the Service, else the edge: for what all replicas share."""
    return subject.hops[:1]


def ways(subject: Subject) -> tuple[Hop, ...]:
    """One inner way and the edge. A Service forwards unchanged to the very port of its pods."""
    inner = [h for h in subject.hops if h.kind is not HopKind.EDGE][:1]
    return (*inner, *edge(subject))


def replicas(subject: Subject) -> tuple[Hop, ...]:
    """Every chosen pod and the edge; the Service only when no pod can be asked."""
    pods = tuple(h for h in subject.hops if h.kind is HopKind.POD)
    return (*pods, *edge(subject)) if pods else ways(subject)


def edge(subject: Subject) -> tuple[Hop, ...]:
    """The external URL only."""
    return tuple(h for h in subject.hops if h.kind is HopKind.EDGE)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The first Fail, else the first Unknown, else the first Pass; says how many more failed."""
    found = list(verdicts)
    for result in (Result.FAIL, Result.UNKNOWN, Result.PASS):
        same = [v for v in found if v.result is result]
        if same and result is Result.FAIL and len(same) > 1:
            more = f"{same[0].observed}; and {len(same) - 1} more like it"
            return replace(same[0], observed=more)
        if same:
            return same[0]
    return found[0]


def across(subject: Subject, seen: Mapping[Hop, Verdict]) -> Verdict:
    """It must hold on every hop: a gateway does not excuse an open pod.

    A pod or Service that was declared and could not be asked leaves it unproven.
    """
    verdict = worst(seen.values())
    if verdict.result is Result.FAIL:
        return _deviating(seen, Result.FAIL)
    problems = (subject.hop_problems.get(k) for k in (HopKind.POD, HopKind.SERVICE))
    problem = next((p for p in problems if p), None)
    if problem is not None:
        return problem
    if verdict.result is Result.UNKNOWN:
        return _deviating(seen, Result.UNKNOWN)
    return replace(verdict, via=_kinds(seen))


def for_users(subject: Subject, seen: Mapping[Hop, Verdict]) -> Verdict:
    """What users get counts: the edge where it can be asked. Replicas must agree with each other."""
    outer = {h: v for h, v in seen.items() if h.kind is HopKind.EDGE}
    inner = {h: v for h, v in seen.items() if h.kind is not HopKind.EDGE}
    if not outer:
        return across(subject, seen)
    verdict = worst(outer.values())
    results = {v.result for v in inner.values()}
    if verdict.result is Result.PASS and {Result.FAIL, Result.PASS} <= results:
        return _deviating(inner, Result.FAIL)
    return replace(verdict, via=_kinds(outer))


def _kinds(hops: Iterable[Hop]) -> str:
    return ", ".join(dict.fromkeys(str(h.kind) for h in hops))


def _deviating(seen: Mapping[Hop, Verdict], result: Result) -> Verdict:
    """The first hop's verdict with this result, saying which hops share it. Pods are named only
    where replicas differ: names change with every rollout, and the verdict should not."""
    first = next(v for v in seen.values() if v.result is result)
    hops = [h for h, v in seen.items() if (v.result, v.reason) == (result, first.reason)]
    pods = [h for h in seen if h.kind is HopKind.POD]
    bad = [h.name for h in hops if h.kind is HopKind.POD]
    if not bad or len(bad) == len(pods):
        return replace(first, via=_kinds(hops))
    share = f"{len(bad)} of {len(pods)} pods"
    return replace(
        first,
        message=f"{first.message}; replicas differ: {share} ({', '.join(bad)})",
        observed=f"{share}: {first.observed}",
        via=_kinds(hops),
    )


def _look(subject: Subject, hop: Hop, case: Case, answers: Answers) -> Verdict:
    got = tuple(
        a if isinstance(a := answers.get(request), HttpAnswer) else _UNSEEN
        for request in case.requests
    )
    needed = got[:1] if case.partial else got
    silent = next((a for a in needed if not a.answered), None)
    return case.look(got) if silent is None else unreachable(subject, hop, silent)


def unreachable(subject: Subject, hop: Hop, answer: HttpAnswer) -> Verdict:
    """Why there is no answer, and what to do about it. It never says how the application behaves."""
    place = f"port {hop.port} of the {hop.kind}" if hop.kind is not HopKind.EDGE else hop.host
    if answer.outcome is Outcome.DENIED:
        return unknown(
            "EgressRefused", f"the operator's guard refuses the address of {place}",
            fix="if the address is meant, the platform team names it in the chart's egress.allow",
            evidence=answer.detail,
        )  # fmt: skip
    what, fix, outside = _ENDED.get(answer.outcome, ("was not asked to the end", _AGAIN, _AGAIN))
    inside = hop.kind is not HopKind.EDGE
    if not inside:
        url = "spec.targets[].externalURL" if subject.snapshot.live else "the URL"
        fix = outside.format(url=url)
    mesh = mesh_of(subject.snapshot, subject.pods) if inside else ""
    if mesh and answer.outcome in (Outcome.RESET, Outcome.TIMEOUT, Outcome.REFUSED):
        return unknown(
            "MeshMTLSRequired", f"{place} {what}: its pods are in {mesh}, which accepts mTLS only",
            fix="allow plain requests from the operator's namespace on this port "
            "(Istio: PeerAuthentication portLevelMtls PERMISSIVE; Linkerd: an AuthorizationPolicy)",
            evidence=answer.detail,
        )  # fmt: skip
    closing = _closing(subject, hop) if answer.outcome is Outcome.TIMEOUT else ()
    if closing and subject.workload is not None:
        what = f"{what}: NetworkPolicy {', '.join(closing)} does not admit namespace {subject.snapshot.operator_namespace}"
        fix = "kubectl apply -f - <<< '" + opening(subject.snapshot, subject.workload, _pod_port(subject, hop)) + "'"  # fmt: skip
    return unknown("Unreachable", f"{place} {what}", fix=fix, evidence=answer.detail)


def _closing(subject: Subject, hop: Hop) -> tuple[str, ...]:
    if hop.kind is HopKind.EDGE:
        return ()
    return closed_by(subject.snapshot, subject.pods, _pod_port(subject, hop))


def _pod_port(subject: Subject, hop: Hop) -> int:
    """NetworkPolicies see the pod's port, also of what was sent to the Service's."""
    pods = (h.port for h in subject.hops if h.kind is HopKind.POD)
    return hop.port if hop.kind is HopKind.POD else next(pods, hop.port)
