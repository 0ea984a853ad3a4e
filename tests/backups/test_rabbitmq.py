"""Definitions of a RabbitMQ on real restic repositories and real servers: drilled, restored into a new one, and by hand.

A drill passes on what is whole and on nothing else; a restore gives a new cluster what it has not, and writes nothing over.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import programs
import pytest

from readiness.backups.codec import load_verified
from readiness.backups.definitions import SORTS
from readiness.backups.manifest import BackupManifest, Source, Tally, Verified
from readiness.backups.outcome import Reason, Result
from readiness.backups.runbook import Way, build_runbook
from readiness.dataservices.rabbitmq.users import password_hash
from readiness.dataservices.restore import COUNT, SCRIPTS
from readiness.engines.restores.place import answers

from . import throwaway
from .stored import ADMIN, PASSWORD, PATIENCE, Saved, World, failed
from .test_runbook import BLOCK, install

pytestmark = pytest.mark.slow
SCRIPT = SCRIPTS["rabbitmq"]
Document = dict[str, Any]
SAVED: Document = {
    "rabbitmq_version": "4.0.5",
    "vhosts": [{"name": "/", "default_queue_type": "quorum"}, {"name": "others", "metadata": {"default_queue_type": "classic"}, "default_queue_type": "classic"}],
    "users": [
        {"name": name, "password_hash": password_hash(name, "saved"), "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": tags}
        for name, tags in (("app-a", []), ("admin", ["administrator"]))
    ],
    "permissions": [{"user": "app-a", "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"} for vhost in ("/", "others")],
    "topic_permissions": [{"user": "app-a", "vhost": "/", "exchange": "topics", "write": "a", "read": ".*"}],
    "parameters": [{"vhost": "others", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 100}}],
    "global_parameters": [
        {"name": "cluster_name", "value": "old"}, {"name": "mqtt_port_to_vhost_mapping", "value": {"1883": "/"}},
        {"name": "readiness-leaving", "value": ["shop-jobs-2"]},
    ],
    "policies": [{"vhost": "/", "name": "short", "pattern": "^x", "apply-to": "queues", "definition": {"max-length": 7}, "priority": 3}],
    "exchanges": [{"name": "topics", "vhost": "/", "type": "topic", "durable": True, "auto_delete": False, "internal": False, "arguments": {}}],
    "queues": [
        *({"name": f"q{n}", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "quorum"}} for n in range(5)),
        {"name": "old", "vhost": "others", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "classic", "x-max-length": 5}},
    ],
    "bindings": [{"source": "topics", "vhost": "/", "destination": "q0", "destination_type": "queue", "routing_key": "a.#", "arguments": {}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bin")
    throwaway.install_rabbitmq(folder, tmp_path_factory.getbasetemp())
    (folder / "restic").symlink_to(programs.restic())
    return folder


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory, rabbitmq: Path) -> Verified:
    """What the verification of these definitions notes."""
    home = tmp_path_factory.mktemp("verified")
    (home / "data").mkdir()
    for name, text in (("definitions.json", json.dumps(SAVED)), ("sorts.json", json.dumps(SORTS)), ("count.erl", COUNT)):  # fmt: skip
        (home / "data" / name).write_text(text)
    (home / "order-1").write_text("load\n")
    with throwaway.serving(SCRIPT, home, programs.free_port(), rabbitmq):
        until((home / "loaded-1").exists)
    told, found = (load_verified((home / "data" / f"{each}.json").read_bytes()) for each in ("told", "found"))  # fmt: skip
    assert told == found
    return found


@pytest.fixture
def world(tmp_path: Path, rabbitmq: Path, verified: Verified) -> World:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup/definitions.json").write_text(json.dumps(SAVED))
    manifest = BackupManifest(
        "rabbitmq", "shop", "checkout", "cache", "run-0", "20261121T0213Z",
        Source("jobs-1", "4.0.5", 1763115181, 1763115190), verified, (),
    )  # fmt: skip
    found = World(tmp_path, Saved(tmp_path, manifest), rabbitmq, programs.free_port(), SCRIPT)
    found.restic("init")
    return found


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def rewrite(world: World, **changed: list[Document]) -> None:
    """Before it was sealed: the manifest's counts are those of the whole."""
    world.saved.dump.write_text(json.dumps(SAVED | changed))
    world.save(world.saved.sealed())


def test_what_is_whole_passes_and_tells_how_long_it_took(world: World):
    snapshot = world.save(world.saved.sealed())

    told = world.drill()

    assert (told.result, told.reason) == (Result.SUCCEEDED, Reason.RESTORED), told.message
    assert (told.snapshot, told.mismatches) == (snapshot, 0)
    assert told.size == world.saved.dump.stat().st_size
    assert 0 < told.rto <= told.seconds


def cut(world: World) -> None:
    """A download was cut, and nobody noticed."""
    world.saved.dump.write_bytes(world.saved.dump.read_bytes()[:-200])
    world.save(world.saved.sealed())


