"""A RabbitMQ that boots with definitions and counts what it holds then; and one that is given them by its management API.

Only what a new instance has not is sent to it: an import would write its own users over, the operator's among them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from readiness.backups.codec import load_verified
from readiness.backups.definitions import SORTS, addable_of, held_of, missing_of
from readiness.backups.manifest import DUMPS, BackupManifest, Verified
from readiness.backups.restored import Mismatch
from readiness.dataservices.rabbitmq.reading import LEAVING
from readiness.dataservices.restore import COUNT
from readiness.engines.restores.place import Driver, LoadError, Place, Target
from readiness.engines.stores.trust import trusting

TIMEOUT: Final = httpx.Timeout(600.0, connect=5.0)
"""An import of thousands of queues is one request."""
FOUND: Final = "found.json"


def load(place: Place) -> None:
    """Boots the server with the definitions."""
    place.served.mkdir(mode=0o770)
    name = DUMPS["rabbitmq"]
    (place.files / name).rename(place.served / name)
    (place.served / "count.erl").write_text(COUNT)
    (place.served / "sorts.json").write_text(json.dumps(SORTS))
    place.order(1, "load")
    place.wait(1, "booted with the definitions", lambda: place.loaded(1))


def count(place: Place, manifest: BackupManifest) -> Verified:
    """What the server has counted."""
    try:
        return load_verified((place.served / FOUND).read_bytes())
    except (OSError, ValueError):
        raise LoadError("the server does not tell what it holds") from None


def held(target: Target) -> int:
    """Everything that somebody has declared."""
    with _client(target) as client:
        return held_of(_export(client, target))


def copy(place: Place, target: Target, manifest: BackupManifest) -> tuple[Mismatch, ...]:
    """What the target has not yet; then it must have all of it. The mark of members that leave is the old cluster's own."""
    saved = dict(json.loads((place.served / DUMPS["rabbitmq"]).read_bytes()))
    marks = saved.get("global_parameters") or ()
    saved["global_parameters"] = [each for each in marks if each.get("name") != LEAVING]
    with _client(target) as client:
        given = addable_of(saved, _export(client, target))
        _ask(client, target, "POST", given)
        return tuple(missing_of(given, _export(client, target)))


def _client(target: Target) -> httpx.Client:
    scheme, verify = ("https", trusting(_authority(target))) if target.authority else ("http", True)
    return httpx.Client(
        base_url=f"{scheme}://{target}", verify=verify, auth=(target.user, target.password),
        timeout=TIMEOUT, trust_env=False,
    )  # fmt: skip


def _authority(target: Target) -> str:
    try:
        return Path(target.authority).read_text(encoding="ascii")
    except OSError:
        raise LoadError(f"{target.authority} cannot be read") from None


def _export(client: httpx.Client, target: Target) -> Mapping[str, Any]:
    try:
        found = _ask(client, target, "GET").json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise LoadError(f"{target} is no management API of a RabbitMQ")
    return found


def _ask(
    client: httpx.Client, target: Target, method: str, body: Mapping[str, Any] | None = None
) -> httpx.Response:
    try:
        answer = client.request(method, "/api/definitions", json=body)
    except httpx.HTTPError as error:
        raise LoadError(f"{target} cannot be asked: {type(error).__name__}") from None
    if not answer.is_success:
        words = f"{target} answers {method} of definitions with status {answer.status_code}"
        raise LoadError(words)
    return answer


DRIVER: Final = Driver(load, count, held=held, copy=copy)
