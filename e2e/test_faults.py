"""Faults on real pods: the sink and the gate of a real Redis beside clones of the specimen, ordered from the command line.

Every defect is drilled on processes (tests/apps/test_fault_matrix.py); here are one of each control, in a namespace that
admits restricted pods only, with nothing of the operator installed but the rights that a drill needs.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

import demo
import image
import matrix
from clusters import Cluster
from drillcli import type_drill
from drillspace import Space, restricted
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY
from readiness.model import Manifest
from recipes import Recipe, build_image

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SPACE: Final = "faults"
DEFECTS: Final = (
    "CFG-012/hard-coded",
    "REL-002/no-timeout",
    "REL-003/one-pace",
    "HLT-004/connects",
)
ROWS: Final = {"healthy": None} | {matrix.slug(id_): matrix.FAULT_DEFECTS[id_] for id_ in DEFECTS}
CALLS: Final = (
    "--fast",
    "/health",
    "--timeout",
    "6s",
    "--upstream",
    "llm=LLM_URL/v1",
    "--store",
    "redis=cache",
)
UPSTREAMS: Final = ("upstreams", *CALLS, "--call", "/ask")
LOOKS: Final = 3
DEPENDENCIES: Final = ("dependencies", *CALLS, "--upstream", "pay=PAY_URL/v1", "--deep", "/health?deep=true")  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """The namespace with a Deployment of the specimen for each row, and the images of a drill."""

    space: Space
    operator: str
    redis: str

    def drilled(self, name: str, which: str, *words: str) -> dict[str, str]:
        """`Result Reason` by control, by one look; by another one where something spoiled the first."""
        meets = ("--image", self.operator, "--store-image", f"redis={self.redis}")
        found: dict[str, str] = {}
        for _ in range(LOOKS):
            done = type_drill(self.space.cluster, SPACE, which, name, "--once", *meets, *words)
            assert done.stdout, done.stderr
            found = {f["id"]: f"{f['result']} {f['reason']}" for f in json.loads(done.stdout)["findings"]}  # fmt: skip
            if not any(told.endswith("DrillDisturbed") for told in found.values()):
                break
        return found


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[Shop]:
    """Every row, rolled out."""
    operator, specimens = demo.load_images(cluster, os.environ)
    redis = build_image(Recipe("redis", ("redis-server",)), cluster.engine)
    cluster.load(redis.name, redis.archive)
    rights = (image.ROOT / "manifests" / "drills" / "drills.yaml").read_text()
    with restricted(cluster, SPACE) as space:
        space.kubectl("apply", "-f", "-", text=rights.replace("your-namespace", SPACE))
        for name, defect in ROWS.items():
            space.create(deployment(name, specimens[demo.SPECIMENS[0]], defect.id if defect else ""))  # fmt: skip
        for name in ROWS:
            space.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s")
        yield Shop(space, operator, redis.name)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("words", [UPSTREAMS, DEPENDENCIES], ids=lambda words: words[0])
def test_a_defect_is_seen_and_nothing_is_left(shop: Shop, name: str, words: tuple[str, ...]) -> None:  # fmt: skip
    found = shop.drilled(name, *words)
    wrong = matrix.expected_of_drills(ROWS[name])

    assert {i: told.split()[1] for i, told in found.items() if not told.startswith("Pass")} == {
        id_: reason for id_, reason in wrong.items() if id_ in found
    }
    assert shop.space.left() == []


def deployment(name: str, specimen: str, defect: str) -> Manifest:
    """One pod of the specimen, which would call what is not there."""
    env = matrix.FAULT_ENVIRONMENT | {"DEFECTS": defect}
    container = {
        "name": "app", "image": specimen, "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 2},
        "securityContext": CONTAINER_SECURITY,
    }  # fmt: skip
    pod = {"containers": [container], "securityContext": POD_SECURITY, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}  # fmt: skip
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
