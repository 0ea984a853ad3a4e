"""A change of primary as the status tells it: pass after pass, from what each of them sees."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.dataservices.failover import failover_rows
from readiness.snapshot import MemberSeen, Seen

SET = {"kind": "StatefulSet", "metadata": {"name": "c"}, "status": {"updateRevision": "new"}}
EARLY = "2026-01-01T00:00:00Z"


def clock(second: int) -> str:
    return f"2026-01-01T10:{second // 60:02}:{second % 60:02}Z"


def pod(name: str, *, revision: str = "new", born: str = EARLY, deleted: bool = False, ended: str = "") -> dict[str, Any]:  # fmt: skip
    meta: dict[str, Any] = {
        "name": name, "creationTimestamp": born, "labels": {"controller-revision-hash": revision},
        "ownerReferences": [{"kind": "StatefulSet", "name": "c"}],
    }  # fmt: skip
    if deleted:
        meta["deletionTimestamp"] = clock(5)
    last = {"lastState": {"terminated": {"finishedAt": ended, "exitCode": 137}}} if ended else {}
    return {"metadata": meta, "status": {"containerStatuses": [{"name": "redis", **last}]}}


def seen(primary: str, *silent: str) -> Seen:
    members = tuple(
        MemberSeen(name, "" if name in silent else "primary" if name == primary else "replica")
        for name in ("c-0", "c-1", "c-2")
    )
    return Seen(primary, members)


OTHERS = (pod("c-1"), pod("c-2"))
WELL = (seen("c-0"), (pod("c-0"), *OTHERS))
SILENT = (seen("c-0", "c-0"), (pod("c-0"), *OTHERS))
NONE = (seen("", "c-0"), (pod("c-0"), *OTHERS))
GOING = (seen("c-0"), (pod("c-0", deleted=True), *OTHERS))
ROLLED = (seen("c-0"), (pod("c-0", revision="old", deleted=True), *OTHERS))


def over(cause: str, seconds: int, at: int) -> dict[str, Any]:
    return {"at": clock(at), "from": "c-0", "to": "c-1", "cause": cause, "seconds": seconds}


@pytest.mark.parametrize(
    ("passes", "told"),
    [
        ([WELL, SILENT, SILENT, (seen("c-1", "c-0"), (pod("c-0", ended=clock(4)), *OTHERS))], over("Crashed", 10, 15)),
        ([WELL, SILENT, NONE, (seen("c-1"), (pod("c-0", ended=clock(4)), *OTHERS))], over("Crashed", 10, 15)),
        ([WELL, SILENT, (seen("c-1", "c-0"), (pod("c-0"), *OTHERS))], over("Unreachable", 5, 10)),
        ([WELL, GOING, (seen("c-1", "c-0"), (pod("c-0", deleted=True), *OTHERS))], over("Stopped", 0, 10)),
        ([WELL, GOING, SILENT, (seen("c-1"), (pod("c-0"), *OTHERS))], over("Stopped", 5, 15)),
        ([WELL, ROLLED, (seen("c-1"), OTHERS)], over("Replaced", 0, 10)),
        ([WELL, (seen("c-1"), OTHERS)], over("Stopped", 0, 5)),
        ([WELL, (seen("c-1"), (pod("c-0", born=clock(4)), *OTHERS))], over("Stopped", 0, 5)),
        ([WELL, (seen("c-1"), (pod("c-0"), *OTHERS))], over("HandedOver", 0, 5)),
        ([WELL, (seen("c-1"), (pod("c-0", ended=EARLY), *OTHERS))], over("HandedOver", 0, 5)),
        ([WELL, SILENT, WELL, (seen("c-1"), (pod("c-0"), *OTHERS))], over("HandedOver", 0, 15)),
        ([WELL, SILENT, (None, ()), (seen("c-1", "c-0"), (pod("c-0"), *OTHERS))], over("Unreachable", 10, 15)),
    ],
    ids=["killed", "killed and back as replica", "cut off", "deleted", "deleted, and nobody for a while", "rolled",
         "gone before it was seen to go", "a new pod already", "handed over", "an end of long ago", "it came back first", "a restart of the operator between"],
)  # fmt: skip
def test_a_change_is_told(passes: list[Any], told: dict[str, Any]):
    row: dict[str, Any] = {}
    for number, (look, pods) in enumerate(passes):
        row = failover_rows(look, row, pods, (SET,), clock(5 * number))

    assert row == {"primary": "c-1", "lastFailover": told}


def test_while_nobody_leads_the_last_one_stands_and_since_when():
    row = failover_rows(*_with({}, WELL))
    row = failover_rows(*_with(row, SILENT, 5))
    later = failover_rows(*_with(row, NONE, 10))

    assert later == row == {"primary": "c-0", "primaryLoss": {"since": clock(5)}}
    assert failover_rows(*_with(later, WELL, 15)) == {"primary": "c-0"}, "it is back"


def _with(row: dict[str, Any], seen_: Any, second: int = 0) -> tuple[Any, ...]:
    return seen_[0], row, seen_[1], (SET,), clock(second)
