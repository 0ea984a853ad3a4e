"""What a backup's pod runs, verbatim, on real Redis servers of two releases: dumped by a replica, read, counted, sampled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from subprocess import CompletedProcess

import pytest
from redis import Redis

from readiness.api.backups import Backups
from readiness.backups.codec import load_source, load_verified
from readiness.backups.manifest import Source, Tally, Verified
from readiness.dataservices.redis import REDIS
from readiness.dataservices.redis.dump import source_of
from readiness.dataservices.saving import build_saving

from .orders import PASSWORDS, manifests_of, order_of
from .rig import Pod, Rig, image_root
from .test_processes import primary, ready

pytestmark = pytest.mark.slow
NETWORKS = (f"127.{60 + os.getpid() % 30}.{number}" for number in count(1))
ORDER = replace(
    order_of(),
    backups=Backups.model_validate({"destination": {"volume": {"claimName": "c"}}, "passwordSecretRef": {"name": "p"}}),
)  # fmt: skip
JOB = ORDER.name("backup")


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    home = tmp_path_factory.mktemp(request.param)
    found = Rig(image_root(request.param), home, next(NETWORKS), [*manifests_of(ORDER), *build_saving(REDIS, ORDER, source_of(ORDER))])  # fmt: skip
    found.start()
    ready(found)
    found.form()
    with client(primary(found)) as redis:
        fill(redis)
    yield found
    found.stop()


def client(pod: Pod, database: int = 0) -> Redis:
    return Redis(pod.address, 6379, db=database, username="admin", password=PASSWORDS["admin"])


def fill(redis: Redis) -> None:
    """Every type, keys of any bytes, some that expire, and a second database."""
    with redis.pipeline(transaction=False) as pipe:
        for n in range(500):
            pipe.set(f"s:{n}", os.urandom(50))
            pipe.hset(f"h:{n}", mapping={f"f{i}": i for i in range(n % 700)} or {"f": 1})
            pipe.sadd(f"set:{n}", *range(1 + n % 600))
            pipe.zadd(f"z:{n}", {f"m{i}": i for i in range(1 + n % 300)})
            pipe.rpush(f"l:{n}", *range(1 + n % 300))
            pipe.xadd(f"x:{n}", {"a": n})
            pipe.set(f"t:{n}", n, ex=3600)
        pipe.set(b"\x00\xff \"'\\\n\r\x80", "odd")
        pipe.set("k" * 1000, "long")
        pipe.execute()
        pipe.execute_command("SELECT", 9)
        pipe.set("of another database", 1)
        pipe.execute_command("SELECT", 0)
        pipe.execute()


def run(rig: Rig) -> tuple[Source, Verified]:
    """The two init containers; what they leave."""
    for name, pod in rig.job(JOB):
        done = pod.run(*pod.container["command"], timeout=120)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        assert not any(password in done.stdout + done.stderr for password in PASSWORDS.values())
    left = rig.home / JOB / "backup"
    return load_source((left / "source.json").read_bytes()), load_verified((left / "verify.json").read_bytes())  # fmt: skip


@pytest.fixture(autouse=True)
def clean(rig: Rig) -> Iterator[None]:
    yield
    for place in (rig.home / JOB / "backup", rig.home / JOB / "tmp"):
        for each in place.iterdir():
            each.unlink()
    for each in ("dump", "verify"):
        for link in (rig.home / f"{JOB}-{each}").iterdir():
            link.unlink()


def test_a_replica_is_dumped_and_what_it_holds_is_counted_and_sampled(rig: Rig):
    source, verified = run(rig)

    assert source.member in {pod.name for pod in rig.members} - {primary(rig).name}
    assert verified.tool == f"redis-server {source.server}"
    assert verified.tallies == (Tally("db0", 3502, 500), Tally("db9", 1))
    assert len({(s.of, s.key) for s in verified.samples}) == len(verified.samples) == 101
    with client(primary(rig)) as redis:
        assert all(redis.exists(bytes.fromhex(s.key)) for s in verified.samples if s.of == "db0")
        assert all(redis.ttl(bytes.fromhex(s.key)) == -1 for s in verified.samples if s.of == "db0")


def test_an_odd_key_is_sampled_like_any_other(rig: Rig):
    """Asked for more than there are, everything that lasts and is not too long is sampled."""
    for name, pod in rig.job(JOB):
        pod.container["env"] = [e | ({"value": "9000"} if e["name"] == "SAMPLES" else {}) for e in pod.container["env"]]  # fmt: skip
        assert pod.run(*pod.container["command"], timeout=300).returncode == 0, name
    verified = load_verified((rig.home / JOB / "backup/verify.json").read_bytes())
    keys = {s.key for s in verified.samples}

    assert b"\x00\xff \"'\\\n\r\x80".hex() in keys
    assert len(keys) > 2990
    assert len({s.digest for s in verified.samples}) > 1000


def verify(rig: Rig, dump: bytes) -> CompletedProcess[str]:
    for name, pod in rig.job(JOB):
        if name == "verify":
            left = rig.home / JOB / "backup"
            (left / "dump.rdb").write_bytes(dump)
            return pod.run(*pod.container["command"], timeout=60)
    raise AssertionError


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "another's"])
def test_a_dump_that_is_damaged_is_refused_with_a_reason(rig: Rig, damage: str):
    run(rig)
    dump = (rig.home / JOB / "backup/dump.rdb").read_bytes()
    middle = len(dump) // 2
    broken = {
        "truncated": dump[:middle], "empty": b"", "another's": b"PK\x03\x04" + dump,
        "flipped": dump[:middle] + bytes([dump[middle] ^ 1]) + dump[middle + 1 :],
    }[damage]  # fmt: skip
    for each in ("dump", "verify"):
        for link in (rig.home / f"{JOB}-{each}").iterdir():
            link.unlink()
    (rig.home / JOB / "backup/verify.json").unlink()
    done = verify(rig, broken)

    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])["reason"] == "DumpCorrupt"
    assert not (rig.home / JOB / "backup/verify.json").exists()


def test_without_a_replica_the_primary_is_dumped_and_without_anybody_nothing(rig: Rig):
    first = primary(rig)
    others = [pod for pod in rig.members if pod is not first]
    for each in others:
        each.kill()
    assert run(rig)[0].member == first.name
    first.kill()
    (rig.home / JOB / "backup/source.json").unlink()
    for each in ("dump", "verify"):
        for link in (rig.home / f"{JOB}-{each}").iterdir():
            link.unlink()
    _, pod = next(rig.job(JOB))
    done = pod.run(*pod.container["command"], timeout=120)

    assert done.returncode == 1
    assert '"reason":"NoMember"' in done.stderr
    rig.start(first, *others)
    ready(rig)
