"""Applications without a defect, drilled again and again: no drill fails them, and none takes longer than it may.

READINESS_HEALTHY says how often (20), three at a time. tests/apps/test_healthy.py does the same on processes.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import demo
import image
import jobs
import matrix
from clusters import Cluster
from drillcli import Manifest, Place, Said
from recipes import Recipe, build_image

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
TIMES = int(os.environ.get("READINESS_HEALTHY", "20"))
SPACE, AT_ONCE = "healthy", 3
ARMS_SECONDS = 60
"""All arms with a drain of 15 s end so long after the last clone is Ready; with doubt clones, three times that. What a
crowded machine has spoiled is not counted."""
ADDED_SECONDS = 5
"""What a drill adds to an arm; the least of its looks, as what a crowded machine adds is not the drill's."""


@dataclass(frozen=True)
class Case:
    """A drill of a Deployment that a policy declares. `bounded`: its arms last no longer than a drain lets them."""

    what: str
    name: str
    policy: Manifest
    words: tuple[str, ...] = ()
    bounded: bool = False


START = {"targets": [matrix.drill_target("specimen")]}
FAULTS = {
    "targets": [matrix.drill_target("caller", matrix.FAULT_DECLARED)],
    "dataServices": matrix.FAULT_STORES,
}
JOBS = {"targets": [jobs.target("worker")], "dataServices": jobs.STORES}
CASES = {
    "shutdown": Case("shutdown", "specimen", START, ("--slow", "/slow?seconds={seconds}"), bounded=True),
    "startup": Case("startup", "specimen", START, bounded=True),
    "errors": Case("errors", "specimen", START, bounded=True),
    "limits": Case("limits", "specimen", START),
    "upstreams": Case("upstreams", "caller", FAULTS),
    "dependencies": Case("dependencies", "caller", FAULTS),
    "jobs": Case("shutdown", "worker", JOBS, ("--control=SHD-007", "--control=SHD-009")),
    "bootstrap": Case("startup", "worker", JOBS, ("--control=CFG-014",)),
}  # fmt: skip


def healthy(name: str, image: str, env: Manifest, **container: object) -> Manifest:
    """A Deployment of something healthy in production's settings."""
    made = {
        "name": "app", "image": image, "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
        **container,
    }  # fmt: skip
    spec = {"containers": [made], "automountServiceAccountToken": False}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    whole = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}  # fmt: skip


def keeper(specimen: str) -> Manifest:
    """The specimen with what a good rollout needs, and a volume for what it keeps."""
    hook = {"preStop": {"sleep": {"seconds": matrix.HOOK}}}
    made = healthy("specimen", specimen, matrix.DRILL_ENVIRONMENT, lifecycle=hook)
    pod = made["spec"]["template"]["spec"]
    pod |= matrix.start_pod(pod["containers"][0]) | {"terminationGracePeriodSeconds": 30}
    return made


def worker(specimen: str) -> Manifest:
    """A worker; it has no replicas, so that only clones need a queue."""
    env = jobs.ENVIRONMENT | {"QUEUE": "queue:6379", "PYTHONPATH": image.SPECIMEN_HOME}
    made = healthy("worker", specimen, env, command=["python3", "-m", "worker"])
    made["spec"]["replicas"] = 0
    made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = jobs.GRACE
    return made


@pytest.fixture(scope="module")
def redis(cluster: Cluster) -> str:
    """The image of throw-away stores."""
    built = build_image(Recipe("redis", ("redis-server",)), cluster.engine)
    cluster.load(built.name, built.archive)
    return built.name


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Place]:
    """A namespace with everything that is drilled."""
    _, specimens = demo.load_images(cluster, os.environ)
    specimen = specimens[demo.SPECIMENS[0]]
    found = Place.make(cluster, SPACE)
    found.apply(
        matrix.DRILL_CLAIM,
        keeper(specimen),
        healthy("caller", specimen, matrix.FAULT_ENVIRONMENT),
        worker(specimen),
    )
    found.rolled_out("specimen", "caller")
    yield found
    found.kubectl("delete", "namespace", found.name, "--wait=false")


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """One after the other."""
    return CASES[request.param]


@pytest.fixture(scope="module")
def said(place: Place, case: Case, redis: str, tmp_path_factory: pytest.TempPathFactory) -> list[Said]:  # fmt: skip
    """What each of so many drills said."""
    policy = tmp_path_factory.mktemp("policy") / "policy.json"
    spec = {"safety": {"allow": ["drill"]}, **case.policy}
    policy.write_text(json.dumps({"apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "metadata": {"name": case.name, "namespace": SPACE}, "spec": spec}))  # fmt: skip
    words = ("--policy", str(policy), "--store-image", f"redis={redis}", *case.words)

    def drill(_: int) -> Said:
        return place.drill(case.name, "--verbose", *words, what=case.what)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(drill, range(TIMES)))
    results = Counter(
        (id_, row["result"], row["reason"]) for s in found for id_, row in s.findings.items()
    )
    for (id_, result, reason), count in sorted(results.items()):
        print(f"{case.what}: {id_} {result} {reason}: {count} of {TIMES}")
    for each in found:
        print(
            f"{case.what}: looks {[f'{arms:.1f} s after {ready:.1f} s' for ready, arms in spans(each)]}"
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


def test_every_drill_stays_within_its_time(case: Case, said: list[Said]) -> None:
    late = [span for each in said for span in spans(each) if span[1] > ARMS_SECONDS]

    assert not case.bounded or late == []
    assert [s.told for s in said if len(spans(s)) - s.discarded > 3] == []


def test_a_drill_adds_five_seconds_to_what_the_application_needs(case: Case, said: list[Said]) -> None:  # fmt: skip
    figures = [float(added) for each in said for added in re.findall(r"the drill added (\d+\.\d) s", each.told)]  # fmt: skip
    print(f"{case.what}: added {sorted(figures)}")

    assert bool(figures) == (case.what == "shutdown")
    assert case.name != "specimen" or min(figures, default=0.0) <= ADDED_SECONDS
