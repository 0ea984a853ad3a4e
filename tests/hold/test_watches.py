"""Watches that break in every way, and an API server that goes away: never a wrong verdict, nothing lost.

One operator lives through all of these; its log of verdicts is what the proxy saw it write.
"""

from __future__ import annotations

import itertools
import json
import threading
import time

import pytest
from chaosproxy import Answer, ChaosProxy, CutBefore, Delay, Refuse, calls
from holdrig import Operator, Seat, until
from holdworld import deployment, policy, target

pytestmark = pytest.mark.api
DEPLOYMENTS = r"/apps/v1/deployments"
POLICIES = r"/v1alpha1/readinesspolicies$"
OTHERS = r"/v1alpha1/readiness(waivers|profiles)$"
STATUS = r"readinesspolicies/\w+/status$"
SETTLED = 10.0  # seconds until the last of four delayed events was judged, on a busy machine
SILENCE = 3.0


@pytest.fixture(scope="module")
def through(seats, api_server, tmp_path_factory):
    """An operator behind a proxy, shared by the module: (operator, proxy, seat)."""
    seat: Seat = seats()
    with ChaosProxy(api_server.running.api_url, seat.tls()) as proxy:
        log = tmp_path_factory.mktemp("watches") / "operator.log"
        settings = {
            "watch_inactivity": SILENCE,
            "lease_duration": 30,
            "lease_renew_deadline": 25,
            "lease_retry": 1,
        }
        operator = Operator(seat.kubeconfig(proxy.url), seat.name, log, settings, seat.free)
        operator.start().await_ready()
        yield operator, proxy
        operator.kill()


@pytest.fixture
def operator(through):
    if through[0].ended():  # under another test, which said so
        through[0].restart()
    yield through[0]
    assert not through[0].ended(), "the operator has ended"


@pytest.fixture
def proxy(through):
    through[1].clear()
    yield through[1]
    through[1].heal()


def verdicts(proxy: ChaosProxy, space) -> list[str]:
    """Every Compliant that was written, in order, also those the API server refused."""
    bodies = [
        e.call.body
        for e in list(proxy.log)
        if f"/{space.name}/" in e.call.path and e.call.path.endswith("/status")
    ]
    rows = [row for body in bodies for row in json.loads(body)["status"]["conditions"]]
    return [row["status"] for row in rows if row["type"] == "Compliant"]


def good(space, name: str = "app") -> None:
    space.apply(deployment(name), policy(name))
    space.await_verdict("True", name)


def test_410_and_500_in_a_watch(operator, proxy, space):
    good(space)
    for path in (DEPLOYMENTS, POLICIES):
        for code in (410, 500):
            assert proxy.error(path, code) >= 1
            space.apply(deployment(good=False))
            space.await_verdict("False")
            space.apply(deployment())
            space.await_verdict("True")


def test_a_compacted_watch_starts_anew(operator, proxy, space):
    """What etcd's compaction looks like to a client: 410 instead of the watch."""
    good(space)
    proxy.break_(calls("GET", DEPLOYMENTS, watch=True), Refuse(410), times=2)
    assert proxy.cut(DEPLOYMENTS) >= 1
    space.apply(deployment(good=False))
    space.await_verdict("False")


def test_a_dead_watch_is_noticed(operator, proxy, space):
    """No FIN, no bookmark: silence is the only sign. Foreign kinds and our own."""
    good(space)
    until(lambda: proxy.freeze(DEPLOYMENTS), 30, "an open watch of Deployments")
    space.apply(deployment(good=False))
    space.await_verdict("False", seconds=SILENCE * 4)
    until(lambda: proxy.freeze(POLICIES), 30, "an open watch of policies")
    space.apply(policy("late", target(workload="app")))
    space.await_verdict("False", "late", seconds=SILENCE * 6)


def test_a_watch_fails_while_others_are_being_opened(operator, proxy, space):
    """What is cancelled in the midst of a request may swallow that: policies are watched again all the same."""
    good(space)
    opening = threading.Event()
    proxy.break_(calls("GET", OTHERS, watch=True), Delay(60, opening.set), times=float("inf"))
    proxy.cut(OTHERS)
    for name in ("one", "two", "three"):  # the order of a set decides whether it is swallowed
        opening.clear()
        assert opening.wait(30)
        until(lambda: proxy.error(POLICIES, 500), 30, "an open watch of policies")
        space.apply(policy(name, target(workload="app")))
        space.await_verdict("True", name)


def test_a_deletion_during_a_dead_watch(operator, proxy, space):
    """No watch tells it: only a list shows that the policy is gone."""
    good(space)
    proxy.freeze(POLICIES)
    proxy.break_(calls("GET", POLICIES, watch=True), Refuse(410), times=1)
    space.delete("readinesspolicies", "app")
    series = f'namespace="{space.name}",policy="app"'
    until(lambda: not any(series in name for name in operator.metrics()), 30, "forgetting it")


def test_a_deletion_that_nobody_told_is_found_by_the_resync(launch, seat, api_server, space):
    """The watch loses it, and a list that is empty tells kopf's handlers nothing at all."""
    with ChaosProxy(api_server.running.api_url, seat.tls()) as proxy:
        operator = launch(seat.kubeconfig(proxy.url), resync=4)
        good(space)
        series = f'namespace="{space.name}",policy="app"'
        until(lambda: any(series in name for name in operator.metrics()), 30, "its series")
        proxy.edit(POLICIES, lambda event: None if event["type"] == "DELETED" else 0.0)
        space.delete("readinesspolicies", "app")
        until(lambda: not any(series in name for name in operator.metrics()), 30, "forgetting it")


