"""A Redis that speaks nothing but TLS, on real servers: formed, looked at, handed over, and with a renewed certificate."""

from __future__ import annotations

import base64
import os
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import trustme
from certificates import secret_of
from redis import Redis
from redis.exceptions import RedisError

from readiness.cluster.certificates import certificate_of
from readiness.dataservices.order import Look, Order
from readiness.dataservices.redis.build import members_of, problems, sentinels_of
from readiness.engines.stores.redis import look
from readiness.snapshot import Seen

from .ledger import Ledger
from .orders import manifests_of, order_of
from .rig import Pod, Rig, image_root

pytestmark = pytest.mark.slow
NETWORKS = (f"127.{20 + os.getpid() % 70}.{number}" for number in count(1))
AUTHORITY = trustme.CA()
SPEC = {"tls": {"secretRef": {"name": "cache-tls"}}}
NAMES = tuple(f"*.{part.domain}" for part in (members_of(order_of()), sentinels_of(order_of())))
NAMED = (*NAMES, order_of().host(order_of().name("sentinel")))


@pytest.fixture(params=["bookworm", "trixie"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    secret = secret_of("cache-tls", AUTHORITY, *NAMED)
    manifests = [*manifests_of(ordered()), secret]
    found = Rig(image_root(request.param), tmp_path, next(NETWORKS), manifests)
    found.start()
    wait_until(lambda: ready(found), 60)
    found.form()
    yield found
    found.stop()


def ordered() -> Order:
    order = order_of(SPEC, certificate_of("cache-tls", secret_of("cache-tls", AUTHORITY, *NAMED)))
    assert problems(order) == ()
    return order


def ready(rig: Rig) -> bool:
    return all(pod.probe("readinessProbe") for pod in rig.pods.values())


def wait_until(holds, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


async def seen_of(rig: Rig, order: Order) -> Seen:
    return await look(Look("redis", order, {name: pod.address for name, pod in rig.pods.items()}))


def shown(pod: Pod) -> str:
    port = 6379 if pod in pod.rig.members else 26379
    return ssl.get_server_certificate((pod.address, port))


async def test_it_is_formed_looked_at_and_handed_over_without_a_plain_word(rig: Rig):
    for pod in rig.pods.values():
        with Redis(pod.address, 6379 if pod in rig.members else 26379) as client, pytest.raises(RedisError):  # fmt: skip
            client.ping()

    seen = await seen_of(rig, ordered())
    assert (seen.reason, [each for each in seen.members if each.reasons]) == ("", [])

    ledger = Ledger(rig, rig.secret(ordered().name())).start()
    pod, began = rig.pods[seen.primary], time.monotonic()
    assert ledger.binding["uri"].startswith("rediss+sentinel://app:")
    pod.terminate()
    ledger.wait_for(300)
    pod.start()
    wait_until(lambda: ready(rig), 60)
    gap, lost = ledger.gap(began), ledger.lost()
    ledger.stop()
    print(f"\nplanned, with TLS: gap {gap:.1f} s, lost {lost} of {len(ledger.acknowledged)}")

    assert (await seen_of(rig, ordered())).primary not in ("", pod.name)
    assert lost == 0
    assert gap <= 5


async def test_a_look_believes_nobody_but_the_authority_and_the_name(rig: Rig):
    order = ordered()
    assert order.certificate
    stranger = replace(order.certificate, ca=trustme.CA().cert_pem.bytes().decode())
    assert {each.reasons for each in (await seen_of(rig, replace(order, certificate=stranger))).members} == {("Unreachable",)}  # fmt: skip

    secret = secret_of("cache-tls", AUTHORITY, "another.name")
    rig.write([*manifests_of(order), secret])
    for pod in rig.members:
        pod.kill()
        pod.start()
    wait_until(lambda: ready(rig), 60)
    members = (await seen_of(rig, order)).members
    assert {each.name for each in members if "Unreachable" in each.reasons} == {pod.name for pod in rig.members}  # fmt: skip


def test_a_renewed_certificate_is_taken_up_and_no_member_starts_again(rig: Rig):
    before = {pod.name: (shown(pod), pod.server) for pod in rig.pods.values()}
    secret = secret_of("cache-tls", AUTHORITY, *NAMED)
    renewed = base64.b64decode(secret["data"]["tls.crt"]).decode().strip()
    rig.write([*manifests_of(ordered()), secret])
    ended: list[str] = []

    def tended() -> bool:
        """The kubelet's part: what has ended starts again."""
        away = [pod for pod in rig.pods.values() if pod.server and pod.server.poll() is not None]
        assert len(away) <= 1, "never two at once"
        for pod in away:
            ended.append(pod.name)
            pod.start()
            wait_until(lambda pod=pod: pod.probe("readinessProbe"))
        return len(ended) == 3 and all(shown(pod).strip() in renewed for pod in rig.pods.values())

    wait_until(tended, 120)
    assert sorted(ended) == sorted(pod.name for pod in rig.sentinels)
    assert all(pod.server is before[pod.name][1] for pod in rig.members)
    assert all(shown(pod) != before[pod.name][0] for pod in rig.pods.values())
    assert ready(rig)
