"""A Redis provided on real pods: as fast as kubectl would, kept, repaired, taken back, removed, and what stands in its way."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from operator_fixture import Manifest, Operator
from readiness import naming
from readiness.api import read_policy
from readiness.dataservices.redis import REDIS
from readiness.dataservices.wish import Wish, children_of, order_of
from readiness.snapshot import Snapshot
from recipes import Recipe, build_image
from storespace import Space, space

pytestmark = pytest.mark.e2e
NAME: Final = naming.store("shop", "cache")
BUDGET: Final = 1.2
SECONDS: Final = 240
METRICS: Final = ("NoExporter", "MonitorNotServed")


@pytest.fixture(scope="module")
def image(operator: Operator) -> str:
    """A Redis on every node."""
    built = build_image(Recipe("redis", ("redis-server",)), operator.cluster.engine)
    operator.cluster.load(built.name, built.archive)
    return built.name


def cache(image: str, /, **more: Any) -> Manifest:
    return {"name": "cache", "redis": {"image": image, "storage": "64Mi", **more}}


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def by_hand(operator: Operator, name: str, image: str) -> float:
    """Seconds of `kubectl apply` and `kubectl wait` of the very manifests."""
    found = Space(operator, name)
    spec = {"dataServices": [cache(image)]}
    wish = Wish({"metadata": {"name": "shop"}, "spec": spec}, read_policy(spec), 0.0, name)
    nodes = {each["metadata"]["name"]: each for each in operator.get("nodes")}
    order = order_of(wish, Snapshot(name, nodes=nodes), wish.spec.data_services[0])
    items = list(children_of(wish, REDIS, order))
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

    def work() -> None:
        found.kubectl("apply", "-f", "-", text=text)
        ready = "--for=jsonpath={.status.readyReplicas}=3"
        sets = (f"statefulset/{NAME}", f"statefulset/{NAME}-sentinel")
        found.kubectl("wait", ready, *sets, f"--timeout={SECONDS}s")

    seconds = timed(work)
    found.delete()
    return seconds


def provided(operator: Operator, name: str, image: str) -> float:
    """Seconds from apply to Provisioned=True."""
    with space(operator, name) as found:

        def work() -> None:
            found.declare(cache(image))
            found.kubectl(
                "wait", "--for=condition=Provisioned", "rdy/shop", f"--timeout={SECONDS}s"
            )

        return timed(work)


@pytest.mark.slow
def test_it_is_there_as_soon_as_by_hand(operator: Operator, image: str) -> None:
    rounds = [
        (by_hand(operator, f"hand-{n}", image), provided(operator, f"ours-{n}", image))
        for n in range(3)
    ]
    hand, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"by hand {hand:.1f} s, ours {ours:.1f} s, {ours / hand:.2f} times; {rounds}")

    assert ours <= BUDGET * hand


@pytest.fixture(scope="module")
def shop(operator: Operator, image: str) -> Iterator[Space]:
    """A namespace with a Redis that runs."""
    with space(operator, "stores") as found:
        found.declare(cache(image))
        found.until("True/Provisioned", SECONDS)
        yield found


def test_the_status_tells_who_is_primary_and_where_to_log_in(shop: Space) -> None:
    deadline = time.monotonic() + 60
    while not (row := shop.get("rdy", "shop")["status"]["dataServices"][0]).get("primary"):
        assert time.monotonic() < deadline, row
        time.sleep(1)
    roles = [each.get("role") for each in row["members"]]
    binding = shop.get("secret", row["secretName"])["data"]

    assert (row["name"], row["kind"], row["ready"]) == ("cache", "redis", True)
    assert sorted(roles) == ["primary", "replica", "replica", "sentinel", "sentinel", "sentinel"]
    assert {"type", "provider", "host", "port", "username", "password"} <= binding.keys()


def test_what_stands_is_not_written(shop: Space) -> None:
    """Once the first looks have told what they saw, which takes seconds after Provisioned."""
    before, deadline = versions(shop), time.monotonic() + 60
    time.sleep(5)
    while (now := versions(shop)) != before:
        assert time.monotonic() < deadline, now
        before = now
        time.sleep(5)
    time.sleep(15)

    assert versions(shop) == before


def versions(shop: Space) -> dict[str, str]:
    """Resource versions of everything that no controller writes by itself."""
    found = {}
    for kind in ("configmaps", "secrets", "services", "networkpolicies", "serviceaccounts", "rdy"):
        for each in shop.get(kind)["items"]:
            found[f"{kind}/{each['metadata']['name']}"] = each["metadata"]["resourceVersion"]
    return found


def test_what_somebody_changes_is_put_back_without_a_restart(shop: Space) -> None:
    before = shop.pods()
    shop.kubectl("patch", "service", f"{NAME}-members", "-p", '{"spec":{"publishNotReadyAddresses":false}}')  # fmt: skip
    deadline = time.monotonic() + 20
    while not shop.get("service", f"{NAME}-members")["spec"].get("publishNotReadyAddresses"):
        assert time.monotonic() < deadline
        time.sleep(0.5)

    assert "DriftRepaired" in shop.kubectl("get", "events.events.k8s.io")
    assert shop.pods() == before


def test_a_policy_may_go_and_come_back_and_no_pod_notices(shop: Space, image: str) -> None:
    before = shop.pods()
    shop.kubectl("delete", "rdy", "shop")
    time.sleep(20)
    assert shop.pods() == before, "nobody stops what nobody declares any more"
    shop.declare(cache(image))
    shop.until("True/Provisioned", 60)

    assert shop.pods() == before


def test_volumes_that_cannot_grow_are_named_and_nothing_stops(shop: Space, image: str) -> None:
    """Where the class of a cluster lets them grow, they do."""
    before = shop.pods()
    (found,) = {each["spec"]["storageClassName"] for each in shop.get("pvc")["items"]}
    grows = shop.get("storageclass", found).get("allowVolumeExpansion", False)
    shop.declare(cache(image, storage="128Mi"))
    message = shop.until("True/Provisioned" if grows else "False/VolumeCannotGrow", 120)
    assert grows or f"PersistentVolumeClaim/data-{NAME}-0" in message
    shop.declare(cache(image, storage="128Mi" if grows else "64Mi"))
    shop.until("True/Provisioned", 60)

    assert shop.pods() == before


def test_metrics_that_nobody_can_read_yet_are_told_of_and_stop_nothing(shop: Space, image: str) -> None:  # fmt: skip
    """A ServiceMonitor where there is no Prometheus operator, and no image of an exporter."""
    before = shop.pods()
    shop.declare(cache(image, metrics={"serviceMonitor": True}))
    deadline = time.monotonic() + 60
    while (row := shop.get("rdy", "shop")["status"]["dataServices"][0]).get("reason") not in METRICS:  # fmt: skip
        assert time.monotonic() < deadline, row
        time.sleep(1)
    assert row["ready"] is True
    shop.declare(cache(image))
    shop.until("True/Provisioned", 60)

    assert shop.pods() == before


@pytest.mark.slow
def test_removal_takes_a_word_and_leaves_the_volumes(shop: Space) -> None:
    before = shop.pods()
    shop.declare()
    shop.until("False/RemovalPending", 30)
    time.sleep(5)
    assert shop.pods() == before
    shop.kubectl("annotate", "rdy", "shop", f"{naming.CONFIRM_REMOVAL}=cache")
    shop.until("True/NothingDeclared", 60)
    deadline = time.monotonic() + 150  # a primary that stops hands over first
    while shop.pods():
        assert time.monotonic() < deadline, shop.kubectl("get", "pods")
        time.sleep(1)

    left = shop.kubectl("get", "pvc,secret", "-l", f"{naming.SERVICE_LABEL}=cache", "-o", "name").split()  # fmt: skip
    assert len([each for each in left if each.startswith("persistentvolumeclaim/")]) == 6
    assert [each for each in left if each.startswith("secret/")] == [f"secret/{NAME}-credentials"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "reason", "words"),
    [
        (
            {"image": "127.0.0.1:9/no/such:1"},
            "ImagePull",
            "cannot pull image 127.0.0.1:9/no/such:1",
        ),
        (
            {"config": [{"name": "maxmemory-policy", "value": "no-such-policy"}]},
            "Crashing",
            "ends again and again",
        ),
        ({"storageClass": "nope"}, "StorageClassNotFound", "StorageClass nope does not exist"),
        ({"resources": {"requests": {"cpu": "1000"}}}, "Unschedulable", "Insufficient cpu"),
    ],
    ids=["image", "setting", "class", "room"],
)
def test_what_stands_in_the_way_is_named_within_a_minute(
    operator: Operator, image: str, more: Manifest, reason: str, words: str
) -> None:
    with space(operator, f"obstacle-{reason.lower()}") as found:
        found.declare(cache(image, **more))
        began = time.monotonic()
        message = found.until(f"False/{reason}", 60)
        print(f"{reason} after {time.monotonic() - began:.1f} s: {message}")

        assert words in message
