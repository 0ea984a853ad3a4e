"""`readiness restore` from a real repository into a real, new Redis: shown, asked, copied, compared; whoever holds data is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import programs
import pytest
from redis import Redis

from . import throwaway
from .stored import ADMIN, SCRIPT, World, fill

pytestmark = pytest.mark.slow


@dataclass
class Instance:
    """A new Redis beside the live one."""

    port: int
    client: Redis


@pytest.fixture
def instance(world: World) -> Iterator[Instance]:
    home, port = world.home / "new", programs.free_port()
    (home / "data").mkdir(parents=True)
    (home / "order-1").write_text("yes\n")
    with throwaway.serving(SCRIPT, home, port, world.programs):
        programs.until_open(port)
        with Redis("127.0.0.1", port) as client:
            client.execute_command("ACL", "SETUSER", "admin", "on", f">{ADMIN}", "~*", "&*", "+@all")  # fmt: skip
            yield Instance(port, client)


def test_a_new_instance_holds_what_was_saved(world: World, instance: Instance):
    snapshot = world.save(world.saved.sealed())

    done = world.restore(f"127.0.0.1:{instance.port}", answer="y\n")

    assert done.returncode == 0, done.stderr
    assert f"from  snapshot {snapshot[:8]} of " in done.stderr
    assert f"into  127.0.0.1:{instance.port}, which holds nothing" in done.stderr
    assert f"127.0.0.1:{instance.port} holds snapshot {snapshot[:8]}: db0 " in done.stdout
    original = world.home / "original"
    port = programs.free_port()
    (original / "data").mkdir(parents=True)
    (original / "order-1").write_text("no\n")
    with throwaway.serving(SCRIPT, original, port, world.programs):
        programs.until_open(port)
        source = Redis("127.0.0.1", port)
        fill(source)
        for database in (0, 3):
            for client in (source, instance.client):
                client.execute_command("SELECT", database)
            keys = [key for key in source.keys("*") if key != b"soon"]
            assert {key for key in instance.client.keys("*") if key != b"soon"} == set(keys)
            for key in keys:
                if key != b"stream":  # its ids are times
                    digests = [
                        c.execute_command("DEBUG", "DIGEST-VALUE", key)
                        for c in (source, instance.client)
                    ]
                    assert digests[0] == digests[1], key
                assert (instance.client.pttl(key) > 0) == (source.pttl(key) > 0), key


def test_a_job_fills_it_by_the_server_beside_it(world: World, instance: Instance):
    """As the Job of `readiness restore SERVICE` runs it: the throw-away server waits in a container of its own."""
    snapshot = world.save(world.saved.sealed())
    world.shared.mkdir()
    with throwaway.serving(SCRIPT, world.shared, world.port, world.programs):
        beside = (f"--directory={world.shared}", f"--port={world.port}")
        done = world.restore(f"127.0.0.1:{instance.port}", *beside, "--yes")
        again = world.restore(f"127.0.0.1:{instance.port}", *beside, "--yes")

    assert (done.returncode, f"holds snapshot {snapshot[:8]}: db0 " in done.stdout) == (0, True), done.stderr  # fmt: skip
    assert instance.client.dbsize() >= world.saved.manifest.verified.tallies[0].lasting
    assert not {"files", "data"} & {path.name for path in world.shared.iterdir()}, "destroyed"
    assert again.returncode == 1
    assert "somebody answers on port" in again.stderr


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yes please\n"])
def test_without_a_yes_nothing_is_done(world: World, instance: Instance, answer: str):
    world.save(world.saved.sealed())

    done = world.restore(f"127.0.0.1:{instance.port}", answer=answer)

    assert (done.returncode, "nothing was done" in done.stderr) == (130, True)
    assert instance.client.dbsize() == 0


def test_an_instance_that_holds_data_is_refused(world: World, instance: Instance):
    world.save(world.saved.sealed())
    instance.client.set("live", "data")

    done = world.restore(f"127.0.0.1:{instance.port}", "--yes")

    assert (done.returncode, "holds data: only an empty instance is filled" in done.stderr) == (1, True)  # fmt: skip
    assert instance.client.keys("*") == [b"live"]


def test_what_does_not_pass_a_drill_reaches_nobody(world: World, instance: Instance):
    world.save(world.saved.sealed(samples=(), tallies=()))

    done = world.restore(f"127.0.0.1:{instance.port}", "--yes")

    assert (done.returncode, "an empty snapshot" in done.stderr) == (1, True)
    assert instance.client.dbsize() == 0


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--snapshot=ffffffff",), 2, "no complete snapshot is 'ffffffff'"),
        (("--snapshot=20261121T0213Z",), 2, "is not one snapshot but 2"),
        (("--into=elsewhere:http",), 2, "expected HOST or HOST:PORT"),
        (("--into=127.0.0.1:1",), 1, "127.0.0.1:1 cannot be asked"),
    ],
)
def test_mistakes_are_told(world: World, more: tuple[str, ...], code: int, says: str):
    world.save(world.saved.sealed())
    world.save(world.saved.sealed())

    done = world.restore("127.0.0.1:2", "--yes", *more)

    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
