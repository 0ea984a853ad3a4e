"""Two replicas: one acts. Whoever lost the Lease, however, writes nothing and ends."""

from __future__ import annotations

import signal
import time

import pytest
from chaosproxy import Refuse, calls
from holdrig import until
from holdworld import deployment, policy

pytestmark = pytest.mark.api
TERMS = {"lease_duration": 6, "lease_renew_deadline": 4.5, "lease_retry": 0.5}
LEASE = 6.0
LEADS = "every kind is listed"


@pytest.fixture
def pair(launch):
    """The leader and the one that waits."""
    leader = launch(**TERMS)
    waiting = launch(wait=False, **TERMS)
    until(lambda: waiting.said("serving metrics"), 45)
    return leader, waiting


def leads(operator) -> bool:
    return operator.metrics()["readiness_leader"] == 1.0


def test_one_leads_and_hands_over_at_once(pair, space, seat, audit):
    leader, waiting = pair
    space.apply(deployment(), policy())
    space.await_verdict("True")
    assert leads(leader)
    assert not leads(waiting)
    assert waiting.page("/readyz").status_code == waiting.page("/healthz").status_code == 200
    audit.mark()
    began = time.monotonic()
    assert leader.stop() == 0
    assert time.monotonic() - began < 45  # budget 15 s
    until(lambda: waiting.said(LEADS), LEASE, "a hand-over before the Lease could expire")
    space.apply(deployment(good=False))
    space.await_verdict("False")
    until(lambda: len(audit.calls(seat.user, space.name)) >= 3, 10, "report, status and event")
    assert len(audit.calls(seat.user, space.name)) == 3


def test_a_killed_leader_is_replaced(pair, space):
    leader, waiting = pair
    leader.kill()
    began = time.monotonic()
    until(lambda: waiting.said(LEADS), LEASE * 3 + 5, "a take-over")
    assert time.monotonic() - began >= LEASE / 2, "nobody may take a Lease that has not expired"
    space.apply(deployment(), policy())
    space.await_verdict("True")


def test_a_leader_that_slept_writes_nothing_and_ends(pair, space, seat):
    """SIGSTOP for longer than the Lease, with a change waiting for it: the fence is in every write."""
    leader, waiting = pair
    space.apply(deployment(), policy())
    space.await_verdict("True")
    leader.send(signal.SIGSTOP)
    until(lambda: waiting.said(LEADS), LEASE * 3 + 5, "a take-over")
    space.apply(deployment(good=False))
    space.await_verdict("False")
    space.apply(policy(enforcement="enforce"))
    until(lambda: space.verdict().startswith("False"))
    version = space.policy()["metadata"]["resourceVersion"]
    leader.send(signal.SIGCONT)
    assert leader.wait(30) not in (0, None)
    assert "wrote the status" not in leader.text().partition("lost Lease")[2]
    time.sleep(2)
    assert space.policy()["metadata"]["resourceVersion"] == version


def test_a_stolen_lease_ends_the_leader(launch, seat, api_server):
    leader = launch(**TERMS)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{seat.name}/leases/readiness-operator"
    stolen = {"spec": {"holderIdentity": "somebody-else"}}
    merge = {"Content-Type": "application/merge-patch+json"}
    assert api_server.http.patch(path, json=stolen, headers=merge).is_success
    assert leader.wait(30) == 1
    assert leader.said("lost Lease")


def test_a_lease_that_cannot_be_renewed_ends_the_leader(launch, proxy, seat):
    leader = launch(seat.kubeconfig(proxy.url), **TERMS)
    proxy.break_(calls("PUT", "/leases/"), Refuse(500), times=float("inf"))
    assert leader.wait(30) == 1
