"""The whole process against the real API server: counts of calls, faults, restarts, hand-over."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from chaosproxy import CutAfter, CutBefore, Refuse, calls
from operator_process import OperatorProcess

pytestmark = pytest.mark.api
OWN = "/apis/readiness.dev/v1alpha1"
POLICIES = f"{OWN}/namespaces/shop/readinesspolicies"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"


def workload(name: str, replicas: int = 2, **pod) -> dict:
    labels = {"app": name}
    container = {"name": "app", "image": "registry.example/app:1.4.2", "ports": [{"containerPort": 8080}]}  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], **pod}}},
    }  # fmt: skip


def policy(name: str, workload: str | None = None) -> dict:
    ref = {"kind": "Deployment", "name": workload or name}
    return {
        "apiVersion": "readiness.dev/v1alpha1",
        "kind": "ReadinessPolicy",
        "metadata": {"name": name},
        "spec": {"targets": [{"name": "api", "workloadRef": ref}]},
    }


def empty(server) -> None:
    for path in (POLICIES, DEPLOYMENTS, f"{OWN}/namespaces/shop/readinessreports"):
        server.request("DELETE", path)
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases/readiness-operator"
    server.request("DELETE", leases)


@pytest.fixture
def shop(api_server):
    """An empty namespace, and an operator nobody remembers."""
    api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    empty(api_server)
    yield api_server
    empty(api_server)


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "operator.log"


def compliant(server, name: str) -> dict:
    """The Compliant condition of a policy that has been judged, else empty."""
    status = server.request("GET", f"{POLICIES}/{name}").get("status") or {}
    rows = {row["type"]: row for row in status.get("conditions") or ()}
    return rows.get("Compliant", {})


def failing(server, name: str) -> set[str]:
    status = server.request("GET", f"{POLICIES}/{name}").get("status") or {}
    return {row["id"] for row in status.get("failures") or () if row["result"] == "Fail"}


def told(server, name: str) -> int:
    """How many events there are about a policy."""
    uid = server.request("GET", f"{POLICIES}/{name}")["metadata"]["uid"]
    events = server.request("GET", "/apis/events.k8s.io/v1/namespaces/shop/events")["items"]
    return sum(event["regarding"].get("uid") == uid for event in events)


def versions(server) -> dict[str, str]:
    found = server.request("GET", POLICIES)["items"]
    return {p["metadata"]["name"]: p["metadata"]["resourceVersion"] for p in found}


def test_a_new_policy_costs_three_calls_and_its_echo_none(shop, proxy, log):
    shop.request("POST", DEPLOYMENTS, workload("a"))
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        time.sleep(4)  # kopf's own first list has been compared
        proxy.clear()
        shop.request("POST", POLICIES, policy("a"))
        operator.until(lambda: compliant(shop, "a"))
        time.sleep(2)

        methods = [entry.call.method for entry in proxy.log if "/leases" not in entry.call.path and not entry.call.watch]  # fmt: skip
        assert sorted(methods) == ["PATCH", "PATCH", "POST"], proxy.writes()
        reports = [w for w in proxy.writes() if "readinessreports" in w]
        assert proxy.writes().index(reports[0]) == 0, "reports first"
        assert operator.metric("readiness_reconcile_total") == 1


def test_a_policy_before_its_workload_is_ready_and_judged_when_it_comes(shop, proxy, log):
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        shop.request("POST", POLICIES, policy("early"))
        operator.until(lambda: compliant(shop, "early").get("reason") == "TargetNotFound", 30)
        shop.request("POST", DEPLOYMENTS, workload("early"))
        operator.until(lambda: compliant(shop, "early").get("reason") != "TargetNotFound", 30)


def test_restarts_with_correct_policies_write_nothing(shop, proxy, log):
    for number in range(30):
        shop.request("POST", DEPLOYMENTS, workload(f"w{number}"))
        shop.request("POST", POLICIES, policy(f"w{number}"))
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        operator.until(lambda: all(compliant(shop, f"w{n}") for n in range(30)))
    before = versions(shop)
    proxy.clear()
    for _ in range(5):
        with OperatorProcess(proxy.kubeconfig, log) as operator:
            operator.until(lambda: operator.metric("readiness_reconcile_total") >= 30)
            time.sleep(1)
    assert proxy.writes() == []
    assert versions(shop) == before


@pytest.mark.parametrize("delay", [0.7, None], ids=["late", "lost"])
def test_a_workload_flipped_twice_within_one_watch_delay_ends_right(shop, proxy, log, delay):
    shop.request("POST", DEPLOYMENTS, workload("flip"))
    shop.request("POST", POLICIES, policy("flip"))
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        operator.until(lambda: compliant(shop, "flip"))
        time.sleep(4)  # the workload's own controllers are done with it
        calm = failing(shop, "flip")
        proxy.edit("readinesspolicies", lambda _event: delay)  # our own echo
        for round_ in range(2):
            grace = {"terminationGracePeriodSeconds": 1} if round_ % 2 == 0 else {}
            shop.request("PUT", f"{DEPLOYMENTS}/flip", workload("flip", **grace))
            time.sleep(0.3)
        operator.until(lambda: failing(shop, "flip") == calm)
        shop.request(
            "PUT", f"{DEPLOYMENTS}/flip", workload("flip", terminationGracePeriodSeconds=1)
        )
        operator.until(lambda: "SHD-008" in failing(shop, "flip"))


@pytest.mark.parametrize("nth", range(3))
@pytest.mark.parametrize(
    "fault", [CutBefore(), CutAfter(), Refuse(500), Refuse(429, retry_after=1)]
)
def test_a_write_that_goes_wrong_is_made_good(shop, proxy, log, fault, nth):
    shop.request("POST", DEPLOYMENTS, workload("w"))
    shop.request("POST", POLICIES, policy("w"))
    seen = iter(range(1000))
    write = calls("", OWN + "|events.k8s.io")
    proxy.break_(lambda c: write(c) and c.method != "GET" and next(seen) == nth, fault)
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        operator.until(lambda: compliant(shop, "w"))
        operator.until(lambda: operator.metric("readiness_reconcile_queue_depth") == 0)
        time.sleep(1)
        assert any(entry.fault for entry in proxy.log), "the fault did not happen"
        reports = shop.request("GET", f"{OWN}/namespaces/shop/readinessreports")["items"]
        assert len(reports) == 1
        operator.until(lambda: told(shop, "w"))
        time.sleep(1)
        assert told(shop, "w") == 1, "told once, not twice"
    assert '"trace"' not in operator.text()


@pytest.mark.parametrize("code", [410, 500])
def test_error_events_on_every_watch_are_recovered_from(shop, proxy, log, code):
    shop.request("POST", DEPLOYMENTS, workload("w"))
    shop.request("POST", POLICIES, policy("w"))
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        operator.until(lambda: compliant(shop, "w"))
        time.sleep(4)
        proxy.clear()
        assert proxy.error(".", code) >= 19
        shop.request("PUT", f"{DEPLOYMENTS}/w", workload("w", terminationGracePeriodSeconds=1))
        shop.request("POST", POLICIES, policy("new", "w"))
        operator.until(lambda: "SHD-008" in failing(shop, "w") and compliant(shop, "new"))
        assert proxy.count("GET", "/deployments$", watch=False) <= 1


def test_what_is_deleted_while_the_watch_is_blind_is_forgotten(shop, proxy, log):
    shop.request("POST", POLICIES, policy("stays"))
    shop.request("POST", POLICIES, policy("goes"))
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        operator.until(lambda: compliant(shop, "goes") and compliant(shop, "stays"))
        time.sleep(4)
        proxy.edit("readinesspolicies", lambda e: None if e["type"] == "DELETED" else 0.0)
        shop.request("DELETE", f"{POLICIES}/goes")
        time.sleep(0.5)
        assert 'policy="goes"' in operator.page("/metrics")[1]
        proxy.error("readinesspolicies", 410)
        operator.until(lambda: 'policy="goes"' not in operator.page("/metrics")[1])
        assert 'policy="stays"' in operator.page("/metrics")[1]


def test_the_api_server_away_is_survived(shop, proxy, log):
    shop.request("POST", DEPLOYMENTS, workload("w"))
    shop.request("POST", POLICIES, policy("w"))
    settings = {"lease_duration": 60, "lease_renew_deadline": 50, "lease_retry": 1}
    with OperatorProcess(proxy.kubeconfig, log, **settings) as operator:
        operator.until(lambda: compliant(shop, "w"))
        proxy.break_(calls(), CutBefore(), times=float("inf"))
        proxy.cut(".")
        shop.request("PUT", f"{DEPLOYMENTS}/w", workload("w", terminationGracePeriodSeconds=1))
        time.sleep(10)
        rate = sum(entry.at > proxy.log[-1].at - 5 for entry in proxy.log) / 5
        assert rate <= 20, f"{rate} requests a second against a dead server"
        assert operator.page("/healthz")[0] == 200
        proxy.heal()
        operator.until(lambda: "SHD-008" in failing(shop, "w"), 60)


def test_two_replicas_hand_over_on_sigterm_and_only_the_leader_works(shop, proxy, log, tmp_path):
    shop.request("POST", POLICIES, policy("w"))
    with OperatorProcess(proxy.kubeconfig, log, identity="one") as one:
        one.until(lambda: compliant(shop, "w"))
        with OperatorProcess(
            proxy.kubeconfig, tmp_path / "two.log", ready=False, identity="two"
        ) as two:
            time.sleep(2)
            assert one.metric("readiness_leader") == 1
            assert two.metric("readiness_leader") == 0
            assert two.page("/readyz")[0] == 200
            assert two.metric("readiness_reconcile_total") == 0
            code, seconds = one.stop(signal.SIGTERM)
            assert (code, seconds < 15) == (0, True)
            two.until(lambda: two.metric("readiness_leader") == 1)
            shop.request("POST", POLICIES, policy("next"))
            two.until(lambda: compliant(shop, "next"))


def test_a_leader_that_was_stopped_writes_nothing_after_it_wakes(shop, proxy, log, tmp_path):
    kubeconfig, lease = proxy.kubeconfig, {"lease_duration": 6, "lease_renew_deadline": 5}
    with (
        OperatorProcess(kubeconfig, log, identity="one", **lease) as one,
        OperatorProcess(
            kubeconfig, tmp_path / "two.log", ready=False, identity="two", **lease
        ) as two,
    ):
        one.process.send_signal(signal.SIGSTOP)
        two.until(lambda: two.metric("readiness_leader") == 1, 45)
        shop.request("POST", POLICIES, policy("w"))
        two.until(lambda: told(shop, "w"))
        before = proxy.writes()
        one.process.send_signal(signal.SIGCONT)
        assert one.process.wait(45) == 1
        assert proxy.writes() == before


def test_forbidden_kinds_become_unknown_and_come_back(shop, proxy, log):
    shop.request("POST", DEPLOYMENTS, workload("w"))
    shop.request("POST", POLICIES, policy("w"))
    proxy.break_(calls("GET", "/nodes$"), Refuse(403, message="may not list nodes"), float("inf"))
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        operator.until(lambda: compliant(shop, "w"))
        assert operator.page("/readyz")[0] == 200


def test_every_log_record_is_one_json_line_and_a_pass_has_a_run_id(shop, proxy, log):
    shop.request("POST", POLICIES, policy("w"))
    with OperatorProcess(proxy.kubeconfig, log) as operator:
        operator.until(lambda: compliant(shop, "w"))
    records = [json.loads(line) for line in operator.text().splitlines()]
    assert records[-1]["message"] == "stopped"
    assert any(r.get("run") for r in records if "wrote the status" in r["message"])
