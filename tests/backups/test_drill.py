"""`readiness restore-drill` on real restic repositories and real Redis servers: it passes on what is whole and on nothing else."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import programs
import pytest
from redis import Redis

from readiness.backups.codec import dump_manifest, load_outcome
from readiness.backups.manifest import BackupManifest, File, Sample, Source, Tally, Verified
from readiness.backups.outcome import Outcome, Reason, Result
from readiness.backups.snapshots import host_of, tags_of

from . import throwaway

pytestmark = pytest.mark.slow
SOURCES = Path(__file__).parents[2] / "operator"
SCRIPT = (throwaway.SCRIPTS / "redis.sh").read_text()
PASSWORD = "canary-of-the-repository"
HOST = host_of("shop", "checkout", "cache")
DAY = 86400


@dataclass
class Saved:
    """A dump as a run saves it: its files and what the manifest says of them."""

    home: Path
    manifest: BackupManifest

    @property
    def directory(self) -> Path:
        return self.home / "backup"

    def sealed(self, **verified: object) -> BackupManifest:
        """The manifest of the files as they are now, wrong in the way that is asked for."""
        dump = (self.directory / "dump.rdb").read_bytes()
        files = (File("dump.rdb", len(dump), hashlib.sha256(dump).hexdigest()),)
        return replace(
            self.manifest, files=files, verified=replace(self.manifest.verified, **verified)
        )


@dataclass
class World:
    """A repository, and what stands beside a drill."""

    home: Path
    saved: Saved
    programs: Path
    port: int
    script: str = SCRIPT
    password: str = PASSWORD
    host: str = "127.0.0.1"
    url: str = ""
    secret: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.url = self.url or str(self.home / "repository")

    def restic(self, *arguments: str, at: Path | None = None) -> bytes:
        environ = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": self.url, **self.secret, "HOME": str(self.home), "RESTIC_CACHE_DIR": str(self.home / "cache0")}  # fmt: skip
        done = subprocess.run([programs.restic(), *arguments], env=environ, cwd=at, capture_output=True, check=True)  # fmt: skip
        return done.stdout

    def save(self, manifest: BackupManifest, *, age: float = 0, complete: bool = True, names: tuple[str, ...] = ("dump.rdb", "manifest.json")) -> str:  # fmt: skip
        """A snapshot as `readiness backup run` writes it."""
        (self.saved.directory / "manifest.json").write_text(dump_manifest(manifest))
        size = sum((self.saved.directory / name).stat().st_size for name in names) + (not complete)
        tags = [word for tag in tags_of(manifest, size) for word in ("--tag", tag)]
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - age))
        told = self.restic("backup", "--json", "--host", HOST, "--time", at, *tags, *names, at=self.saved.directory)  # fmt: skip
        return str(json.loads(told.splitlines()[-1])["snapshot_id"])

    def start(self, run: str = "run-1") -> subprocess.Popen[str]:
        (self.home / "password").write_text(self.password)
        (self.home / "credentials").mkdir()
        for name, text in self.secret.items():
            (self.home / "credentials" / name).write_text(text)
        self.shared.mkdir(exist_ok=True)
        command = [
            sys.executable, "-m", "readiness", "restore-drill", "--kind=redis", "--namespace=shop", "--policy=checkout",
            "--service=cache", f"--run={run}", f"--repository={self.url}", f"--credentials={self.home / 'credentials'}", f"--directory={self.shared}",
            f"--password-file={self.home / 'password'}", f"--cache={self.home / 'cache'}", f"--host={self.host}", f"--port={self.port}",
        ]  # fmt: skip
        environ = {"PYTHONPATH": str(SOURCES), "PATH": f"{programs.restic().parent}:/usr/bin:/bin", "TZ": "UTC"}  # fmt: skip
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    @property
    def shared(self) -> Path:
        return self.home / "restore"

    def drill(self, run: str = "run-1") -> Outcome:
        self.shared.mkdir()
        with throwaway.serving(self.script, self.shared, self.port, self.programs):
            return self.told(self.start(run))

    def told(self, process: subprocess.Popen[str]) -> Outcome:
        told, words = process.communicate(timeout=300)
        assert told, words
        assert PASSWORD not in told + words
        outcome = load_outcome(told)
        assert process.returncode == (0 if outcome.result is Result.SUCCEEDED else 1)
        assert {path.name for path in self.shared.iterdir()}.isdisjoint({"files", "data"}), "destroyed"  # fmt: skip
        return outcome


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bin")
    throwaway.install_redis(folder)
    return folder


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory, redis: Path) -> tuple[bytes, Verified]:
    """An RDB with keys of every type, binary ones, with and without an end; and what its server said of it."""
    home, port = tmp_path_factory.mktemp("dumped"), programs.free_port()
    (home / "data").mkdir()
    (home / "order-1").write_text("no\n")
    with throwaway.serving(SCRIPT, home, port, redis):
        programs.until_open(port)
        fill(Redis("127.0.0.1", port))
        with Redis("127.0.0.1", port) as client:
            client.save()
            keyspace = client.info("keyspace")
            tallies = tuple(Tally(n, held["keys"], held["expires"]) for n, held in keyspace.items())
            samples = tuple(sample_of(client, "db0", key) for key in (b"text", b"\x00\xff", b"hash", b"set", b"sorted", b"list", b"stream"))  # fmt: skip
            client.execute_command("SELECT", 3)
            samples += (sample_of(client, "db3", b"elsewhere"),)
    return (home / "data/dump.rdb").read_bytes(), Verified("redis-server", tallies, samples)


def fill(client: Redis) -> None:
    client.set("text", "x" * 3000)
    client.set(b"\x00\xff", b"\x00\x01\xfe")
    client.hset("hash", mapping={f"field{n}": n for n in range(600)})
    client.sadd("set", *range(700))
    client.zadd("sorted", {f"m{n}": n / 3 for n in range(300)})
    client.rpush("list", *range(900))
    client.xadd("stream", {"a": "1"})
    for number in range(50):
        client.set(f"key{number}", number, px=DAY * 1000 if number % 5 == 0 else None)
    client.set("soon", "gone", ex=1)
    client.execute_command("SELECT", 3)
    client.set("elsewhere", "here")
    client.execute_command("SELECT", 0)


def sample_of(client: Redis, of: str, key: bytes) -> Sample:
    return Sample(of, key.hex(), client.execute_command("DEBUG", "DIGEST-VALUE", key)[0].decode())


@pytest.fixture
def world(tmp_path: Path, redis: Path, dumped: tuple[bytes, Verified]) -> World:
    rdb, verified = dumped
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup/dump.rdb").write_bytes(rdb)
    manifest = BackupManifest(
        "redis", "shop", "checkout", "cache", "run-0", "20261121T0213Z",
        Source("cache-1", "8.0.2", 1763115181, 1763115190), verified, (),
    )  # fmt: skip
    found = World(tmp_path, Saved(tmp_path, manifest), redis, programs.free_port())
    found.restic("init")
    return found


def test_what_is_whole_passes_and_tells_how_long_it_took(world: World):
    snapshot = world.save(world.saved.sealed())
    time.sleep(1.2)  # a key that had an end is gone by now, as in real life

    told = world.drill()

    assert (told.result, told.reason) == (Result.SUCCEEDED, Reason.RESTORED), told.message
    assert told.snapshot == snapshot
    assert told.size == len((world.saved.directory / "dump.rdb").read_bytes())
    assert 0 < told.rto <= told.seconds
    assert told.mismatches == 0


def cut(world: World) -> None:
    """A dump tool was killed, and nobody asked for its exit code."""
    path = world.saved.directory / "dump.rdb"
    path.write_bytes(path.read_bytes()[:-200])
    world.save(world.saved.sealed())


def flip(world: World) -> None:
    """One bit, before the dump was sealed: only the server's own checksum knows."""
    path = world.saved.directory / "dump.rdb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    world.save(world.saved.sealed())


