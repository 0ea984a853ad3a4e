"""HA-004 on real pods: a policy opens its window, the primary of a store is taken away twice, and nothing is lost."""

import time
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from operator_fixture import Operator
from recipes import Recipe, build_image
from storespace import Space, space

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SECONDS: Final = 300
PROVEN_SECONDS: Final = 600
RECIPES: Final = {
    "redis": Recipe("redis", ("redis-server",)),
    "rabbitmq": Recipe("rabbitmq", ("rabbitmq-server",)),
}
STORAGE: Final = {"redis": "64Mi", "rabbitmq": "5Gi"}


def opened() -> dict[str, Any]:
    """Consent with a window that has just opened."""
    now = datetime.now(UTC)
    window = {"schedule": f"{now.minute} {now.hour} * * *", "duration": "3h"}
    return {"disruptive": {"controls": ["HA-004"], "window": window, "acknowledge": "prod"}}


def finding(found: Space) -> dict[str, Any]:
    """HA-004 as the report of the data service has it."""
    rows = [
        row for report in found.get("rdr")["items"] for row in report["report"].get("results") or ()
        if row["id"] == "HA-004"
    ]  # fmt: skip
    return dict(rows[0]) if rows else {"result": "", "reason": ""}


def settled(found: Space, reasons: set[str], seconds: float) -> dict[str, Any]:
    deadline, told = time.monotonic() + seconds, ""
    while (row := finding(found))["reason"] not in reasons:
        if row["reason"] != told:
            told = row["reason"]
            print(f"\n{time.strftime('%T')} {row['result']}/{told}", end="", flush=True)
        assert time.monotonic() < deadline, f"{row}\n{found.kubectl('get', 'pods,jobs,events')}"
        time.sleep(1)
    return row


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_store_fails_over_twice_in_its_window(operator: Operator, kind: str) -> None:
    built = build_image(RECIPES[kind], operator.cluster.engine)
    operator.cluster.load(built.name, built.archive)
    with space(operator, f"failover-{kind}") as found:
        service = {"name": "cache", kind: {"image": built.name, "storage": STORAGE[kind]}, "backup": {"enabled": False}}  # fmt: skip
        found.declare(service, controls=[{"id": "HA-004"}])
        found.until("True/Provisioned", SECONDS)
        assert finding(found)["reason"] == "OptInRequired" or finding(found)["reason"] == ""

        found.declare(service, controls=[{"id": "HA-004"}], safety=opened())
        settled(found, {"NotPermitted"}, 120)
        operator.permit_failovers(found.name)
        found.kubectl("annotate", "rdy", "shop", "readiness.dev/run-at=now")
        row = settled(found, {"FailsOver", "ControlArmFailed", "NoFailover", "FailoverTooSlow", "NotWholeAgain", "HandOverLosesWrites", "FailoverLosesWrites"}, PROVEN_SECONDS)  # fmt: skip
        print(f"\n{kind}: {row['result']}/{row['reason']}: {row['evidence']}")

        assert (row["result"], row["reason"]) == ("Pass", "FailsOver"), row
        (told,) = found.get("rdy", "shop")["status"]["dataServices"]
        assert told["lastFailover"]["cause"] == "Drilled"
        assert told["lastFailover"]["lost"] == 0
        found.until("True/Provisioned", 120)
        assert found.get("jobs")["items"] == []
