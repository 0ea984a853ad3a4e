"""No report outlives its target, whatever happens between a report and the status that names it."""

from __future__ import annotations

import pytest
from chaosproxy import Delay, calls
from holdrig import until
from holdworld import deployment, policy, target

pytestmark = pytest.mark.api
BOTH = (target("a"), target("b"))


def targets_of(space) -> list[str]:
    return sorted(r["report"]["target"] for r in space.reports())


def test_a_target_that_leaves_between_report_and_status(launch, space, proxy, seat):
    """The status meets 409: its reports are there, but nothing names them."""
    launch(seat.kubeconfig(proxy.url))
    proxy.break_(calls("PATCH", f"{space.name}/readinesspolicies/app/status"), Delay(2))
    space.apply(deployment("a"), deployment("b"), policy("app", *BOTH))
    until(lambda: targets_of(space) == ["a", "b"])
    space.apply(policy("app", BOTH[0]))
    space.await_verdict("True")
    until(lambda: targets_of(space) == ["a"])


def test_a_target_that_leaves_while_the_spec_is_refused(launch, space):
    launch()
    space.apply(deployment("a"), deployment("b"), policy("app", *BOTH))
    space.await_verdict("True")
    space.apply(policy("app", *BOTH, profiles=["nonesuch"]))
    until(lambda: space.condition("Accepted") == "False/ProfileNotFound")
    space.apply(policy("app", BOTH[0]))
    until(lambda: space.condition("Accepted") == "True/Valid")
    until(lambda: targets_of(space) == ["a"])
