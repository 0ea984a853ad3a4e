"""The alert rules of backups on a real Prometheus that scrapes the operator's own metrics: they fire, and stop."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import promserver
from readiness.backups.alerts import ALERTS, OLDEST_DRILL_DAYS, OLDEST_HOURS, Store, build_rules
from readiness.backups.dashboard import build_dashboard
from readiness.backups.standing import stores_of
from readiness.metrics import CONTENT_TYPE, Metrics

pytestmark = pytest.mark.e2e
STORE = ("shop", "checkout", "orders")
PATIENCE = 150  # two rules wait for a minute, and the machine is shared


class World:
    """What the operator knows, and its /metrics."""

    def __init__(self) -> None:
        self.metrics = metrics = Metrics(time.time)

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", CONTENT_TYPE)
                self.end_headers()
                self.wfile.write(metrics.exposition())

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tell(self, **rows: dict[str, object]) -> None:
        """What the status of the policy says of its stores' backups."""
        services = [{"name": name, "redis": {}} for name in rows]
        told = [{"name": name, "backup": row} for name, row in rows.items()]
        policy = {"spec": {"backups": {"destination": {}}, "dataServices": services}, "status": {"dataServices": told}}  # fmt: skip
        self.metrics.verdicts.record_stores(STORE[:2], stores_of(policy))


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def prometheus(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[promserver.Prometheus]:  # fmt: skip
    target = f"127.0.0.1:{world.server.server_port}"
    home = tmp_path_factory.mktemp("prometheus")
    with promserver.serving(home, json.dumps(build_rules(Store(*STORE))), [target]) as server:
        yield server


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if what():
                return
        except OSError:
            pass  # it is starting
        assert time.monotonic() < deadline
        time.sleep(1)


def alerts(prometheus: promserver.Prometheus, state: str = "firing") -> set[str]:
    found = prometheus.ask("alerts")["alerts"]
    return {each["labels"]["alertname"] for each in found if each["state"] == state}


def test_alerts_fire_and_stop_and_every_picture_has_data(
    world: World, prometheus: promserver.Prometheus
) -> None:
    waiting = {"ReadinessBackupMissing", "ReadinessBackupUnwatched", "ReadinessRestoreDrillMissing"}
    odd = {"ReadinessBackupSuspicious"}
    until(lambda: alerts(prometheus, "pending") == waiting)  # nobody tells anything: as absence

    bad: dict[str, object] = {
        "lastSuccess": ago(OLDEST_HOURS * 3600 + 60), "size": 99, "snapshots": 3,
        "lastFailure": ago(60), "reason": "DestinationFull", "retentionHeld": True,
        "restoreDrill": {"lastSuccess": ago(OLDEST_DRILL_DAYS * 86400 + 60), "rtoSeconds": 4, "lastFailure": ago(60)},
    }  # fmt: skip
    world.tell(orders=bad)
    until(lambda: alerts(prometheus) == {alert.name for alert in ALERTS} - waiting - odd)
    assert not alerts(prometheus, "pending")
    said = next(each for each in prometheus.ask("alerts")["alerts"] if each["labels"]["alertname"] == "ReadinessBackupOld")  # fmt: skip
    place = dict(zip(("namespace", "policy", "service"), STORE, strict=True))
    assert (place | {"severity": "critical"}).items() <= said["labels"].items()

    world.tell(orders=bad | {"reason": "Suspicious"}, new={})
    until(lambda: "ReadinessBackupSuspicious" in alerts(prometheus))
    world.tell(orders=bad, new={})
    until(lambda: not unseen(prometheus))

    good = {"lastSuccess": ago(0), "size": 99, "snapshots": 3, "retentionHeld": False}
    world.tell(orders=good | {"restoreDrill": {"lastSuccess": ago(0), "rtoSeconds": 4}})
    until(lambda: not alerts(prometheus) | alerts(prometheus, "pending"))


def unseen(prometheus: promserver.Prometheus) -> set[str]:
    """Pictures of the dashboard whose question has no answer."""
    found = set()
    for panel in build_dashboard()["panels"]:
        question = panel["targets"][0]["expr"]
        for name in ("namespace", "policy", "service"):
            question = question.replace(f"${name}", ".*")
        if not prometheus.ask("query", query=question)["result"]:
            found.add(panel["title"])
    return found