def flip(world: World) -> None:
    """One bit, before the dump was sealed: a queue has another name."""
    content = world.saved.dump.read_bytes()
    world.saved.dump.write_bytes(content.replace(b'"old"', b'"ole"'))
    world.save(world.saved.sealed())


def flip_sealed(world: World) -> None:
    """One bit, after the dump was sealed: the manifest knows."""
    manifest = world.saved.sealed()
    content = world.saved.dump.read_bytes()
    world.saved.dump.write_bytes(content.replace(b'"old"', b'"ole"'))
    world.save(manifest)


def lose_queue(world: World) -> None:
    rewrite(world, queues=SAVED["queues"][1:], bindings=[])


def lose_user(world: World) -> None:
    rewrite(world, users=SAVED["users"][:1])


def change_password(world: World) -> None:
    rewrite(world, users=[SAVED["users"][0] | {"password_hash": password_hash("app-a", "other")}, SAVED["users"][1]])  # fmt: skip


def change_type(world: World) -> None:
    """As many queues, one of which would lose its messages with a member."""
    first, *others = SAVED["queues"]
    rewrite(world, queues=[first | {"arguments": {"x-queue-type": "classic"}}, *others])


def miscount(world: World) -> None:
    tallies = (replace(each, count=each.count + (each.name == "queues")) for each in world.saved.manifest.verified.tallies)  # fmt: skip
    world.save(world.saved.sealed(tallies=tuple(tallies)))


def lose_sort(world: World) -> None:
    world.save(world.saved.sealed(tallies=(*world.saved.manifest.verified.tallies, Tally("shovels", 4))))  # fmt: skip


def save_nothing(world: World) -> None:
    world.save(world.saved.sealed(tallies=(), indexes="", users=0))


def save_no_dump(world: World) -> None:
    world.save(world.saved.sealed(), names=("manifest.json",))


def ignore(world: World) -> None:
    """The server boots without the definitions."""
    world.save(world.saved.sealed())
    world.script = SCRIPT.replace("load_definitions = ", "# ")
    assert world.script != SCRIPT


