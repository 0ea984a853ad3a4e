"""A repository with a dump as runs save it, and a drill beside a throw-away server: all of them real programs."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import programs
from redis import Redis

from readiness.backups.codec import dump_manifest, load_outcome
from readiness.backups.manifest import DUMPS, MANIFEST, BackupManifest, File, Sample
from readiness.backups.outcome import Outcome, Reason, Result
from readiness.backups.snapshots import host_of, tags_of

from . import throwaway

SOURCES = Path(__file__).parents[2] / "operator"
SCRIPT = (throwaway.SCRIPTS / "redis.sh").read_text()
PASSWORD = "canary-of-the-repository"
ADMIN = "canary-of-the-new-instance"
HOST = host_of("shop", "checkout", "cache")
DAY = 86400
PATIENCE = 300
"""Seconds for what ends by itself, on a machine that is busy."""


@dataclass
class Saved:
    """A dump as a run saves it: its files and what the manifest says of them."""

    home: Path
    manifest: BackupManifest

    @property
    def directory(self) -> Path:
        return self.home / "backup"

    @property
    def dump(self) -> Path:
        return self.directory / DUMPS[self.manifest.kind]

    def sealed(self, **verified: object) -> BackupManifest:
        """The manifest of the files as they are now, wrong in the way that is asked for."""
        dump = self.dump.read_bytes()
        files = (File(self.dump.name, len(dump), hashlib.sha256(dump).hexdigest()),)
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
    user: str = "admin"
    host: str = "127.0.0.1"
    url: str = ""
    secret: Mapping[str, str] = field(default_factory=dict)
    patience: int = PATIENCE

    def __post_init__(self) -> None:
        self.url = self.url or str(self.home / "repository")

    def restic(self, *arguments: str, at: Path | None = None) -> bytes:
        environ = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": self.url, **self.secret, "HOME": str(self.home), "RESTIC_CACHE_DIR": str(self.home / "cache0")}  # fmt: skip
        done = subprocess.run([programs.restic(), *arguments], env=environ, cwd=at, capture_output=True, check=True)  # fmt: skip
        return done.stdout

    def save(self, manifest: BackupManifest, *, age: float = 0, complete: bool = True, names: tuple[str, ...] = ()) -> str:  # fmt: skip
        """A snapshot as `readiness backup run` writes it, of the dump and its manifest or of what is named."""
        names = names or (self.saved.dump.name, MANIFEST)
        (self.saved.directory / "manifest.json").write_text(dump_manifest(manifest))
        size = sum((self.saved.directory / name).stat().st_size for name in names) + (not complete)
        tags = [word for tag in tags_of(manifest, size) for word in ("--tag", tag)]
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - age))
        told = self.restic("backup", "--json", "--host", HOST, "--time", at, *tags, *names, at=self.saved.directory)  # fmt: skip
        return str(json.loads(told.splitlines()[-1])["snapshot_id"])

    def command(self, *words: str) -> list[str]:
        """What is typed for this store, and opens its repository."""
        (self.home / "password").write_text(self.password)
        return [
            sys.executable, "-m", "readiness", *words, f"--kind={self.saved.manifest.kind}", "--namespace=shop", "--policy=checkout", "--service=cache",
            f"--repository={self.url}", f"--password-file={self.home / 'password'}", f"--cache={self.home / 'cache'}",
        ]  # fmt: skip

    def type(self, command: list[str], answer: str = "") -> subprocess.CompletedProcess[str]:
        environ = {"PYTHONPATH": str(SOURCES), "PATH": f"{self.programs}:/usr/bin:/bin", "TZ": "UTC", "TMPDIR": str(self.home)}  # fmt: skip
        done = subprocess.run(command, env=environ, input=answer, capture_output=True, text=True, check=False, timeout=self.patience)  # fmt: skip
        assert not [word for word in (PASSWORD, ADMIN) if word in done.stdout + done.stderr]
        return done

    def restore(self, into: str, *more: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        """By the administrator of the new instance, where it knows users."""
        (self.home / "new-password").write_text(f"{ADMIN}\n")
        login = self.user and (f"--user={self.user}", f"--user-password-file={self.home / 'new-password'}")  # fmt: skip
        done = self.type([*self.command("restore"), f"--into={into}", *login, *more], answer)
        assert not list(self.home.glob("readiness-*"))
        return done

    def start(self, run: str = "run-1") -> subprocess.Popen[str]:
        (self.home / "credentials").mkdir()
        for name, text in self.secret.items():
            (self.home / "credentials" / name).write_text(text)
        self.shared.mkdir(exist_ok=True)
        command = [
            *self.command("restore-drill"), f"--run={run}", f"--credentials={self.home / 'credentials'}",
            f"--directory={self.shared}", f"--host={self.host}", f"--port={self.port}",
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
        told, words = process.communicate(timeout=self.patience)
        assert told, words
        assert PASSWORD not in told + words
        outcome = load_outcome(told)
        assert process.returncode == (0 if outcome.result is Result.SUCCEEDED else 1)
        assert {path.name for path in self.shared.iterdir()}.isdisjoint({"files", "data"}), "destroyed"  # fmt: skip
        return outcome


def failed(told: Outcome, reason: Reason, says: str) -> None:
    assert (told.result, told.reason) == (Result.FAILED, reason), told.message
    assert says in told.message


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
