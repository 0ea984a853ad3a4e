"""What the process says about itself: unwell when work is stuck, series that go with their policy."""

from __future__ import annotations

import signal

import httpx
import pytest
from chaosproxy import Hang, calls
from holdrig import until
from holdworld import deployment, policy

pytestmark = pytest.mark.api


def test_ready_only_after_everything_is_listed(launch, proxy, seat):
    proxy.break_(calls("GET", "/poddisruptionbudgets", watch=False), Hang(3), times=1)
    operator = launch(seat.kubeconfig(proxy.url), wait=False)
    until(lambda: operator.said("leads by Lease"), 45)
    page = operator.page("/readyz")
    assert (page.status_code, "poddisruptionbudgets" in page.text) == (503, True)
    assert operator.page("/healthz").status_code == 200
    operator.await_ready()
    assert operator.page("/readyz").status_code == 200


def test_a_stopped_process_does_not_answer(launch):
    operator = launch()
    assert operator.page("/healthz").status_code == 200
    operator.send(signal.SIGSTOP)
    with pytest.raises(httpx.TimeoutException):
        operator.page("/healthz", timeout=2)
    operator.send(signal.SIGCONT)
    assert operator.page("/healthz").status_code == 200


def test_a_pass_that_hangs_hits_its_deadline_and_is_repeated(launch, space, proxy, seat):
    """The API server swallows one write: that policy waits, the others are judged."""
    operator = launch(seat.kubeconfig(proxy.url), key_deadline=3)
    proxy.break_(calls("PATCH", f"{space.name}/readinesspolicies/stuck/status"), Hang(600), times=1)
    space.apply(deployment("stuck"), policy("stuck"))
    space.apply(deployment("free"), policy("free"))
    space.await_verdict("True", "free")
    space.await_verdict("True", "stuck", seconds=30)
    assert operator.said("the deadline of 3 s passed")
    assert operator.page("/healthz").status_code == 200


def test_series_go_with_their_policy(launch, space):
    operator = launch()
    space.apply(deployment(), policy())
    space.await_verdict("True")
    mine = f'namespace="{space.name}",policy="app"'
    found = until(lambda: [name for name in operator.metrics() if mine in name])
    assert any(name.startswith("readiness_control_result") for name in found)
    assert any(name.startswith("readiness_policy_condition") for name in found)
    space.delete("readinesspolicies", "app")
    until(lambda: not any(mine in name for name in operator.metrics()), 20, "silence")
    uncovered = f'readiness_namespace_uncovered{{namespace="{space.name}"}}'
    assert operator.metrics()[uncovered] == 1.0