def flip_sealed(world: World) -> None:
    """One bit, after the dump was sealed: the manifest knows."""
    manifest = world.saved.sealed()
    path = world.saved.directory / "dump.rdb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    world.save(manifest)


def flip_stored(world: World) -> None:
    """One bit in the repository."""
    world.save(world.saved.sealed())
    pack = max((p for p in (world.home / "repository/data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)  # fmt: skip
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)


def lose_keys(world: World) -> None:
    tallies = world.saved.manifest.verified.tallies
    world.save(world.saved.sealed(tallies=(replace(tallies[0], count=tallies[0].count + 1), *tallies[1:])))  # fmt: skip


def lose_database(world: World) -> None:
    world.save(world.saved.sealed(tallies=(*world.saved.manifest.verified.tallies, Tally("db7", 4))))  # fmt: skip


def change_content(world: World) -> None:
    """As many keys, other values."""
    first, *others = world.saved.manifest.verified.samples
    world.save(world.saved.sealed(samples=(replace(first, digest="0" * 40), *others)))


def ignore(world: World) -> None:
    """The server runs with append-only mode, and begins empty without a word."""
    world.save(world.saved.sealed())
    world.script = SCRIPT.replace('--appendonly "$(cat "order-$number")"', "--appendonly yes")
    assert world.script != SCRIPT


def save_nothing(world: World) -> None:
    world.save(world.saved.sealed(tallies=(), samples=()))


def save_no_dump(world: World) -> None:
    world.save(world.saved.sealed(), names=("manifest.json",))


def save_no_manifest(world: World) -> None:
    world.save(world.saved.sealed(), names=("dump.rdb",))


def save_half(world: World) -> None:
    world.save(world.saved.sealed(), complete=False)


def save_of_another(world: World) -> None:
    world.save(replace(world.saved.sealed(), service="sessions"))


def mistype(world: World) -> None:
    world.save(world.saved.sealed())
    world.password = "another"


def go_elsewhere(world: World) -> None:
    world.save(world.saved.sealed())
    world.host = "10.77.0.1"


def go_by_name(world: World) -> None:
    world.save(world.saved.sealed())
    world.host = "localhost"


@pytest.mark.parametrize(
    ("spoil", "reason", "says"),
    [
        (cut, Reason.NOT_LOADED, "the server ended instead of being ready with the dump loaded"),
        (flip, Reason.NOT_LOADED, "the server ended instead of being ready with the dump loaded"),
        (flip_sealed, Reason.DAMAGED, "file dump.rdb: expected the content that was saved, found other content"),
        (flip_stored, Reason.DAMAGED, "cannot be restored: the repository is damaged"),
        (lose_keys, Reason.DIFFERS, "db0: expected 48 that last, found 47"),
        (lose_database, Reason.DIFFERS, "db7: expected 4 that last, found 0"),
        (change_content, Reason.DIFFERS, "content of db0: expected 7 equal samples, found 6"),
        (ignore, Reason.NOT_LOADED, "the server ignores the dump then"),
        (save_nothing, Reason.DIFFERS, "manifest: expected something that can be counted, found an empty snapshot"),
        (save_no_dump, Reason.DAMAGED, "file dump.rdb: expected"),
        (save_no_manifest, Reason.DAMAGED, "has no manifest.json"),
        (save_half, Reason.NO_SNAPSHOT, "no complete snapshot of cache"),
        (lambda world: None, Reason.NO_SNAPSHOT, "no complete snapshot of cache"),
        (save_of_another, Reason.DAMAGED, "manifest: expected redis shop checkout cache, found redis shop checkout sessions"),
        (mistype, Reason.WRONG_PASSWORD, "passwordSecretRef"),
        (go_elsewhere, Reason.NOT_THROW_AWAY, "10.77.0.1 is not"),
        (go_by_name, Reason.NOT_THROW_AWAY, "localhost is not"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_what_is_not_whole_fails(
    world: World, spoil: Callable[[World], None], reason: Reason, says: str
):
    spoil(world)

    told = world.drill()

    assert (told.result, told.reason) == (Result.FAILED, reason), told.message
    assert says in told.message


def test_a_server_that_runs_already_is_not_touched(world: World):
    world.save(world.saved.sealed())
    world.shared.mkdir()
    (world.shared / "order-1").write_text("no\n")
    (world.shared / "data").mkdir()
    with throwaway.serving(SCRIPT, world.shared, world.port, world.programs):
        programs.until_open(world.port)
        client = Redis("127.0.0.1", world.port)
        client.set("live", "data")
        (world.shared / "data").rename(world.shared / "elsewhere")
        told = world.told(world.start())

        assert told.reason is Reason.NOT_THROW_AWAY
        assert client.get("live") == b"data"


def test_the_newest_complete_snapshot_is_taken(world: World):
    good = world.save(world.saved.sealed(), age=3600)
    world.save(world.saved.sealed(tallies=()), age=7200)
    world.save(world.saved.sealed(), complete=False)
    before = time.gmtime().tm_mday

    told = world.drill()

    if before > 7:  # in the first week of a month an older one is taken
        assert (told.reason, told.snapshot) == (Reason.RESTORED, good)


def test_a_drill_that_is_stopped_says_so_and_leaves_nothing(world: World):
    world.save(world.saved.sealed())
    world.shared.mkdir()
    with throwaway.serving("sleep 600", world.shared, world.port, world.programs):
        process = world.start()
        while not (world.shared / "order-1").exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        told = world.told(process)

    assert (told.result, told.reason) == (Result.FAILED, Reason.INTERRUPTED)


def test_a_repository_that_may_only_be_read_is_drilled_without_a_lock(world: World):
    (world.home / "s3/backups").mkdir(parents=True)
    port = programs.free_port()
    server = programs.S3(world.home / "s3", port)
    world.url, world.secret = f"s3:{server.endpoint}/backups/cache", programs.KEYS
    with server.serving():
        world.restic("init")
        world.save(world.saved.sealed())
    locks = [path.name for path in (world.home / "s3").rglob("locks/*")]
    with programs.S3(world.home / "s3", port, ("--readonly",)).serving():
        told = world.drill()

    assert told.reason is Reason.RESTORED, told.message
    assert [path.name for path in (world.home / "s3").rglob("locks/*")] == locks