@pytest.mark.parametrize(
    ("spoil", "reason", "says"),
    [
        (cut, Reason.NOT_LOADED, "the server ended instead of being booted with the definitions"),
        (flip, Reason.DIFFERS, "indexes: expected those that were saved, found others"),
        (flip_sealed, Reason.DAMAGED, "file definitions.json: expected the content that was saved, found other content"),
        (lose_queue, Reason.DIFFERS, "bindings: expected 1 that last, found 0; queues: expected 6 that last, found 5"),
        (lose_user, Reason.DIFFERS, "users: expected 2, found 1"),
        (change_password, Reason.DIFFERS, "indexes: expected those that were saved, found others"),
        (change_type, Reason.DIFFERS, "indexes: expected those that were saved, found others"),
        (miscount, Reason.DIFFERS, "queues: expected 7 that last, found 6"),
        (lose_sort, Reason.DIFFERS, "shovels: expected 4 that last, found 0"),
        (save_nothing, Reason.DIFFERS, "manifest: expected something that can be counted, found an empty snapshot"),
        (save_no_dump, Reason.DAMAGED, "file definitions.json: expected"),
        (ignore, Reason.DIFFERS, "bindings: expected 1 that last, found 0; exchanges: expected 1"),
        (lambda world: None, Reason.NO_SNAPSHOT, "no complete snapshot of cache"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_what_is_not_whole_fails(
    world: World, spoil: Callable[[World], None], reason: Reason, says: str
):
    spoil(world)

    failed(world.drill(), reason, says)


@dataclass
class Instance:
    """A new RabbitMQ beside the live one: its management API, and how its own commands reach it."""

    port: int
    environ: dict[str, str]

    def definitions(self) -> Document:
        return dict(httpx.get(f"http://127.0.0.1:{self.port}/api/definitions", auth=("admin", ADMIN), timeout=60).json())  # fmt: skip


@contextmanager
def new_instance(home: Path, folder: Path) -> Iterator[Instance]:
    """As one is provided: it has users of its own, an administrator among them, and a virtual host."""
    home.mkdir()
    distribution, management = programs.free_port(), programs.free_port()
    users = [
        {"name": "app-a", "password_hash": password_hash("app-a", "new"), "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []},
        {"name": "admin", "password_hash": password_hash("admin", ADMIN), "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["administrator"]},
    ]  # fmt: skip
    permissions = [SAVED["permissions"][0] | {"user": name} for name in ("app-a", "admin")]
    own = {"vhosts": [{"name": "/"}], "users": users, "permissions": permissions}
    (home / "own.json").write_text(json.dumps(own))
    (home / "plugins").write_text("[rabbitmq_management].\n")
    (home / "new.conf").write_text(
        f"listeners.tcp = none\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n"
        f"default_queue_type = quorum\ncluster_name = new\nload_definitions = {home}/own.json\nlog.console.level = warning\n"
    )
    place = {
        "HOME": str(home), "RABBITMQ_NODENAME": f"new-{distribution}@localhost", "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_CONFIG_FILE": f"{home}/new.conf", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
        "RABBITMQ_MNESIA_BASE": f"{home}/mnesia", "RABBITMQ_LOG_BASE": f"{home}/log", "RABBITMQ_LOGS": "-", "RABBITMQ_PID_FILE": f"{home}/pid",
        "ERL_EPMD_ADDRESS": "127.0.0.1", "PATH": f"{folder}:/usr/bin:/bin",
    }  # fmt: skip
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen([folder / "rabbitmq-server"], env=place, stdout=log, stderr=log)
    found = Instance(management, place)
    try:
        until(lambda: answers("127.0.0.1", management))
        yield found
    finally:
        server.kill()
        server.wait()


def test_a_new_instance_gets_what_it_has_not_and_keeps_what_it_has(world: World):
    """Refused first, while somebody has declared a queue there."""
    snapshot = world.save(world.saved.sealed())
    with new_instance(world.home / "new", world.programs) as instance:
        api = f"http://127.0.0.1:{instance.port}/api"
        into = f"127.0.0.1:{instance.port}"
        httpx.put(f"{api}/queues/%2F/live", auth=("admin", ADMIN), json={}, timeout=60)
        refused = world.restore(into, "--yes")
        httpx.delete(f"{api}/queues/%2F/live", auth=("admin", ADMIN), timeout=60)
        asked = world.restore(into, answer="n\n")
        between = instance.definitions()
        done = world.restore(into, answer="y\n")
        found = instance.definitions()

        assert (refused.returncode, "holds data: only an empty instance is filled" in refused.stderr) == (1, True)  # fmt: skip
        assert (asked.returncode, f"into  {into}, which holds nothing" in asked.stderr) == (130, True)  # fmt: skip
        assert between["queues"] == []
        assert done.returncode == 0, done.stderr
        assert f"{into} holds snapshot {snapshot[:8]}: bindings 1" in done.stdout
        assert {row["name"] for row in found["queues"]} == {row["name"] for row in SAVED["queues"]}
        assert {row["name"]: row["arguments"]["x-queue-type"] for row in found["queues"]}["old"] == "classic"  # fmt: skip
        assert {row["name"] for row in found["vhosts"]} == {"/", "others"}
        values = {row["name"]: row["value"] for row in found["global_parameters"]}
        assert (values["cluster_name"], values["mqtt_port_to_vhost_mapping"]) == ("new", {"1883": "/"})  # fmt: skip
        assert "readiness-leaving" not in values
        assert {(row["user"], row["vhost"]) for row in found["permissions"]} >= {("app-a", "/"), ("app-a", "others")}  # fmt: skip
        hashes = {row["name"]: row["password_hash"] for row in found["users"]}
        assert hashes == {"app-a": password_hash("app-a", "new"), "admin": password_hash("admin", ADMIN)}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [((), 1, "127.0.0.1:1 cannot be asked"), (("--into=elsewhere:http",), 2, "expected HOST or HOST:PORT")],
)  # fmt: skip
def test_mistakes_are_told(world: World, more: tuple[str, ...], code: int, says: str):
    world.save(world.saved.sealed())

    done = world.restore("127.0.0.1:1", "--yes", *more)

    assert (done.returncode, says in done.stderr) == (code, True), done.stderr


def test_every_command_of_the_page_does_what_it_says(world: World):
    """The definitions are imported into one new cluster by RabbitMQ's own command, into another by ours."""
    world.save(world.saved.sealed())
    home = world.home / "typed"
    home.mkdir()
    (home / "password").write_text(PASSWORD)
    (home / "admin").write_text(ADMIN)
    install(world.programs, home)
    page = build_runbook(Way("rabbitmq", "shop", "checkout", "cache", world.url, "backup-password"))
    script = "set -eux\n" + "\n".join(BLOCK.findall(page))
    with (
        new_instance(world.home / "by-hand", world.programs) as by_hand,
        new_instance(world.home / "by-us", world.programs) as by_us,
    ):
        environ = by_hand.environ | {"NEW": f"127.0.0.1:{by_us.port}", "RESTIC_CACHE_DIR": str(home / "cache"), "TMPDIR": str(home)}  # fmt: skip
        done = subprocess.run(["sh", "-c", script], cwd=home, env=environ, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)  # fmt: skip

        assert done.returncode == 0, done.stderr
        sums = re.findall(r"\b[0-9a-f]{64}\b", done.stdout)
        assert (len(sums), sums[:1]) == (2, sums[1:])
        assert re.findall(r"^q[0-9]\tquorum$", done.stdout, re.MULTILINE)
        assert {row["name"] for row in by_us.definitions()["queues"]} == {row["name"] for row in SAVED["queues"]}  # fmt: skip
    shutil.rmtree(home)
