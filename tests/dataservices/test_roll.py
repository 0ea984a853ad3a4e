"""Which pod of a data service is replaced next."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.dataservices.roll import next_replaced
from readiness.model import Manifest
from readiness.snapshot import MemberSeen, Seen

NAMES = ("cache-0", "cache-1", "cache-2", "cache-sentinel-0")


def pod(name: str, revision: str = "new", *, ready: bool = True) -> Manifest:
    owner = {"kind": "StatefulSet", "name": name.rpartition("-")[0]}
    meta = {"name": name, "labels": {"controller-revision-hash": revision}, "ownerReferences": [owner]}  # fmt: skip
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": meta, "status": {"phase": "Running", "conditions": conditions}}


def stateful_set(name: str, replicas: int, **status: Any) -> Manifest:
    settled = {"observedGeneration": 4, "availableReplicas": replicas, "updateRevision": "new"}
    return {"metadata": {"name": name, "generation": 4}, "spec": {"replicas": replicas}, "status": settled | status}  # fmt: skip


SETS = (stateful_set("cache", 3), stateful_set("cache-sentinel", 1))
WELL = Seen("cache-1", tuple(MemberSeen(name) for name in NAMES))
LAGS = Seen("cache-1", (MemberSeen("cache-0", "replica", ("Copying",)),))


@pytest.mark.parametrize(
    ("old", "chosen"),
    [
        ((), None),
        (NAMES, "cache-sentinel-0"),
        (("cache-0", "cache-1", "cache-2"), "cache-2"),
        (("cache-0", "cache-1"), "cache-0"),
        (("cache-1",), "cache-1"),
    ],
)
def test_replicas_come_first_and_the_primary_last(old: tuple[str, ...], chosen: str | None):
    pods = [pod(name, "old" if name in old else "new") for name in NAMES]
    found = next_replaced(SETS, pods, WELL)

    assert (found["metadata"]["name"] if found else None) == chosen


OLD = [pod("cache-0", "old"), pod("cache-1"), pod("cache-2")]


@pytest.mark.parametrize(
    ("sets", "pods", "seen"),
    [
        (SETS, OLD, None),
        (SETS, OLD, LAGS),
        (SETS, OLD, Seen(reason="NoPrimary")),
        (SETS, OLD, Seen(members=(MemberSeen("cache-2", needed_by=("orders",)),))),
        (SETS, [*OLD[:2], pod("cache-2", ready=False)], WELL),
        ((stateful_set("cache", 3, availableReplicas=2),), OLD, WELL),
        ((stateful_set("cache", 3, observedGeneration=3),), OLD, WELL),
        ((stateful_set("cache", 3, updateRevision=""),), OLD, WELL),
    ],
)
def test_nothing_is_replaced_while_somebody_is_not_well_or_nobody_can_say(
    sets: tuple[Manifest, ...], pods: list[Manifest], seen: Seen | None
):
    assert next_replaced(SETS, OLD, WELL) is OLD[0]
    assert next_replaced(sets, pods, seen) is None


@pytest.mark.parametrize(("restart", "chosen"), [("cache-1", "cache-1"), ("cache-9", None)])
def test_who_has_to_start_again_comes_before_all(restart: str, chosen: str | None):
    seen = Seen(members=(MemberSeen("cache-1", reasons=("CutOff",)),), restart=restart)
    found = next_replaced(SETS, OLD, seen)

    assert (found["metadata"]["name"] if found else None) == chosen
    assert next_replaced(SETS, [*OLD[:2], pod("cache-2", ready=False)], seen) is None
