"""A real Prometheus, as Debian packages it: its firing alerts hold drills back, their end lets them go on, and it tells which rules it has."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import promserver
from readiness.backups.alerts import ALERTS, Store, build_rules
from readiness.engines.connection import Clock
from readiness.engines.promql import Prometheus
from readiness.incidents import Alert, Incidents, Loaded

pytestmark = pytest.mark.e2e
SECONDS = 30
STORE = ("shop", "checkout", "cache")
OURS = Loaded(frozenset((*STORE, alert.name) for alert in ALERTS))


def rule(name: str, severity: str = "critical", *, fires: bool = True, **labels: str) -> object:
    expression = "vector(1)" if fires else "vector(1) > 1"
    return {"alert": name, "expr": expression, "labels": {"severity": severity, **labels}}


def rules(*, burning: bool) -> str:
    """Alerts that fire or not, one that is only pending, one of another severity, and while it burns those of a store's backups."""
    found = [
        rule("ShopDown", namespace="shop", fires=burning),
        rule("NodeDown", fires=burning),
        rule("Watchdog", "none"),
        {**rule("Late", namespace="shop"), "for": "1h"},
    ]
    ours = build_rules(Store(*STORE))["groups"] if burning else []
    return json.dumps({"groups": [{"name": "test", "interval": "1s", "rules": found}, *ours]})


@dataclass(frozen=True)
class Running:
    """`burn` changes its rules."""

    server: promserver.Prometheus

    def burn(self, *, burning: bool) -> None:
        self.server.reload(rules(burning=burning))

    async def says(self, expected: Incidents) -> Incidents:
        """What fires, once it is what is expected, or the last that was said."""
        deadline = time.monotonic() + SECONDS

        async def soon(seconds: float) -> None:
            if asked.known == expected or time.monotonic() > deadline:
                raise asyncio.CancelledError
            await asyncio.sleep(0.3)

        trust, clock = ssl.create_default_context(), Clock(sleep=soon)
        asked = Prometheus(self.server.url, 'severity="critical"', trust, lambda: None, clock)
        with contextlib.suppress(asyncio.CancelledError):
            await asked.watch()
        return asked.known


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Prometheus on loopback, on fire."""
    home = tmp_path_factory.mktemp("prometheus")
    with promserver.serving(home, rules(burning=True)) as server:
        yield Running(server)


async def test_what_fires_is_seen_and_its_end_too(prometheus: Running) -> None:
    burning = Incidents((Alert("NodeDown"), Alert("ShopDown", "shop")), loaded=OURS)

    seen = await prometheus.says(burning)
    assert seen == burning
    assert (seen.concerning("shop"), seen.concerning("blog")) == (("NodeDown", "ShopDown"), ("NodeDown",))  # fmt: skip
    prometheus.burn(burning=False)
    gone = Incidents(loaded=Loaded())
    assert await prometheus.says(gone) == gone
