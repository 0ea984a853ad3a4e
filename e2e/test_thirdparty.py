"""Servers that others wrote: what the operator says about each, against a truth that was taken with other tools.

The truth is thirdparty/truth.tsv; thirdparty/take_truth.py takes it. No wrong Pass and no wrong Fail; a verdict that is
left open is counted, and stands in docs/thirdparty.md.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

import thirdparty
from operator_fixture import API, Manifest, Operator, policy, server

pytestmark = pytest.mark.e2e
SPACE = "thirdparty"
SERVERS = yaml.safe_load((thirdparty.HERE / "servers.yaml").read_text())
TRUTH = thirdparty.truth()
Findings = Mapping[str, Mapping[str, Manifest]]


@pytest.fixture(scope="module")
def found(operator: Operator) -> Findings:
    """Findings by server and control."""
    controls = [{"id": id_} for id_ in thirdparty.CONTROLS]
    objects = [
        {
            "apiVersion": API,
            "kind": "ReadinessProfile",
            "metadata": {"name": SPACE},
            "spec": {"controls": controls},
        }
    ]
    for name, row in SERVERS.items():
        objects += server(SPACE, name, operator.servers, row["command"])
    operator.apply(*objects)
    operator.rolled_out(SPACE, 240)
    operator.apply(*(declared(name, row) for name, row in SERVERS.items()))
    judged = operator.verdicts(set(SERVERS), 600)
    if place := os.environ.get("THIRDPARTY_SEEN"):
        Path(place).write_text(json.dumps(judged, indent=1))
    return judged


@pytest.mark.parametrize("place", TRUTH, ids="/".join)
def test_no_verdict_is_wrong(found: Findings, place: tuple[str, str]) -> None:
    name, id_ = place
    row = found[name][id_]

    assert row["result"] in thirdparty.RIGHT[TRUTH[place].holds], (
        f"{row}; curl saw: {TRUTH[place].seen}"
    )


def test_nothing_else_fails(found: Findings) -> None:
    failing = {
        (name, id_)
        for name, rows in found.items()
        for id_, row in rows.items()
        if row["result"] == "Fail"
    }

    assert failing <= TRUTH.keys()


def test_what_is_left_open_is_what_the_page_says(found: Findings) -> None:
    decided = [place for place, row in TRUTH.items() if row.holds in ("yes", "no")]

    assert {
        (name, id_) for name, id_ in decided if found[name][id_]["result"] == "Unknown"
    } == thirdparty.LEFT_OPEN


def declared(name: str, row: Manifest) -> Manifest:
    url = (
        {"externalURL": f"https://{name}.{SPACE}.svc.cluster.local:8443"} if row.get("edge") else {}
    )
    workload = {"kind": "Deployment", "name": name}
    target = {
        "name": name,
        "workloadRef": workload,
        "service": {"name": name, "port": "http"},
        **url,
        **row["target"],
    }
    return policy(SPACE, name, {"profiles": [SPACE], "targets": [target]})
