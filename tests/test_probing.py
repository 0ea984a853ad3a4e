"""Requests stay within their budget, and hops are merged without hiding any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import readiness.controls
from readiness.api.policy import PolicySpec
from readiness.api.target import Target
from readiness.control import Control, Gate, Subject, failed, passed, unknown
from readiness.model import Result, Safety, Verdict
from readiness.probing import across, edge, for_users, innermost, replicas, unreachable, ways
from readiness.registry import discover
from readiness.request import Hop, HopKind, HttpAnswer, HttpRequest, Outcome
from readiness.snapshot import Snapshot

PODS = tuple(Hop(HopKind.POD, n, "api", 8080, f"10.0.0.{i}") for i, n in enumerate("abc"))
SERVICE = Hop(HopKind.SERVICE, "api", "api", 80, "10.1.0.1")
EDGE = Hop(HopKind.EDGE, "x", "x.example", 443, tls=True, prefix="/base")
FULL: dict[str, Any] = {
    "name": "api",
    "workloadRef": {"kind": "Deployment", "name": "api"},
    "service": {"name": "api", "port": 80},
    "externalURL": "https://x.example/base",
    "health": {"path": "/health", "deepPath": "/health?deep=true", "components": ["redis"]},
    "http": {"protected": ["/api/orders", "/api/me"], "public": ["/"], "sensitive": ["/api/session"]},
    "cors": {"allowedOrigins": ["https://app.example.com"]},
    "cookies": {"session": "sid"},
    "metrics": {"path": "/metrics"},
}  # fmt: skip
PROBES = [
    c
    for c in discover(readiness.controls, (Control, Gate)).values()
    if isinstance(c, Control)
    and c.family in ("HLT", "HDR", "COR", "AUT", "CFG", "OBS")
    and c.safety is not Safety.DRILL
    and not c.stores  # those ask servers of stores, not over HTTP
]


def subject(
    hops: tuple[Hop, ...] = (*PODS, SERVICE, EDGE), *, live: bool = True, **fields: Any
) -> Subject:
    target = Target.model_validate(FULL)
    return Subject(
        PolicySpec(targets=(target,)),
        target,
        Snapshot(live=live),
        {"kind": "Deployment"},
        hops=hops,
        **fields,
    )


@pytest.mark.parametrize("control", PROBES, ids=lambda c: c.id)
def test_every_request_is_harmless_and_bounded(control: Control) -> None:
    asked = control.ask(subject())
    assert len(asked) == len(set(asked))
    assert len(asked) <= 48
    for request in asked:
        assert isinstance(request, HttpRequest)
        assert request.method in ("GET", "HEAD", "OPTIONS")
        assert request.cap <= (2 << 20 if control.id == "OBS-001" else 1 << 16)
        assert request.path.startswith("/base/" if request.hop == EDGE else "/")
        assert not (
            request.method == "GET" and {"if-none-match", "range"} & dict(request.headers).keys()
        )
    assert control.safety is (Safety.BENIGN if asked else Safety.PASSIVE)
    assert control.ask(subject()) == asked


def test_debug_paths_cost_ten_gets_per_hop() -> None:
    control = next(c for c in PROBES if c.id == "CFG-009")
    assert len(control.ask(subject(hops=(EDGE,)))) == 10


def test_a_fully_declared_target_stays_within_a_minute_at_two_per_second() -> None:
    single = {r for c in PROBES for r in c.ask(subject())}
    assert len(single) <= 120, len(single)


PASS, FAIL = passed("Fine", "fine"), failed("Bad", "bad", expected="x", observed="y", fix="z")
OTHER = failed("Worse", "worse", expected="x", observed="w", fix="z")
UNKNOWN = unknown("Unreachable", "silent")


def seen(
    *verdicts: Verdict, service: Verdict | None = None, outer: Verdict | None = None
) -> dict[Hop, Verdict]:
    found = dict(zip(PODS, verdicts, strict=False))
    return found | ({SERVICE: service} if service else {}) | ({EDGE: outer} if outer else {})


@pytest.mark.parametrize(
    ("verdicts", "result", "reason", "observed", "via"),
    [
        (seen(PASS, PASS, PASS, service=PASS), "Pass", "Fine", "", "pod, service"),
        (seen(FAIL, FAIL, FAIL, outer=PASS), "Fail", "Bad", "y", "pod"),
        (seen(PASS, FAIL, FAIL), "Fail", "Bad", "2 of 3 pods: y", "pod"),
        (seen(PASS, FAIL, OTHER), "Fail", "Bad", "1 of 3 pods: y", "pod"),
        (seen(FAIL, FAIL, FAIL, outer=FAIL), "Fail", "Bad", "y", "pod, edge"),
        (seen(UNKNOWN, FAIL, PASS), "Fail", "Bad", "1 of 3 pods: y", "pod"),
        (seen(PASS, outer=FAIL), "Fail", "Bad", "y", "edge"),
        (seen(PASS, UNKNOWN, PASS), "Unknown", "Unreachable", "1 of 3 pods: ", "pod"),
        (seen(PASS, outer=UNKNOWN), "Unknown", "Unreachable", "", "edge"),
    ],
)  # fmt: skip
def test_it_must_hold_on_every_hop(
    verdicts: Mapping[Hop, Verdict], result: str, reason: str, observed: str, via: str
) -> None:
    merged = across(subject(), verdicts)
    assert (merged.result, merged.reason, merged.observed, merged.via) == (
        result,
        reason,
        observed,
        via,
    )


def test_a_declared_way_that_cannot_be_asked_leaves_it_unproven() -> None:
    problems = {"service": unknown("ServiceNotFound", "gone")}
    assert across(subject(hop_problems=problems), seen(PASS)).reason == "ServiceNotFound"
    assert across(subject(hop_problems=problems), seen(FAIL)).reason == "Bad"
    refused = {"edge": unknown("EgressRefused", "may not")}
    assert across(subject(hop_problems=refused), seen(PASS)).result is Result.PASS


@pytest.mark.parametrize(
    ("verdicts", "result", "via"),
    [
        (seen(FAIL, FAIL, FAIL, outer=PASS), "Pass", "edge"),
        (seen(PASS, PASS, PASS, outer=FAIL), "Fail", "edge"),
        (seen(PASS, FAIL, PASS, outer=PASS), "Fail", "pod"),
        (seen(PASS, UNKNOWN, PASS, outer=PASS), "Pass", "edge"),
        (seen(PASS, PASS, PASS, outer=UNKNOWN), "Unknown", "edge"),
        (seen(FAIL, FAIL, FAIL), "Fail", "pod"),
        (seen(PASS, PASS, PASS), "Pass", "pod"),
    ],
)
def test_users_see_the_edge(verdicts: Mapping[Hop, Verdict], result: str, via: str) -> None:
    merged = for_users(subject(), verdicts)
    assert (merged.result, merged.via) == (result, via)


def test_which_hops_are_asked() -> None:
    full = subject()
    assert innermost(full) == PODS[:1]
    assert ways(full) == (PODS[0], EDGE)
    assert replicas(full) == (*PODS, EDGE)
    assert edge(full) == (EDGE,)
    assert replicas(subject(hops=(SERVICE, EDGE))) == (SERVICE, EDGE)
    assert ways(subject(hops=(EDGE,))) == (EDGE,)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.RESPONSE])
def test_every_way_to_get_no_answer_is_unknown_with_a_remedy(outcome: Outcome) -> None:
    for hop in (PODS[0], SERVICE, EDGE):
        verdict = unreachable(subject(), hop, HttpAnswer(outcome, detail="took 3.1 s"))
        assert verdict.result is Result.UNKNOWN
        assert verdict.reason == ("EgressRefused" if outcome is Outcome.DENIED else "Unreachable")
        assert verdict.fix
        assert "3.1" not in verdict.message + verdict.fix


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.RESPONSE])
def test_the_remedy_is_that_of_the_place_that_was_asked(outcome: Outcome) -> None:
    """What a user typed is corrected there; no policy and no cluster is to be blamed for it."""
    declared = unreachable(subject(), EDGE, HttpAnswer(outcome)).fix
    typed = unreachable(subject((EDGE,), live=False), EDGE, HttpAnswer(outcome)).fix
    assert typed == declared.replace("spec.targets[].externalURL", "the URL")
    for word in ("NetworkPolicy", "Service", "mesh", "0.0.0.0", "{"):
        assert word not in typed
