"""What a policy costs: calls counted in the API server's audit log, not times."""

from __future__ import annotations

import time

import pytest
from holdrig import until
from holdworld import PASSIVE, deployment, policy

pytestmark = pytest.mark.api
PASSES = 'readiness_reconcile_total{result="success"}'
QUIET = 3.0  # seconds in which whatever else would come has come


def test_an_early_policy_is_ready_and_judges_what_appears_later(launch, space, api_server):
    launch()
    began = time.monotonic()
    space.apply(policy())
    where = ("-n", space.name, "rdy/app")
    api_server.kubectl("wait", "--for=condition=Ready", "--timeout=30s", *where)
    assert time.monotonic() - began < 30
    assert space.verdict() == "Unknown/TargetNotFound"
    api_server.kubectl("wait", "--for=condition=Compliant=Unknown", "--timeout=5s", *where)
    space.apply(deployment())
    space.await_verdict("True/AllControlsHold")


def test_calls_of_a_passive_policy(launch, space, seat, audit):
    launch()
    space.apply(deployment())
    audit.mark()
    space.apply(policy())
    space.await_verdict("True")
    time.sleep(QUIET)
    assert sorted(audit.calls(seat.user, space.name, reads=True)) == [
        "create events 201", "patch readinesspolicies/status 200", "patch readinessreports 201",
    ]  # fmt: skip

    audit.mark()
    space.apply(deployment(good=False))
    space.await_verdict("False")
    time.sleep(QUIET)
    assert sorted(audit.calls(seat.user, space.name, reads=True)) == [
        "create events 201", "patch readinesspolicies/status 200", "patch readinessreports 200",
    ]  # fmt: skip

    audit.mark()
    space.apply(policy(enforcement="enforce"))
    until(lambda: space.verdict() == "False/P0Failed")
    time.sleep(QUIET)
    assert audit.calls(seat.user, space.name, reads=True) == ["patch readinesspolicies/status 200"]


PROBED = (*PASSIVE, "CFG-009")


def running(space, port: int, address: str) -> None:
    """A good application whose one pod answers at the address."""
    workload = deployment(replicas=1)
    workload["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = port
    space.apply(workload)
    space.run_pod("app", address)


def test_calls_of_a_probed_policy(launch, space, seat, audit, served):
    address, port, asked = served
    operator = launch()
    running(space, port, address)
    time.sleep(1)
    audit.mark()
    space.apply(policy(controls=PROBED))
    space.await_verdict("True", seconds=90)
    time.sleep(QUIET)
    calls = audit.calls(seat.user, space.name, reads=True)
    assert 3 <= len(calls) <= 5, calls
    assert 0 < len(asked) <= 2 * 10 + 4, (
        asked
    )  # CFG-009: at most ten GETs of the list, and its baseline

    audit.mark()
    operator.restart()
    time.sleep(QUIET)
    assert audit.calls(seat.user, space.name) == []


def looks(operator) -> dict[str, float]:
    name = "readiness_looks_total{"
    return {k: v for k, v in operator.metrics().items() if k.startswith(name)}


def idle(operator, space, audited, served, seconds: float) -> dict[str, float]:
    """Runs with every maxAge at its minimum; looks per control within so many seconds."""
    (seat, audit), (address, port, _) = audited, served
    running(space, port, address)
    found = policy(controls=PROBED)
    for row in found["spec"]["controls"]:
        row["maxAge"] = "1m"
    space.apply(found)
    space.await_verdict("True", seconds=90)
    time.sleep(QUIET)
    audit.mark()
    before = looks(operator)
    time.sleep(seconds)
    assert audit.calls(seat.user) == []
    assert space.verdict() == "True/AllControlsHold"
    after = looks(operator)
    return {name: after[name] - before[name] for name in before}


def test_an_idle_policy_writes_nothing(launch, space, seat, audit, served):
    found = idle(launch(), space, (seat, audit), served, 110)
    assert len(found) >= len(PROBED) - 2  # the gates look at findings, not at the application
    assert min(found.values()) >= 2, found


@pytest.mark.slow
def test_an_idle_policy_writes_nothing_for_ten_minutes(launch, space, seat, audit, served):
    found = idle(launch(), space, (seat, audit), served, 600)
    assert min(found.values()) >= 8, found


def test_an_unchanged_resync_writes_nothing(launch, space, seat, audit):
    operator = launch(resync=2)
    space.apply(deployment(), policy())
    space.await_verdict("True")
    time.sleep(1)
    audit.mark()
    before = operator.metrics()[PASSES]
    until(lambda: operator.metrics()[PASSES] >= before + 3, 30, "three passes")
    assert audit.calls(seat.user) == []


def restarts(operator, space, seat, audit, *, times: int, policies: int) -> None:
    """All correct policies, the operator killed again and again: nobody notices."""
    names = [f"app-{number}" for number in range(policies)]
    for name in names:
        space.apply(deployment(name), policy(name))
    items = f"{space.path('readinesspolicies')}?limit=5000"

    def judged() -> bool:
        rows = space.api.http.get(items).json()["items"]
        reasons = [
            c["reason"]
            for r in rows
            for c in r.get("status", {}).get("conditions", ())
            if c["type"] == "Compliant"
        ]
        return reasons.count("AllControlsHold") == policies

    until(judged, 30 + policies, "every verdict")
    time.sleep(QUIET)
    audit.mark()
    for _ in range(times):
        operator.restart()
        until(lambda: operator.metrics().get(PASSES, 0) >= policies, 120, "a pass over each")
        time.sleep(1)
    assert audit.calls(seat.user) == []


def test_restarts_write_nothing(launch, space, seat, audit):
    restarts(launch(), space, seat, audit, times=3, policies=100)


@pytest.mark.slow
def test_ten_restarts_with_a_thousand_policies_write_nothing(launch, space, seat, audit):
    restarts(launch(), space, seat, audit, times=10, policies=1000)
