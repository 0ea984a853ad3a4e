"""The specimen without a defect, drilled again and again: no drill fails it, and none takes longer than it may.

READINESS_HEALTHY says how often (20), three at a time.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import demo
import matrix
from clusters import Cluster
from drillcli import Manifest, Place, Said

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
TIMES = int(os.environ.get("READINESS_HEALTHY", "20"))
SPACE, AT_ONCE = "healthy", 3
DRILLS = ("shutdown", "startup", "errors")
SLOW = ("--slow", "/slow?seconds={seconds}")
ARMS_SECONDS = 60
"""All arms with a drain of 15 s end so long after the last clone is Ready; with doubt clones, three times that. What a
crowded machine has spoiled is not counted."""


def healthy(image: str) -> Manifest:
    """The specimen in production's settings."""
    container = {
        "name": "app", "image": image, "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in matrix.DRILL_ENVIRONMENT.items()],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
    }  # fmt: skip
    spec = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
    }
    labels = {"app": "specimen"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    whole = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "specimen"},
        "spec": whole,
    }


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Place]:
    """A namespace with the specimen."""
    _, specimens = demo.load_images(cluster, os.environ)
    found = Place.make(cluster, SPACE)
    found.apply(healthy(specimens[demo.SPECIMENS[0]]))
    found.rolled_out("specimen")
    yield found
    found.kubectl("delete", "namespace", found.name, "--wait=false")


@pytest.fixture(scope="module", params=DRILLS)
def said(place: Place, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Said]:  # fmt: skip
    """What each of so many drills said, of a policy that declares what the matrix does."""
    what = request.param
    policy = tmp_path_factory.mktemp("policy") / "policy.json"
    spec = {"safety": {"allow": ["drill"]}, "targets": [matrix.drill_target("specimen")]}
    policy.write_text(json.dumps({"apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "metadata": {"name": "specimen", "namespace": SPACE}, "spec": spec}))  # fmt: skip
    words = ("--policy", str(policy), *(SLOW if what == "shutdown" else ()))

    def drill(_: int) -> Said:
        return place.drill("specimen", "--verbose", *words, what=what)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(drill, range(TIMES)))
    results = Counter(
        (id_, row["result"], row["reason"]) for s in found for id_, row in s.findings.items()
    )
    for (id_, result, reason), count in sorted(results.items()):
        print(f"{what}: {id_} {result} {reason}: {count} of {TIMES}")
    for each in found:
        print(
            f"{what}: looks {[f'{arms:.1f} s after {ready:.1f} s' for ready, arms in spans(each)]}"
        )
    return found


def spans(said: Said) -> list[tuple[float, float]]:
    """Of each look: when the last clone was Ready, and how long after it the last arm was over."""
    return [
        (ready := max((at for (_, name), at in look.items() if name == "ready"), default=0.0), max(look.values()) - ready)
        for look in said.moments()
        if look
    ]  # fmt: skip


def test_none_fails(said: list[Said]) -> None:
    assert len(said) == TIMES
    assert [row for each in said for row in each.findings.values() if row["result"] == "Fail"] == []
    assert all(each.findings for each in said)


def test_every_drill_stays_within_its_time(said: list[Said]) -> None:
    late = [span for each in said for span in spans(each) if span[1] > ARMS_SECONDS]

    assert late == []
    assert [s.told for s in said if len(spans(s)) - s.discarded > 3] == []
