"""A MongoDB that loads an archive: the vendor's own tools load and look, as they did when the dump was verified.

A real restore copies from the throw-away server, which has replayed the oplog already: whoever fills a new instance so needs
the roles `restore` and `readAnyDatabase` there, and no right to replay. A password is in the environment of a shell, or in a pipe, never among arguments.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from readiness.backups.codec import load_verified
from readiness.backups.manifest import DUMPS, BackupManifest, Sample, Verified
from readiness.backups.restored import Mismatch, judge_restored
from readiness.dataservices.restore import LOOK
from readiness.engines.restores.place import SAY_EVERY, Driver, LoadError, Place, Target

FOUND: Final = "found.json"
SCRIPT: Final = "look.js"
WANTED: Final = "wanted.json"


def load(place: Place) -> None:
    """Loads the dump, and replays what was written while it was taken."""
    place.served.mkdir(mode=0o770)
    name = DUMPS["mongodb"]
    (place.files / name).rename(place.served / name)
    place.order(1, "load")
    place.wait(1, "ready with the dump loaded", lambda: place.loaded(1))


def count(place: Place, manifest: BackupManifest) -> Verified:
    """Documents of every collection, and the content of those that the manifest has."""
    _prepare(place.served, manifest.verified.samples)
    place.order(2, "look")
    place.wait(1, "asked what it holds", lambda: place.loaded(2))
    return _understood((place.directory / FOUND).read_bytes(), "the server")


def held(target: Target) -> int:
    """Documents of all databases."""
    return sum(each.count for each in _look(_uri(target), str(target), ()).tallies)


def copy(place: Place, target: Target, manifest: BackupManifest) -> tuple[Mismatch, ...]:
    """Everything, users that the target lacks among it. Then both sides are looked at in one way."""
    here = f"mongodb://{place.host}:{place.port}/?directConnection=true"
    samples = manifest.verified.samples
    expected = _look(here, "the throw-away server", samples)
    _pour(place, here, target)
    found = _look(_uri(target), str(target), samples)
    return judge_restored(replace(manifest, verified=expected), found)


def _prepare(directory: Path, samples: Sequence[Sample]) -> None:
    (directory / SCRIPT).write_text(LOOK)
    (directory / WANTED).write_text(json.dumps([asdict(each) for each in samples]))


def _understood(text: bytes, whose: str) -> Verified:
    try:
        return load_verified(text)
    except ValueError:
        raise LoadError(f"{whose} does not tell what it holds") from None


def _uri(target: Target) -> str:
    """By which its primary is found, whichever member was named."""
    options = {"directConnection": "false", "serverSelectionTimeoutMS": "10000"}
    if target.authority:
        options |= {"tls": "true", "tlsCAFile": target.authority}
    login = ""
    if target.user:
        options["authSource"] = "admin"
        login = f"{quote(target.user, safe='')}:{quote(target.password, safe='')}@"
    return f"mongodb://{login}{target}/?{urlencode(options)}"


def _look(uri: str, whose: str, samples: Sequence[Sample]) -> Verified:
    """What lives there: its documents may come to their end meanwhile."""
    with tempfile.TemporaryDirectory(prefix="readiness-look-") as name:
        _prepare(Path(name), samples)
        environ = {**os.environ, "HOME": name, "STORE": uri, "LIVE": "1", "WANTED": f"{name}/{WANTED}"}  # fmt: skip
        words = ("mongosh", "--quiet", "--norc", "--nodb", "--file", f"{name}/{SCRIPT}")
        try:
            done = subprocess.run(words, env=environ, capture_output=True, check=False)
        except FileNotFoundError:
            raise LoadError("there is no mongosh on this machine") from None
    if done.returncode:
        raise LoadError(f"{whose} cannot be asked")
    return _understood(done.stdout, whose)


def _pour(place: Place, source: str, target: Target) -> None:
    """One tool writes into the other; both must end well."""
    said, (reads, writes) = place.rim.clock(), os.pipe()
    os.write(writes, f"uri: {json.dumps(_uri(target))}\n".encode())
    os.close(writes)
    dump = ("mongodump", f"--uri={source}", "--archive", "--quiet")
    fill = ("mongorestore", f"--config=/dev/fd/{reads}", "--archive", "--quiet")
    with (
        subprocess.Popen(dump, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as gives,
        subprocess.Popen(fill, stdin=gives.stdout, stderr=subprocess.DEVNULL, pass_fds=(reads,)) as takes,
    ):  # fmt: skip
        os.close(reads)
        if gives.stdout:
            gives.stdout.close()
        while takes.poll() is None:
            place.rim.pause(1.0)
            if place.rim.clock() - said >= SAY_EVERY:
                said = place.rim.clock()
                place.rim.say(f"copying into {target}")
    if gives.returncode or takes.returncode:
        raise LoadError(f"copying into {target} ended with {takes.returncode or gives.returncode}")


DRIVER: Final = Driver(load, count, held=held, copy=copy)
