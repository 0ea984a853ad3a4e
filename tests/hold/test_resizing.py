"""More members, fewer members, another template, while the operator is killed at every write: real Redis servers that
an application writes to, a real API server, no node. What stands afterwards is what was declared, and no write is gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final

import pytest
from dataservices.redis.ledger import Ledger
from holdrig import until
from holdworld import policy
from provisioning import grant
from redis import Redis
from redispods import NAME, PATIENCE, SETS, TERMS, Pods, killed_at_every_write, provided, redis_pods

pytestmark = [
    pytest.mark.api,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
SENTINELS: Final = 3
CHANGES: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "three become five": ({"replicas": 3}, {"replicas": 5}),
    "five become three": ({"replicas": 5}, {"replicas": 3, "unsafe": ["Shrink"]}),
    "another template": ({}, {"resources": {"requests": {"cpu": "150m"}}}),
}


def declared(**redis: Any) -> dict[str, Any]:
    service = {"name": "cache", "redis": {"image": "registry.example.com/redis:8", **redis}}
    return policy(controls=(), targets=[], dataServices=[service])


def known_replicas(pods: Pods) -> list[int]:
    """What each Sentinel counts."""
    login, found = {"username": "quorum", "password": pods.secret()["quorum"]}, []
    for pod in (each for each in pods.rig.sentinels if each.name in pods.uids):
        with Redis(pod.address, 26379, **login, decode_responses=True) as client:
            found.append(client.sentinel_master(f"{pods.space.name}-{NAME}")["num-slaves"])
    return found


@pytest.fixture
def operator(launch, space, seat, proxy):
    grant(space, seat)
    return launch(seat.kubeconfig(proxy.url), **TERMS)


def roles(pods: Pods) -> list[str]:
    """Of the members, as the status has them once their servers have been asked."""
    return sorted(row.get("role", "") for row in pods.row()["members"] if "sentinel" not in row["name"])  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_an_operator_that_is_killed_at_every_write_ends_where_it_was_to(
    operator, space, proxy, tmp_path, change
):
    before, after = CHANGES[change]
    members = after.get("replicas", 3)
    with redis_pods(space, tmp_path) as pods:
        with operator.supervised():
            space.apply(declared(**before))
            provided(pods)
        known, born, sets = pods.secret(), dict(pods.uids), pods.get("statefulsets", NAME, SETS)
        ledger, began = Ledger(pods.rig, pods.secret(NAME)).start(), time.monotonic()
        with killed_at_every_write(proxy, operator, space) as kills:
            space.apply(declared(**after))
            until(lambda: kills.where, PATIENCE, "the first kill")
            until(lambda: pods.replicas() == members, PATIENCE, "as many members as declared")
            provided(pods)
            until(
                lambda: known_replicas(pods) == [members - 1] * SENTINELS,
                PATIENCE,
                "Sentinels that agree",
            )
        ledger.wait_for(300)
        ledger.stop()
        print(f"{change}: {len(kills.where)} kills, {time.monotonic() - began:.0f} s, gap {ledger.gap(began):.1f} s, lost {ledger.lost()} of {len(ledger.acknowledged)}")  # fmt: skip

        assert len(pods.uids) == members + SENTINELS
        until(
            lambda: roles(pods) == ["primary", *["replica"] * (members - 1)],
            PATIENCE,
            "one primary",
        )
        assert pods.secret() == known, "passwords are generated once"
        assert pods.get("statefulsets", NAME, SETS)["metadata"]["uid"] == sets["metadata"]["uid"]
        assert max(pods.started.values()) <= 2, "each is replaced once at most"
        assert change != "another template" or set(pods.uids.items()).isdisjoint(
            (name, uid) for name, uid in born.items() if "sentinel" not in name
        )
        assert ledger.lost() == 0
