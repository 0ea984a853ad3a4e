"""What real rollouts show, without any opt-in: a good application passes, and each defect fails the control that it names.

tests/apps/test_twin_matrix.py does the same on processes. The operator only watches the pods end, and asks each Service slowly while it happens. What was seen outlives the operator.
"""

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import pytest

import demo
import matrix
from operator_fixture import RUN_AT, Manifest, Operator, policy, server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SPACE: Final = "passive"
PROCESSES_ONLY: Final = {"SHD-010p/no-hook"}
"""How long the proxies of a cluster take to learn of a deletion decides whether two rollouts show it."""
ROWS: Final[Mapping[str, matrix.StartDefect | None]] = {"good": None} | {
    matrix.slug(id_): row for id_, row in matrix.TWIN_DEFECTS.items() if id_ not in PROCESSES_ONLY
}
SECONDS: Final = 300
Rows = Mapping[str, Mapping[str, Manifest]]


def application(operator: Operator, name: str) -> list[Manifest]:
    """Three replicas that are replaced all at once."""
    defect = ROWS[name]
    deployment, service = server(SPACE, name, operator.specimen, defects=defect.id if defect else "")  # fmt: skip
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    container["env"] = [each for each in container["env"] if not each["name"].startswith("TLS")]
    container["volumeMounts"] = [
        each for each in container["volumeMounts"] if each["name"] != "tls"
    ]
    pod["volumes"] = [each for each in pod["volumes"] if each["name"] != "tls"]
    pod |= matrix.stop_pod(container, defect) | {"terminationGracePeriodSeconds": matrix.HOOK + 8}
    spec |= {"replicas": 3, "minReadySeconds": 10}
    spec["strategy"] = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 0}}
    return [deployment, service]


def judged_by(name: str) -> Manifest:
    """A policy that allows nothing."""
    target = {
        "name": "app",
        "workloadRef": {"kind": "Deployment", "name": name},
        "service": {"name": name, "port": "http"},
        "http": {"public": ["/"]},
    }
    controls = [{"id": "SHD-001p"}, {"id": "SHD-010p"}]
    return policy(SPACE, name, {"profiles": [], "controls": controls, "targets": [target]})


@pytest.fixture(scope="module")
def watched(operator: Operator) -> Operator:
    """Both applications, as the operator has seen them before anything happens."""
    operator.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    operator.apply(*(each for name in ROWS for each in application(operator, name)))
    operator.rolled_out(SPACE, SECONDS)
    operator.apply(*map(judged_by, ROWS))
    await_rows(operator, lambda rows: len(rows) == len(ROWS), "a first verdict")
    return operator


def await_rows(operator: Operator, wanted: Callable[[Rows], bool], what: str) -> Rows:
    """Findings by policy and control, once they are as wanted."""
    deadline, seen = time.monotonic() + SECONDS, {}
    while time.monotonic() < deadline:
        reports = [each["report"] for each in operator.get("rdr", SPACE)]
        seen = {r["policy"]: {row["id"]: row for row in r["results"]} for r in reports}
        if wanted(seen):
            return seen
        time.sleep(2)
    raise AssertionError(
        f"no {what} after {SECONDS} s: {json.dumps(seen)}\n{demo.diagnosis(operator.cluster)}"
    )


def test_two_rollouts_decide_both_controls(watched: Operator) -> None:
    first = await_rows(watched, lambda rows: True, "verdict")
    assert {row["reason"] for rows in first.values() for row in rows.values()} == {
        "TooFewTerminations", "TooFewRollouts"
    }  # fmt: skip
    for nth in (1, 2):
        watched.cluster.run("kubectl", "-n", SPACE, "rollout", "restart", "deployment")
        await_rows(watched, partial(watched_times, nth), f"{nth} rollouts")

    rows = await_rows(
        watched, lambda rows: all("TooFew" not in r["SHD-001p"]["reason"] for r in rows.values()), "verdicts"
    )  # fmt: skip
    for name, defect in ROWS.items():
        wrong = {id_: row["reason"] for id_, row in rows[name].items() if row["result"] != "Pass"}
        assert wrong == matrix.expected_of_drills(defect), name
    killed = rows["shd-001p-deaf"]["SHD-001p"]["observed"]
    assert "6 killed at the end of the grace period, of 6" in killed


def test_a_restart_of_the_operator_forgets_nothing(watched: Operator) -> None:
    before = await_rows(watched, lambda rows: True, "verdict")
    watched.cluster.run("kubectl", "-n", demo.NAMESPACE, "rollout", "restart", "deployment")
    watched.rolled_out(demo.NAMESPACE, SECONDS)
    for name in ROWS:
        again = ("annotate", "rdy", name, f"{RUN_AT}=again", "--overwrite")
        watched.cluster.run("kubectl", "-n", SPACE, *again)
    deadline = time.monotonic() + SECONDS
    while any(p["status"].get("lastRunAt") != "again" for p in watched.get("rdy", SPACE)):
        assert time.monotonic() < deadline, demo.diagnosis(watched.cluster)
        time.sleep(2)

    after = await_rows(watched, lambda rows: True, "verdict")
    assert reasons(after) == reasons(before)


def watched_times(nth: int, rows: Rows) -> bool:
    """Whether so many rollouts of each application were watched."""
    return all(f"of {nth} rollouts" in row["SHD-010p"]["observed"] for row in rows.values())


def reasons(rows: Rows) -> dict[str, dict[str, str]]:
    """Reasons by policy and control."""
    return {
        name: {id_: row["reason"] for id_, row in found.items()} for name, found in rows.items()
    }
