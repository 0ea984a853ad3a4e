"""`readiness backup run` on real repositories: a directory and an S3 server; killed, locked out, refused."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import programs
import pytest
import trustme

from readiness.backups.codec import load_manifest, load_outcome
from readiness.backups.outcome import Outcome, Reason, Result

pytestmark = pytest.mark.slow
SOURCES = Path(__file__).parents[2] / "operator"
RUN = "checkout-cache-1a2b-backup-29385253"
PASSWORD = "canary-of-the-repository"


@dataclass
class Place:
    """A directory with a dump, and the repository it goes to."""

    home: Path
    url: str
    secret: dict[str, str]

    def write(self, content: bytes = b"REDIS" * 40_000, began: float | None = None) -> None:
        """A dump as the containers before leave it. restic never runs here before a dump was begun."""
        at = int(time.time() if began is None else began)
        dump = self.home / "backup"
        dump.mkdir(exist_ok=True)
        (dump / "dump.rdb").write_bytes(content)
        (dump / "source.json").write_text(json.dumps({"member": "cache-1", "server": "8.0.2", "began": at, "ended": at}))  # fmt: skip
        (dump / "verify.json").write_text(json.dumps({"tool": "redis-server 8.0.2", "tallies": [{"name": "db0", "count": 5}]}))  # fmt: skip

    def command(self, run: str = RUN) -> list[str]:
        for name, text in self.secret.items():
            (self.home / "credentials").mkdir(exist_ok=True)
            (self.home / "credentials" / name).write_text(text)
        (self.home / "password").write_text(self.secret.get("password", PASSWORD))
        return [
            sys.executable, "-m", "readiness", "backup", "run", "--kind=redis", "--namespace=shop", "--policy=checkout",
            "--service=cache", f"--run={run}", f"--repository={self.url}", f"--directory={self.home / 'backup'}",
            f"--credentials={self.home / 'credentials'}", f"--password-file={self.home / 'password'}", f"--cache={self.home / 'cache'}",
        ]  # fmt: skip

    def start(self, run: str = RUN, path: str = "", wrap: tuple[str, ...] = ()) -> subprocess.Popen[str]:  # fmt: skip
        tools = self.home / "bin"  # restic alone: what lies beside it is of another release
        tools.mkdir(exist_ok=True)
        if not (tools / "restic").exists():
            (tools / "restic").symlink_to(programs.restic())
        environ = {"PYTHONPATH": str(SOURCES), "PATH": f"{path or tools}:/usr/bin:/bin"}
        return subprocess.Popen([*wrap, *self.command(run)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def run(self, run: str = RUN) -> Outcome:
        process = self.start(run)
        told, words = process.communicate(timeout=300)
        assert told, words
        for text in (told, words):
            assert PASSWORD not in text
            assert programs.KEYS["AWS_SECRET_ACCESS_KEY"] not in text
        outcome = load_outcome(told)
        assert process.returncode == (1 if outcome.result is Result.FAILED else 0)
        return outcome

    def restic(self, *arguments: str) -> bytes:
        """restic alone, as a runbook has it."""
        environ = {
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_REPOSITORY": self.url,
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            **self.secret,
        }
        return subprocess.run([programs.restic(), *arguments], env=environ, capture_output=True, check=True).stdout  # fmt: skip

    def snapshots(self) -> list[dict[str, object]]:
        return list(json.loads(self.restic("snapshots", "--json")))


@pytest.fixture
def directory(tmp_path: Path) -> Place:
    return Place(tmp_path, str(tmp_path / "repository"), {})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[programs.S3]:
    (tmp_path / "s3/backups").mkdir(parents=True)
    found = programs.S3(tmp_path / "s3", programs.free_port())
    with found.serving():
        yield found


@pytest.fixture
def bucket(server: programs.S3, tmp_path: Path) -> Place:
    return Place(tmp_path, f"s3:{server.endpoint}/backups/shop/checkout/cache", programs.KEYS)


@pytest.fixture(params=["directory", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    found.write()
    return found


def test_what_was_dumped_can_be_restored_with_restic_alone(place: Place):
    outcome = place.run()

    assert (outcome.result, outcome.reason) == (Result.SUCCEEDED, Reason.SAVED)
    assert outcome.snapshots
    place.restic("restore", outcome.snapshot, "--target", str(place.home / "restored"))
    for each in ("dump.rdb", "source.json", "verify.json", "manifest.json"):
        assert (place.home / "restored" / each).read_bytes() == (place.home / "backup" / each).read_bytes()  # fmt: skip
    manifest = load_manifest((place.home / "restored/manifest.json").read_bytes())
    assert manifest.size == outcome.size
    assert manifest.backup_set == outcome.backup_set == "20251114T1013Z"


def test_who_asks_a_bucket_without_a_name_is_refused_where_the_repository_is(bucket: Place):
    """What BKP-007 asks, and what a server of buckets answers."""
    bucket.write()
    bucket.run()
    server, _, path = bucket.url.removeprefix("s3:http://").partition("/")
    anybody = http.client.HTTPConnection(server, timeout=10)
    anybody.request("GET", f"/{path}/config")

    assert anybody.getresponse().status == 403


def test_a_repository_tells_what_it_holds_and_is_left_as_it_is(place: Place):
    def listed() -> Outcome:
        words = place.command("checkout-cache-1a2b-listing-29385253")
        words = [each for each in words if not each.startswith(("--kind", "--directory"))]
        words[words.index("run")] = "list"
        environ = {"PYTHONPATH": str(SOURCES), "PATH": f"{place.home / 'bin'}:/usr/bin:/bin"}
        told = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        return load_outcome(told.stdout)

    (place.home / "bin").mkdir()
    (place.home / "bin/restic").symlink_to(programs.restic())
    empty = listed()
    assert (empty.task, empty.reason, empty.snapshots) == ("listing", Reason.LISTED, ())
    saved = place.run()
    locks = place.restic("list", "locks")
    assert listed().snapshots == saved.snapshots
    assert place.restic("list", "locks") == locks


def test_a_dump_that_another_run_has_overtaken_is_left(directory: Place):
    directory.write()
    assert directory.run().reason is Reason.SAVED
    directory.write(began=time.time() - 600)
    assert directory.run(f"{RUN[:-1]}4").reason is Reason.ALREADY_SAVED
    directory.write(began=time.time() + 1)
    assert directory.run(f"{RUN[:-1]}5").reason is Reason.SAVED
    assert len(directory.snapshots()) == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("dump.rdb", None, Reason.DUMP_MISSING),
        ("dump.rdb", "", Reason.DUMP_MISSING),
        ("verify.json", None, Reason.DUMP_MISSING),
        ("verify.json", "{}", Reason.DUMP_UNVERIFIED),
        ("source.json", '{"member": "cache-1"', Reason.DUMP_UNVERIFIED),
    ],
)
def test_what_nobody_verified_is_not_saved(
    directory: Place, name: str, content: str | None, reason: Reason
):
    directory.write()
    (directory.home / "backup" / name).unlink()
    if content is not None:
        (directory.home / "backup" / name).write_text(content)

    assert directory.run().reason is reason
    assert not (directory.home / "repository").exists()


def test_a_dump_that_lost_most_of_its_content_is_kept_and_suspected(directory: Place):
    for nth, size in enumerate((3_000_000, 3_100_000, 1_000_000, 3_000_000)):
        directory.write(os.urandom(size), began=time.time() + 1)
        outcome = directory.run(f"{RUN}{nth}")
        assert outcome.reason is (Reason.SUSPICIOUS if size == 1_000_000 else Reason.SAVED)
        time.sleep(1.1)
    assert len(directory.snapshots()) == 4


CALLS = 6
"""Of restic, by a run that finds no repository: each of them derives its key anew, which is what a small dump waits for."""
KILLER = """#!/bin/bash
# The nth call of restic takes the run with it, as a lost node does; the call itself sees half a second of life.
count=$(($(cat {home}/calls 2> /dev/null || echo 0) + 1))
echo $count > {home}/calls
[ $count = {nth} ] || exec {restic} "$@"
{restic} "$@" & child=$!
sleep {life}
kill -9 $PPID $child 2> /dev/null
"""


@pytest.mark.parametrize("nth", range(1, 8))
def test_a_run_that_is_killed_leaves_a_complete_snapshot_or_none(directory: Place, nth: int):
    directory.write(os.urandom(20_000_000))
    tools = directory.home / "tools"
    tools.mkdir()
    killer = tools / "restic"
    killer.write_text(KILLER.format(home=directory.home, nth=nth, restic=programs.restic(), life=0.8))  # fmt: skip
    killer.chmod(0o755)
    process = directory.start(path=str(tools))
    process.communicate(timeout=120)
    killed = process.returncode == -signal.SIGKILL

    directory.write(os.urandom(20_000_000), began=time.time() + 1)
    outcome = directory.run(f"{RUN[:-1]}4")

    assert killed == (nth <= CALLS), "it calls restic as often as is said here"
    assert outcome.reason is Reason.SAVED
    assert len(outcome.snapshots) == len(directory.snapshots())
    assert directory.restic("list", "locks", "--no-lock", "-q") == b""
    directory.restic("check", "--read-data")


def test_a_run_that_is_told_to_stop_says_so_and_takes_its_lock_along(directory: Place):
    directory.write(os.urandom(300_000_000))
    process = directory.start()
    time.sleep(8)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=30)

    assert load_outcome(told).reason is Reason.INTERRUPTED
    assert directory.restic("list", "locks", "--no-lock", "-q") == b""


def test_a_bucket_that_answers_in_tls_is_trusted_by_its_own_authority(tmp_path: Path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    (tmp_path / "s3/backups").mkdir(parents=True)
    server = programs.S3(tmp_path / "s3", programs.free_port(), (f"--cert={tmp_path}/cert", f"--key={tmp_path}/key"))  # fmt: skip
    place = Place(tmp_path, f"s3:https://127.0.0.1:{server.port}/backups/cache", {**programs.KEYS})
    place.write()
    with server.serving():
        assert place.run().reason is Reason.UNTRUSTED
        place.secret["ca.crt"] = authority.cert_pem.bytes().decode()
        assert place.run().reason is Reason.SAVED


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "revoked"}, Reason.DENIED),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, Reason.DENIED),
        ({"AWS_ACCESS_KEY_ID": ""}, Reason.CREDENTIALS),
        ({"password": "another"}, Reason.WRONG_PASSWORD),
    ],
)
def test_credentials_that_do_not_fit_are_named_and_nothing_is_deleted(
    bucket: Place, changed: dict[str, str], reason: Reason
):
    bucket.write()
    assert bucket.run().reason is Reason.SAVED
    right = bucket.secret
    bucket.secret = {**right, **changed}
    bucket.write(began=time.time() + 1)
    assert bucket.run(f"{RUN[:-1]}4").reason is reason

    bucket.secret = right
    assert len(bucket.snapshots()) == 1


def test_a_server_that_does_not_answer_is_named(tmp_path: Path):
    place = Place(tmp_path, f"s3:http://127.0.0.1:{programs.free_port()}/backups/cache", {**programs.KEYS})  # fmt: skip
    place.write()

    assert place.run().reason is Reason.UNREACHABLE


@pytest.mark.parametrize(
    ("mount", "reason"),
    [("size=3m", Reason.FULL), ("ro", Reason.READ_ONLY)],
)
def test_a_destination_without_room_or_rights_is_named(
    directory: Place, mount: str, reason: Reason
):
    directory.write(os.urandom(9_000_000))
    repository = directory.home / "repository"
    repository.mkdir()
    script = f'mount -t tmpfs -o {mount} none {repository} && exec "$@"'
    process = directory.start(wrap=("unshare", "--mount", "sh", "-ec", script, "sh"))
    told, words = process.communicate(timeout=120)

    assert told, words
    assert load_outcome(told).reason is reason


def test_a_run_waits_for_another_of_its_kind_and_then_saves_what_is_younger(directory: Place):
    directory.write()
    assert directory.run().reason is Reason.SAVED
    directory.write(began=time.time() + 60)
    environ = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": directory.url, "HOME": str(directory.home)}  # fmt: skip
    hold = f"hostname {RUN[:-1]}2-x7k2p; sleep 20 | {programs.restic()} backup --stdin --stdin-filename x || true"  # fmt: skip
    other = subprocess.Popen(["unshare", "--uts", "sh", "-c", hold], env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while not directory.restic("list", "locks", "--no-lock", "-q"):
        time.sleep(0.2)
    process = directory.start(f"{RUN[:-1]}4")
    told, words = process.communicate(timeout=120)
    other.wait()

    assert f"waiting for {RUN[:-1]}2-x7k2p" in words
    assert load_outcome(told).reason is Reason.SAVED


def prune(place: Place, *flags: str) -> tuple[int, str]:
    """`readiness backup prune` with the same repository; what it printed."""
    options = [each for each in place.command() if each.startswith(("--namespace", "--policy", "--service", "--repository", "--credentials", "--password", "--cache"))]  # fmt: skip
    environ = {"PYTHONPATH": str(SOURCES), "PATH": f"{place.home / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-m", "readiness", "backup", "prune", *options, *flags], env=environ, capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    return done.returncode, done.stdout


def test_retention_deletes_what_its_plan_says_and_nothing_else(place: Place):
    for nth in range(5):
        place.write(os.urandom(100_000), began=time.time() + 1)
        assert place.run(f"{RUN[:-1]}{nth}").result is Result.SUCCEEDED
        time.sleep(1.1)
    newest = [row["id"] for row in place.snapshots()][-3:]

    code, shown = prune(place, "--dry-run")
    assert (code, shown.count("keep "), shown.count("delete "), len(place.snapshots())) == (0, 3, 2, 5)  # fmt: skip
    code, told = prune(place)
    outcome = load_outcome(told)
    assert (code, outcome.result, outcome.reason) == (0, Result.SUCCEEDED, Reason.PRUNED)
    assert [row["id"] for row in place.snapshots()] == newest
    assert len(outcome.snapshots) == 3
    assert (outcome.census.days, outcome.census.months, outcome.census.surplus) == (1, 1, 0)
    place.restic("check", "--read-data")
    assert load_outcome(prune(place)[1]).reason is Reason.KEPT


def test_retention_with_nothing_to_keep_deletes_nothing(directory: Place):
    directory.write()
    directory.start().communicate(timeout=120)
    code, told = prune(directory)

    assert (code, load_outcome(told).reason, len(directory.snapshots())) == (0, Reason.KEPT, 1)
