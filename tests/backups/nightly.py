"""A Redis with a replica whose nightly Job is run by hand: its containers as they are rendered, one after the other, into a real S3 server.

The round trip of everything and the benchmark of backups stand on it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import programs
from dataservices.redis.orders import PASSWORDS, manifests_of, order_of
from dataservices.redis.rig import Pod, Rig, image_root
from dataservices.redis.test_processes import primary, ready
from redis import Redis

import image
from readiness.api.backups import Backups
from readiness.backups.codec import load_outcome
from readiness.backups.manifest import DUMPS
from readiness.backups.outcome import Outcome
from readiness.dataservices.redis import REDIS
from readiness.dataservices.redis.dump import source_of
from readiness.dataservices.saving import build_saving
from readiness.model import Manifest

from .stored import PASSWORD, SOURCES

NETWORKS = (f"127.{20 + os.getpid() % 40}.{number}" for number in count(1))
RUNS = count(29_385_253)
DIGESTS = "enable-debug-command local\n"
"""What a test adds to redis.conf: servers are compared by the digests that they make of what they hold."""
QUIET = {"appendonly": "no", "save": ""}
"""What members write for themselves is no part of a backup, and would be several times its size."""


@dataclass
class Night:
    """A primary and a replica that serve, the Job of their backups, and where that saves."""

    rig: Rig
    job: str
    server: programs.S3
    home: Path
    primary: Pod
    replica: Pod
    tools: Path = field(init=False)

    def __post_init__(self) -> None:
        self.tools = self.home / "tools"
        self.tools.mkdir()
        (self.tools / "restic").symlink_to(programs.restic())
        (self.home / "password").write_text(PASSWORD)
        (self.home / "credentials").mkdir()
        for name, text in programs.KEYS.items():
            (self.home / "credentials" / name).write_text(text)

    def connect(self, database: int = 0) -> Redis:
        """The primary, as its administrator."""
        return Redis(self.primary.address, 6379, database, username="admin", password=PASSWORDS["admin"], socket_timeout=600)  # fmt: skip

    @property
    def left(self) -> Path:
        """The volume that the containers share."""
        return self.rig.home / self.job / "backup"

    @property
    def dump(self) -> Path:
        """What `dump` leaves there."""
        return self.left / DUMPS["redis"]

    def wait_for_replica(self) -> None:
        """Until the replica has everything."""
        with self.connect() as client:
            assert client.wait(1, 60_000) == 1

    def containers(self) -> dict[str, Pod]:
        """Those that dump and verify, on an empty volume."""
        for place in ("backup", "tmp"):
            for each in (self.rig.home / self.job / place).glob("*"):
                each.unlink()
        for name in ("dump", "verify"):
            for each in (self.rig.home / f"{self.job}-{name}").glob("*"):
                each.unlink()
        return dict(self.rig.job(self.job))

    def run(self, container: Pod) -> None:
        """A container of the server's image, until it has ended well."""
        done = container.run(*container.container["command"], timeout=600)
        assert done.returncode == 0, (container.container["name"], done.stdout, done.stderr)
        assert not any(each in done.stdout + done.stderr for each in PASSWORDS.values())

    def save(self, repository: str = "") -> Outcome:
        """The container of the operator's image: its arguments, and where this machine has what a pod mounts."""
        given = {"$(JOB_NAME)": f"{self.job}-{next(RUNS)}", self.repository: repository or self.repository}  # fmt: skip
        here = (f"--directory={self.left}", f"--credentials={self.home / 'credentials'}", *self._here())  # fmt: skip
        words = [*(_replaced(each, given) for each in self._saving()["args"]), *here]
        return load_outcome(self._readiness(*words))

    def forget(self, repository: str) -> None:
        """Takes a whole repository away."""
        shutil.rmtree(self.server.root / repository.removeprefix(f"s3:{self.server.endpoint}/"))

    def restore(self, port: int, *more: str) -> str:
        """`readiness restore` of the newest snapshot into a new server; what it said in the end."""
        store = ("--kind=redis", "--namespace=shop", "--policy=checkout", "--service=cache", f"--repository={self.repository}")  # fmt: skip
        words = (*store, f"--credentials={self.home / 'credentials'}", *self._here(), f"--into=127.0.0.1:{port}", "--yes", *more)  # fmt: skip
        return self._readiness("restore", *words)

    @property
    def repository(self) -> str:
        """Where the Job saves."""
        (found,) = [each for each in self._saving()["args"] if each.startswith("--repository=")]
        return str(found.partition("=")[2])

    def restic(self, repository: str, *arguments: str, at: Path | None = None) -> bytes:
        """restic by hand."""
        environ = {
            **programs.KEYS, "RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": repository, "HOME": str(self.home),
            "RESTIC_CACHE_DIR": str(self.home / "by-hand"),
        }  # fmt: skip
        return subprocess.run([programs.restic(), *arguments], env=environ, cwd=at, capture_output=True, check=True).stdout  # fmt: skip

    def _saving(self) -> Manifest:
        (job,) = [each for each in self.rig.manifests if each["kind"] == "CronJob" and each["metadata"]["name"] == self.job]  # fmt: skip
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        return dict(container)

    def _here(self) -> tuple[str, str]:
        return f"--password-file={self.home / 'password'}", f"--cache={self.home / 'cache'}"

    def _readiness(self, *words: str) -> str:
        environ = {"PYTHONPATH": str(SOURCES), "PATH": f"{self.tools}:/usr/bin:/bin", "TZ": "UTC", "TMPDIR": str(self.home)}  # fmt: skip
        done = subprocess.run([sys.executable, "-m", "readiness", *words], env=environ, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout


def _replaced(word: str, given: Mapping[str, str]) -> str:
    for old, new in given.items():
        word = word.replace(old, new)
    return word


@contextmanager
def falling(home: Path, memory: str = "4Gi") -> Iterator[Night]:
    """A set of Debian's Redis that has formed. One of its replicas and its Sentinels then go: nobody is to take a busy primary for a dead one."""
    (home / "s3/backups").mkdir(parents=True)
    server = programs.S3(home / "s3", programs.free_port())
    destination = {"s3": {"bucket": "backups", "endpoint": server.endpoint, "secretRef": {"name": "writer"}}}  # fmt: skip
    asked = Backups.model_validate({"destination": destination, "passwordSecretRef": {"name": "p"}})
    order = replace(order_of({"resources": {"limits": {"memory": memory}}}), backups=asked)
    manifests = [*manifests_of(order), *build_saving(REDIS, order, source_of(order))]
    for each in manifests:
        if "redis.conf" in each.get("data", {}):
            each["data"]["redis.conf"] += DIGESTS
    rig = Rig(image_root(image.SUITE), home, next(NETWORKS), manifests)
    with server.serving():
        rig.start()
        try:
            ready(rig)
            rig.form()
            first = primary(rig)
            second, third = (each for each in rig.members if each is not first)
            for pod in (*rig.sentinels, third):
                pod.kill()
            night = Night(rig, order.name("backup"), server, home, first, second)
            for pod in (first, second):
                with Redis(pod.address, 6379, username="admin", password=PASSWORDS["admin"]) as client:  # fmt: skip
                    for setting, value in QUIET.items():
                        client.config_set(setting, value)
            yield night
        finally:
            rig.stop()
