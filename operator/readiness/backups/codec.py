"""Manifests, outcomes and what containers leave for each other as JSON: pydantic reads and checks the dataclasses as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from pydantic import TypeAdapter

from readiness.backups.manifest import BackupManifest, Source, Verified
from readiness.backups.outcome import Outcome

LIMIT: Final = 4096
"""Of a termination message: the kubelet's."""
LISTED: Final = 60
"""Complete snapshots that are told of: 30 days and 12 months, and what is not deleted yet."""
_MANIFEST: Final = TypeAdapter(BackupManifest)
_SOURCE: Final = TypeAdapter(Source)
_VERIFIED: Final = TypeAdapter(Verified)
_OUTCOME: Final = TypeAdapter(Outcome)


def dump_manifest(manifest: BackupManifest) -> str:
    """The document that is saved beside a dump."""
    return _MANIFEST.dump_json(manifest, indent=1).decode()


def load_manifest(text: str | bytes) -> BackupManifest:
    """The manifest of a document. Raises ValueError for anything that is none."""
    return _MANIFEST.validate_json(text)


def load_source(text: str | bytes) -> Source:
    """What the dump was made of. Raises ValueError."""
    return _SOURCE.validate_json(text)


def load_verified(text: str | bytes) -> Verified:
    """What was found in the dump. Raises ValueError."""
    return _VERIFIED.validate_json(text)


def dump_verified(verified: Verified) -> str:
    """What was found in a dump, for the container that saves it."""
    return _VERIFIED.dump_json(verified).decode()


def dump_outcome(outcome: Outcome) -> str:
    """One line that fits: of the snapshots the newest, of the message the beginning."""
    told = replace(outcome, snapshots=outcome.snapshots[:LISTED], message=outcome.message[:1024])
    found = _OUTCOME.dump_python(told, mode="json", exclude_defaults=True)
    return json.dumps(found, separators=(",", ":"))


def load_outcome(text: str) -> Outcome:
    """The outcome of a termination message. Raises ValueError for anything that is none."""
    if len(text.encode()) > LIMIT:
        raise ValueError(f"{len(text.encode())} bytes are no termination message")
    return _OUTCOME.validate_json(text)
