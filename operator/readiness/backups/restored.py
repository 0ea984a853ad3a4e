"""A restored copy, held against the manifest that was saved with it.

Both sides were counted by the vendor's own server. Nothing to compare is a deviation, too: a drill of an empty snapshot
proves nothing. Texts name databases, collections and sorts, never a key or a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from readiness.backups.manifest import BackupManifest, File, Kind, Sample, Tally, Verified

SAMPLED: Final[frozenset[Kind]] = frozenset({"redis", "mongodb", "volume"})
"""Kinds whose content is sampled; definitions of a RabbitMQ are counted only."""
SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not as it was saved."""

    where: str
    expected: str
    observed: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.observed}"


def judge_files(manifest: BackupManifest, found: Iterable[File]) -> tuple[Mismatch, ...]:
    """What a restored directory lacks or has otherwise. Files that the manifest does not name are ignored."""
    there = {each.name: each for each in found}
    return tuple(
        deviation for each in manifest.files for deviation in _file(each, there.get(each.name))
    )


def judge_restored(manifest: BackupManifest, found: Verified) -> tuple[Mismatch, ...]:
    """Every deviation of what a server holds from what the manifest says it held."""
    saved = manifest.verified
    deviations = (*_content(manifest), *_tallies(saved.tallies, found.tallies))
    deviations += (*_samples(saved.samples, found.samples), *_rest(saved, found))
    return deviations


def sentence_of(deviations: tuple[Mismatch, ...]) -> str:
    """The first few of them, and how many more there are."""
    more = len(deviations) - SHOWN
    shown = "; ".join(map(str, deviations[:SHOWN]))
    return f"{shown}; and {more} more" if more > 0 else shown


def _file(expected: File, found: File | None) -> Iterator[Mismatch]:
    if found is None:
        yield Mismatch(f"file {expected.name}", f"{expected.size} bytes", "no such file")
    elif found.size != expected.size:
        yield Mismatch(f"file {expected.name}", f"{expected.size} bytes", f"{found.size} bytes")
    elif found.sha256 != expected.sha256:
        yield Mismatch(f"file {expected.name}", "the content that was saved", "other content")


def _content(manifest: BackupManifest) -> Iterator[Mismatch]:
    tallies = manifest.verified.tallies
    if not any(each.count for each in tallies):
        yield Mismatch("manifest", "something that can be counted", "an empty snapshot")
    lasting = any(each.lasting for each in tallies)
    if lasting and manifest.kind in SAMPLED and not manifest.verified.samples:
        yield Mismatch("manifest", "samples of content", "none")


def _tallies(saved: Iterable[Tally], found: Iterable[Tally]) -> Iterator[Mismatch]:
    expected, there = _counts(saved), _counts(found)
    for name in sorted(expected.keys() | there.keys()):
        was, now = (side.get(name, Tally(name, 0)) for side in (expected, there))
        if was.lasting != now.lasting:
            yield Mismatch(name, f"{was.lasting} that last", f"{now.lasting}")
        if now.volatile > was.volatile:
            yield Mismatch(name, f"at most {was.volatile} that expire", f"{now.volatile}")


def _samples(saved: Iterable[Sample], found: Iterable[Sample]) -> Iterator[Mismatch]:
    there = {(each.of, each.key): each.digest for each in found}
    taken: dict[str, list[bool]] = {}
    for each in saved:
        taken.setdefault(each.of, []).append(there.get((each.of, each.key)) == each.digest)
    for name, equal in sorted(taken.items()):
        if not all(equal):
            yield Mismatch(f"content of {name}", f"{len(equal)} equal samples", f"{sum(equal)}")


def _rest(saved: Verified, found: Verified) -> Iterator[Mismatch]:
    if saved.indexes != found.indexes:
        yield Mismatch("indexes", "those that were saved", "others" if found.indexes else "none")
    if saved.users != found.users:
        yield Mismatch("users", f"{saved.users}", f"{found.users}")


def _counts(tallies: Iterable[Tally]) -> Mapping[str, Tally]:
    return {each.name: each for each in tallies}