def test_a_flip_within_one_watch_delay_ends_right(operator, proxy, space):
    good(space)
    proxy.edit(
        DEPLOYMENTS,
        lambda event: 0.7 if event["object"]["metadata"].get("namespace") == space.name else 0.0,
    )
    for _ in range(2):
        space.apply(deployment(good=False))
        space.apply(deployment())
    time.sleep(SETTLED)
    assert space.verdict() == "True/AllControlsHold"
    for _ in range(2):
        space.apply(deployment())
        space.apply(deployment(good=False))
    time.sleep(SETTLED)
    assert space.verdict().startswith("False")


def test_kinds_out_of_order_give_no_wrong_verdict(operator, proxy, space):
    """Each kind's events late in turn, over the birth of a good application."""
    for kind in ("deployments", "readinesspolicies", "serviceaccounts", "namespaces", "configmaps"):
        late = rf"/{kind}$"
        proxy.edit(late, lambda event: 1.0 if event["object"].get("kind") else 0.0)
        good(space, kind)
        proxy.heal()
    assert "False" not in verdicts(proxy, space)


def test_the_answer_to_a_status_write_is_lost(operator, proxy, space):
    proxy.break_(calls("PATCH", STATUS), CutBefore(), times=2)
    good(space)
    proxy.break_(calls("PATCH", STATUS), Refuse(500), times=2)
    space.apply(deployment(good=False))
    space.await_verdict("False")


def test_throttled_as_told(operator, proxy, space):
    space.apply(deployment())
    proxy.break_(calls("PATCH", STATUS), Refuse(429, retry_after=1), times=3)
    proxy.break_(calls("PATCH", "readinessreports"), Refuse(429, retry_after=1), times=1)
    began = time.monotonic()
    space.apply(policy())
    space.await_verdict("True")
    assert time.monotonic() - began >= 3.5
    tries = [e.at for e in proxy.log if f"/{space.name}/" in e.call.path and e.status == 429]
    assert len(tries) == 4
    assert all(later - earlier >= 0.95 for earlier, later in itertools.pairwise(tries))


def away(proxy: ChaosProxy, space, seconds: float) -> None:
    """The API server is gone for so long, while tenants change things through another one."""
    good(space)
    proxy.break_(calls(), CutBefore(), times=float("inf"))
    proxy.cut("")
    space.apply(deployment(good=False))
    space.apply(policy("born"), deployment("born"))
    time.sleep(seconds)
    proxy.heal()
    space.await_verdict("False", seconds=60)
    space.await_verdict("True", "born", seconds=60)


def test_the_api_server_away_for_a_while(operator, proxy, space):
    away(proxy, space, 5)


@pytest.mark.slow
def test_the_api_server_away_for_a_minute(through, space):
    """The Lease is lost meanwhile: the process ends and is started again, as by the kubelet."""
    operator, proxy = through
    with operator.supervised():
        away(proxy, space, 60)
    assert operator.starts >= 1


def test_stale_lists_after_a_restart_write_nothing_wrong(through, proxy, space, api_server):
    """An API server far behind: its list shows the policy before the verdict, and before an edit."""
    operator = through[0]
    path = "/apis/readiness.dev/v1alpha1/readinesspolicies"
    space.apply(deployment(), policy())
    space.await_verdict("True")
    old = api_server.http.get(path).content
    space.apply(policy(enforcement="enforce"), deployment(good=False))
    space.await_verdict("False")
    space.apply(deployment())
    space.await_verdict("True")
    until(lambda: space.policy()["metadata"]["generation"] == space.status()["observedGeneration"])
    version = space.policy()["metadata"]["resourceVersion"]
    operator.stop()
    proxy.clear()
    proxy.break_(calls("GET", POLICIES, watch=False), Answer(old), times=4)
    proxy.edit(POLICIES, lambda event: 2.0)
    operator.start().await_ready()
    time.sleep(6)
    proxy.heal()
    assert space.verdict() == "True/AllControlsHold"
    refused = [
        e.status
        for e in proxy.log
        if f"/{space.name}/" in e.call.path and e.call.path.endswith("/status")
    ]
    assert set(refused) <= {409}, refused
    assert "False" not in verdicts(proxy, space)
    assert space.policy()["metadata"]["resourceVersion"] == version


def test_nothing_is_judged_before_every_kind_is_listed(through, proxy, space):
    """One list is slow: no policy may be told that its target does not exist."""
    operator = through[0]
    good(space)
    for slow in (DEPLOYMENTS, "/api/v1/serviceaccounts"):
        operator.stop()
        proxy.clear()
        proxy.break_(calls("GET", slow, watch=False), Delay(3.0), times=1)
        operator.start()
        until(lambda: operator.said("serving metrics"), 30)
        until(lambda: operator.page("/readyz").status_code == 503, 30, "not ready before the lists")
        operator.await_ready()
        assert operator.page("/readyz").status_code == 200
        time.sleep(2)
        assert verdicts(proxy, space) == []


def test_a_late_echo_of_an_own_write_causes_no_other(operator, proxy, space):
    """The answer to a write is what the next pass compares with, not the watch that lags behind."""
    good(space)
    until(lambda: proxy.count("POST", f"/{space.name}/events") == 1)
    proxy.clear()
    proxy.edit(POLICIES, lambda event: 4.0)
    space.apply(deployment(good=False))
    space.await_verdict("False")
    time.sleep(1.5)
    space.patch("deployments", "app", {"metadata": {"labels": {"touched": "yes"}}})
    time.sleep(2)
    writes = [w for w in proxy.writes() if f"/{space.name}/" in w]
    assert len(writes) == 3, writes
