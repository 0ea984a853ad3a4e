"""The matrix on loopback: every defect of the specimen × every HTTP control, one look each, no cluster.

The run on real pods is e2e/test_matrix.py; both judge by the same table.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from specimen.app import Shop
from specimen.config import Config
from specimen.defects import planted
from specimen.http import Server

import matrix
from readiness.model import Verdict

from .loopback import ADDRESS, OTHER, Authority, Place, authority, look, subject_of

APPS = Path(__file__).resolve().parents[2] / "e2e" / "apps"
HEALTHY = {"none": {}} | {
    f"none/{matrix.slug(d.id)}": d.declares for d in matrix.DEFECTS.values() if d.declares
}
VARIANTS = {
    "python": [sys.executable, str(APPS)],
    "node": ["node", str(APPS / "node" / "server.mjs")],
}
Seen = Mapping[str, Mapping[str, Verdict]]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def seen(keys: Authority) -> Seen:
    """One look at every defect, and at the healthy application under every declaration."""
    return asyncio.run(_looked(keys))


async def _looked(keys: Authority) -> Seen:
    started = datetime.now(UTC).isoformat()
    plan = {id_: ((id_,), d.declares) for id_, d in matrix.DEFECTS.items()}
    plan |= {name: ((), declares) for name, declares in HEALTHY.items()}
    async with AsyncExitStack() as running:
        subjects = {}
        for name, (defects, declares) in plan.items():
            server = Server(planted(Shop(Config()), defects))
            running.push_async_callback(server.drain, 0)
            place = Place(
                await server.listen(ADDRESS, 0),
                await server.listen(ADDRESS, 0, keys.server),
                started,
            )
            subjects[name] = subject_of(matrix.slug(name), place, declares)
        names = {subject.target.name: name for name, subject in subjects.items()}
        by_target = {subject.target.name: subject for subject in subjects.values()}
        return {names[key]: verdicts async for key, verdicts in look(by_target, keys.trusted)}


@pytest.mark.parametrize("name", HEALTHY)
def test_without_a_defect_every_control_holds(seen: Seen, name: str) -> None:
    assert told(seen[name]) == matrix.expected(None)


@pytest.mark.parametrize("defect", matrix.DEFECTS.values(), ids=lambda d: d.id)
def test_a_defect_fails_exactly_the_controls_that_name_it(
    seen: Seen, defect: matrix.Defect
) -> None:
    verdicts = seen[defect.id]

    assert told(verdicts) == matrix.expected(defect)
    assert {id_: verdicts[id_].reason for id_ in (*defect.fails, *defect.unproven)} == {
        **defect.fails,
        **defect.unproven,
    }


@pytest.mark.parametrize(
    "id_",
    [
        "HLT-001/no-uptime",
        "HDR-001/missing",
        "HDR-002/missing",
        "HDR-004/missing",
        "HDR-005/sniffing",
        "AUT-001/open",
    ],
)
def test_a_defect_of_one_replica_is_seen_where_users_see_none(id_: str, keys: Authority) -> None:
    verdicts = asyncio.run(_half(id_, keys))

    assert told(verdicts) == matrix.expected(matrix.DEFECTS[id_])
    assert "1 of 2 pods (shop-1)" in verdicts[id_.partition("/")[0]].message


async def _half(id_: str, keys: Authority) -> Mapping[str, Verdict]:
    """One look at a healthy replica, which is also what the edge shows, and a defective one."""
    healthy, broken = (Server(planted(Shop(Config()), ids)) for ids in ((), (id_,)))
    port = await healthy.listen(ADDRESS, 0)
    await broken.listen(OTHER, port)
    place = Place(
        port, await healthy.listen(ADDRESS, 0, keys.server), datetime.now(UTC).isoformat()
    )
    subjects = {"shop": subject_of("shop", place, {}, (ADDRESS, OTHER))}
    try:
        return {name: verdicts async for name, verdicts in look(subjects, keys.trusted)}["shop"]
    finally:
        await healthy.drain(0)
        await broken.drain(0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_healthy_variants_hold_as_processes_and_end_in_order(variant: str, keys: Authority) -> None:
    with process(variant, keys) as (place, child):
        verdicts = asyncio.run(_one(place, keys))

        assert told(verdicts) == matrix.expected(None)
        child.terminate()
        assert child.wait(10) == 0


async def _one(place: Place, keys: Authority) -> Mapping[str, Verdict]:
    subjects = {"shop": subject_of("shop", place, {})}
    return {name: verdicts async for name, verdicts in look(subjects, keys.trusted)}["shop"]


@contextmanager
def process(variant: str, keys: Authority) -> Iterator[tuple[Place, subprocess.Popen[str]]]:
    """A healthy variant as its image starts it, on free ports."""
    command = VARIANTS[variant]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: e2e proves this variant from Debian's package")
    port, tls_port = free(), free()
    settings = {
        "PORT": port,
        "TLS_PORT": tls_port,
        "TLS_CERT": keys.certificate,
        "TLS_KEY": keys.key,
    }
    environ = os.environ | {name: str(value) for name, value in settings.items()}
    with ExitStack() as stack:
        child = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        stack.callback(child.wait)
        stack.callback(child.kill)
        assert child.stdout is not None
        stack.callback(child.stdout.close)
        assert '"listening"' in child.stdout.readline()
        yield Place(port, tls_port, datetime.now(UTC).isoformat()), child


def free() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def told(verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    return {id_: str(verdict.result) for id_, verdict in verdicts.items()}
