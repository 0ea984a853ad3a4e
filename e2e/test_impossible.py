"""Clones that cannot start: each is Unknown, with the words of who refuses them, within its budget; and nothing of it stays.

The Deployments have no replicas: what never starts never rolls out, and nothing is drilled during a rollout.
"""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from clusters import Cluster
from drillcli import Manifest, Place, Said

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CONTROL = "SHD-006"
BUDGET = 240
"""Two minutes for what may pass by itself, the time that scheduling and pulling take, and a busy machine."""
SERVER = ["python3", "-m", "http.server", "8080"]
DENIED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Case:
    """What is wrong with a template, and what must be said. `quota`, `labels`: of its namespace."""

    result: str
    reason: str
    words: str
    pod: Manifest = field(default_factory=dict)
    container: Manifest = field(default_factory=dict)
    quota: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


CASES = {
    "fine": Case("Pass|Fail", ".*", ".*"),
    "no-image": Case("Unknown", "ImagePull", r"ErrImagePull|ImagePullBackOff|ErrImageNeverPull",
                     container={"image": "registry.invalid/nowhere:1.0.0"}),
    "bad-name": Case("Unknown", "ImagePull", "InvalidImageName", container={"image": "registry.invalid/NoWhere:1.0.0"}),
    "no-node": Case("Unknown", "Unschedulable", r"nodes are available.*node affinity/selector",
                    pod={"nodeSelector": {"is-there": "no"}}),
    "too-big": Case("Unknown", "Unschedulable", "Insufficient memory",
                    container={"resources": {"requests": {"memory": "4Ti"}}}),
    "init-fails": Case("Unknown", "InitFailed", "init container migrate ended with exit code 7",
                       pod={"initContainers": [{"name": "migrate", "command": ["sh", "-c", "exit 7"]}]}),
    "no-secret": Case("Unknown", "ControlArmFailed", 'CreateContainerConfigError.*secret "nowhere" not found',
                      container={"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "x"}}}]}),
    "no-command": Case("Unknown", "ControlArmFailed", "container app ended with exit code 128 before it was Ready",
                       container={"command": ["no-such-program"]}),
    "quota": Case("Unknown", "Quota", "exceeded quota: all, requested: pods=1, used: pods=1, limited: pods=1",
                  quota={"pods": "1"}),
    "denied": Case("Blocked", "AdmissionDenied", 'violates PodSecurity "restricted:latest"', labels=DENIED),
}  # fmt: skip


def deployment(name: str, case: Case, image: str) -> Manifest:
    container = {
        "name": "app",
        "image": image,
        "command": SERVER,
        "ports": [{"containerPort": 8080}],
    }
    container |= {
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        **case.container,
    }
    pod = {"containers": [container], "terminationGracePeriodSeconds": 2, **case.pod}
    for each in pod.get("initContainers", ()):
        each["image"] = image
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def said(cluster: Cluster) -> Iterator[Mapping[str, tuple[Place, Said]]]:
    """What the command says of each, three at a time."""
    places = {
        name: Place.make(cluster, f"impossible-{name}", labels=dict(case.labels))
        for name, case in CASES.items()
    }

    def drill(name: str) -> tuple[Place, Said]:
        place, case = places[name], CASES[name]
        hard = {"hard": dict(case.quota)}
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "all"},
            "spec": hard,
        }
        place.apply(deployment("app", case, place.image), *([quota] if case.quota else ()))
        place.rolled_out("app")
        return place, place.drill("app", "--control", CONTROL, "--once", "--verbose")

    with ThreadPoolExecutor(3) as pool:
        yield dict(zip(CASES, pool.map(drill, CASES), strict=True))
    for place in places.values():
        place.kubectl("delete", "namespace", place.name, "--wait=false")


@pytest.mark.parametrize("name", CASES)
def test_it_is_told_in_the_words_of_who_refuses(
    said: Mapping[str, tuple[Place, Said]], name: str
) -> None:
    case, (_, seen) = CASES[name], said[name]
    row = seen.findings[CONTROL]

    assert re.fullmatch(case.result, row["result"]), row
    assert re.fullmatch(case.reason, row["reason"]), row
    assert re.search(case.words, row["message"]), row


@pytest.mark.parametrize("name", CASES)
def test_it_stays_within_its_budget(said: Mapping[str, tuple[Place, Said]], name: str) -> None:
    assert said[name][1].seconds < BUDGET


@pytest.mark.parametrize("name", CASES)
def test_nothing_stays(said: Mapping[str, tuple[Place, Said]], name: str) -> None:
    assert said[name][0].left() == []
