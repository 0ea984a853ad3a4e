"""What a policy costs: calls counted in the API server's audit log, not times."""

from __future__ import annotations

import time

import pytest
from holdrig import until
from holdworld import deployment, policy

pytestmark = pytest.mark.api
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
