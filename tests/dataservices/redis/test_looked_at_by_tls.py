"""A Redis of others that speaks TLS: looked at by its name, whoever vouches for it, and by no other."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from readiness.engines.guard import Egress, Guard
from readiness.engines.inspection import Inspector
from readiness.inspection import Login, StoreRequest, Way
from readiness.model import Manifest

from .test_defects import binary

pytestmark = pytest.mark.slow
ADDRESS = "127.78.0.1"
AUTHORITY, OTHER = trustme.CA(), trustme.CA()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("tls")
    leaf = AUTHORITY.issue_cert("cache.example.org")
    leaf.private_key_and_cert_chain_pem.write_to_path(home / "own.pem")
    (home / "redis.conf").write_text(
        f"bind {ADDRESS}\nport 0\ntls-port 6379\ntls-auth-clients no\nrequirepass look-secret-1\ndir {home}\n"
        f"tls-cert-file {home}/own.pem\ntls-key-file {home}/own.pem\ntls-ca-cert-file {home}/own.pem\n"
    )
    with (home / "log").open("wb") as log:
        found = subprocess.Popen([*binary("redis-server"), str(home / "redis.conf")], stdout=log)
    wait_for(home / "log")
    yield
    found.kill()
    found.wait()


def wait_for(log: Path) -> None:
    end = time.monotonic() + 30
    while "Ready to accept" not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("host", "authority", "error"),
    [
        ("cache.example.org", AUTHORITY, ""),
        ("other.example.org", AUTHORITY, "Unreachable"),
        ("cache.example.org", OTHER, "Unreachable"),
    ],
    ids=["its own", "another name", "another authority"],
)
def test_a_certificate_is_for_the_name_that_was_declared(server: None, host: str, authority: trustme.CA, error: str) -> None:  # fmt: skip
    given = {"password": "look-secret-1", "ca.crt": authority.cert_pem.bytes().decode()}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in given.items()}

    async def find(_namespace: str, name: str) -> Manifest:
        return {"metadata": {"name": name, "labels": {"readiness.dev/probe": "allowed"}}, "data": data}  # fmt: skip

    async def resolve(_host: str, _port: int) -> list[str]:
        return [ADDRESS]

    guard = Guard(Egress((host, f"{ADDRESS}/32")), resolve)
    asked = StoreRequest("cache", "redis", Way("shop"), (host,), 6379, tls=True, login=Login("look"))  # fmt: skip
    (told,) = asyncio.run(Inspector(guard, find).inspect(asked)).told

    assert (told.name, told.error) == (host, error)
    assert bool(told.facts.get("info")) is not bool(error)
