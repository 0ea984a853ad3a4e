"""Every side of every control of faults: what a clone did in, verdicts out; and the arms that it is taken through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from readiness.api import read_policy
from readiness.control import Control, Subject
from readiness.drills.faulting import spoken
from readiness.model import Outcome, Result
from readiness.request import DrillRequest
from readiness.script import Arm, deadline_of
from readiness.step import Calls, Fault, Knock
from readiness.timeline import Call, Ending, Exchange, Problem, Timeline

from .simulated import Pod
from .tables import assert_row, names_of, sides_of, table_of
from .worlds import KNOWN, SNAPSHOT, subject_of, told

TABLE = table_of("faults.yaml")
ROWS = TABLE["rows"]
IDS = ("CFG-012", "REL-002", "REL-003", "HLT-004")
CONTROLS: Mapping[str, Control] = {i: c for i in IDS if isinstance(c := KNOWN[i], Control)}
STORES = [{"name": "cache", "external": {"redis": {"hosts": ["cache"]}}}]
HEALTHY: Mapping[str, Any] = {
    "call": {"calls": ["answered"]},
    "tarpit": {"calls": ["left"], "status": 504, "took": 20},
    "recover": {"calls": [1, 1.05, 1.9], "status": 200, "last": 200},
    "exhaust": {"calls": [1, 0.95, 2.2, 3.7], "status": 502},
    "again": {"calls": [1, 1.2, 1.8, 4.4], "status": 502},
    "deep": {},
}
START = 10.0


def outcome(arm: Arm, row: Mapping[str, Any]) -> Timeline:
    """The timeline of one arm as a row describes it."""
    kind = arm.name.partition("-")[0]
    seen = {**HEALTHY[kind], **row.get("arms", {}).get(arm.name, {})}
    if "problem" in seen:
        return Timeline(arm.name, problem=Problem(seen["problem"], "so it is"))
    endings = (Ending(START, "app", 1, reason=seen["exit"]),) if "exit" in seen else ()
    exchanges = _health(arm.name, seen) if kind == "deep" else _answers(kind, seen)
    calls = () if kind == "deep" else tuple(_calls(kind, seen))
    return Timeline(arm.name, container="app", lag=seen.get("lag", 0.0), exchanges=exchanges, calls=calls, endings=endings)  # fmt: skip


def _sent(label: str, start: float, took: float, status: int = 200, outcome: str = "response", **more: Any) -> Exchange:  # fmt: skip
    ended = Outcome(outcome)
    whole = ended is Outcome.RESPONSE
    return Exchange(label, 0, 0, start, start, start, start + took, ended, status if whole else 0, whole=whole, **more)  # fmt: skip


def _answers(kind: str, seen: Mapping[str, Any]) -> tuple[Exchange, ...]:
    took, how = seen.get("took", 0.2), {"outcome": seen.get("outcome", "response")}
    if kind == "call":
        return (_sent("call", START, took, seen.get("status", 200), **how),)
    slow, ill = seen.get("slow", 0), seen.get("ill", 0)
    knocks = [_sent("knock", START + n / 2, 3.0 if n < slow else 0.01, 503 if n < ill else 200) for n in range(5)]  # fmt: skip
    return (
        *(_sent("calm", n, 0.01, seen.get("calm", 200)) for n in range(3)),
        _sent("guard", 5.0, 0.1, seen.get("guard", 200)),
        _sent("phase", START, took, seen["status"], **how), *knocks,
        _sent("knock", START + took + 1, 9.0),
    )  # fmt: skip


def _calls(kind: str, seen: Mapping[str, Any]) -> list[Call]:
    if kind == "call":
        return [Call(START, START, 1, outcome=each, label="call") for each in seen["calls"]]
    method = seen.get("method", "GET")
    found = [_call(5.0, 5.0, "guard", each, method if each == "answered" else "") for each in seen.get("guards", ["answered"])]  # fmt: skip
    if kind == "tarpit":
        lasts = seen.get("lasts", 20)
        end = START + lasts if lasts >= 0 else -1.0
        return found + [_call(START, end, "phase", each, method) for each in seen["calls"]]
    at, keys = START - 1, seen.get("keys", [""])
    for nth, gap in enumerate(seen["calls"]):
        at += gap
        last = nth == len(seen["calls"]) - 1
        status = seen.get("last", 503) if last else 503
        found.append(_call(at, at, "phase", "answered", method, status=status, key=keys[nth % len(keys)]))  # fmt: skip
    return found + [_call(START, START, "phase", "answered", "HEAD") for _ in range(seen.get("others", 0))]  # fmt: skip


def _call(at: float, end: float, label: str, outcome: str, method: str, **more: Any) -> Call:
    return Call(at, end, 1, method=method, path="p", outcome=outcome, label=label, **more)


def _health(arm: str, seen: Mapping[str, Any]) -> tuple[Exchange, ...]:
    words = (spoken(arm.partition("-")[2]),) if seen.get("spoken") else ()
    usual = {"well": {"status": 200}, "ill": {"status": 503}, "back": {"status": 200}}
    asked = [
        _sent(label, START, 0.1, **{"fits": True, "found": words} | usual[label] | seen.get(label, {}))
        for label in usual
    ]  # fmt: skip
    return (
        _sent("calm", 1.0, 0.1, seen.get("calm", 200)), *asked,
        *(_sent("shallow", START, 0.1, status) for status in (200, seen.get("shallow", 200))),
    )  # fmt: skip


def subject_for(row: Mapping[str, Any]) -> Subject:
    target = TABLE["target"] | {k: row[k] for k in ("health", "uses", "upstreams") if k in row}
    if not row.get("port", True):
        target = {k: v for k, v in target.items() if k != "service"}
    known = subject_of({k: v for k, v in target.items() if k != "uses"}, Pod(), port=row.get("port", True))  # fmt: skip
    policy = read_policy({"targets": [target], "dataServices": STORES})
    return Subject(policy, policy.targets[0], SNAPSHOT, known.workload)


@pytest.mark.parametrize("row", ROWS, ids=names_of(ROWS))
def test_row(row: dict[str, Any]) -> None:
    assert_row(row, CONTROLS, subject_for(row), lambda _id, arm: outcome(arm, row))


@pytest.mark.parametrize("id_", CONTROLS)
def test_every_side_is_shown(id_: str) -> None:
    assert sides_of(ROWS, id_) >= {Result.PASS, Result.FAIL, Result.UNKNOWN}


@pytest.mark.parametrize("id_", CONTROLS)
def test_without_an_answer_nothing_is_said(id_: str) -> None:
    assert told(CONTROLS[id_].judge(subject_for({}), {})) == "Unknown NotDrilled"


def arms(id_: str, **row: Any) -> dict[str, Arm]:
    asked = CONTROLS[id_].ask(subject_for(row))
    return {r.arm.name: r.arm for r in asked if isinstance(r, DrillRequest)}


def test_nothing_is_asked_of_what_has_no_port_or_is_not_there() -> None:
    assert [arms(id_, port=False) for id_ in IDS] == [{}] * 4
    assert arms("CFG-012", port=False, upstreams=[{"name": "a", "urlEnv": "A"}]).keys() == {"call-a"}  # fmt: skip


def test_every_upstream_is_played_in_every_arm() -> None:
    two = [{"name": n, "urlEnv": n.upper(), "path": "/v1", "call": {"path": "/"}} for n in "ab"]

    for id_ in IDS:
        for arm in arms(id_, upstreams=two).values():
            assert [(e.name, e.value) for e in arm.edits if len(e.name) == 1] == [
                ("A", "http://{upstream a}/v1"), ("B", "http://{upstream b}/v1")
            ]  # fmt: skip


def test_clones_that_fail_for_good_are_treated_alike_and_each_is_let_go() -> None:
    asked = arms("REL-003")

    assert asked["exhaust-llm"].steps == asked["again-llm"].steps
    for id_ in ("REL-002", "REL-003", "HLT-004"):
        for arm in arms(id_).values():
            faults = [step for step in arm.steps if isinstance(step, Fault)]
            assert faults[-1].mode in ("echo", "open")


@pytest.mark.parametrize(("retries", "after"), [(None, 2), (0, 1), (1, 1), (2, 2), (9, 2)])
def test_an_upstream_recovers_after_no_more_failures_than_may_be_repeated(retries: int | None, after: int) -> None:  # fmt: skip
    more = {} if retries is None else {"retries": retries}
    upstream = {"name": "llm", "urlEnv": "U", "call": {"path": "/"}, **more}
    steps = arms("REL-003", upstreams=[upstream])["recover-llm"].steps

    assert [s.after for s in steps if isinstance(s, Fault)] == [0, after, 0]


def test_the_longest_timeouts_fit_what_is_asked_of_a_clone() -> None:
    upstream = {"name": "llm", "urlEnv": "U", "timeout": "5m", "retryBudget": "5m", "call": {"path": "/"}}  # fmt: skip
    (arm,) = arms("REL-002", upstreams=[upstream]).values()
    (knock,) = [step for step in arm.steps if isinstance(step, Knock)]
    (last,) = [step for step in arm.steps if isinstance(step, Calls) and step.last]

    assert knock.every * knock.most >= 2 * last.within
    assert deadline_of(tuple(arms("REL-003", upstreams=[upstream]).values())) < 3000
