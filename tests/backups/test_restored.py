"""A restored copy against its manifest: one row for everything that may be wrong with it, and what chooses a snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from readiness.backups.choice import drilled_of, wanted_of
from readiness.backups.manifest import BackupManifest, File, Sample, Source, Tally, Verified
from readiness.backups.restored import judge_files, judge_restored, sentence_of
from readiness.backups.snapshots import Snapshot

SAVED = Verified(
    "server 1", (Tally("db0", 7, 2), Tally("db3", 1)),
    (Sample("db0", "00ff", "d1"), Sample("db0", "01", "d2"), Sample("db3", "02", "d3")), "i1", 2,
)  # fmt: skip
MANIFEST = BackupManifest(
    "redis", "shop", "checkout", "cache", "run-1", "20251114T1013Z",
    Source("cache-1", "8.0.2", 1763115181, 1763115190), SAVED,
    (File("dump.rdb", 1000, "a" * 64), File("verify.json", 20, "b" * 64)),
)  # fmt: skip


def holding(**changed: object) -> Verified:
    return replace(SAVED, **changed)


@pytest.mark.parametrize(
    "found",
    [
        SAVED,
        holding(tool="server 2"),
        holding(tallies=(Tally("db0", 5), Tally("db3", 1))),
        holding(tallies=(Tally("db0", 6, 1), Tally("db3", 1))),
        holding(tallies=(*SAVED.tallies, Tally("db9", 0))),
        holding(samples=(*SAVED.samples, Sample("db0", "03", "d4"))),
    ],
    ids=[
        "equal",
        "another version",
        "what may go has gone",
        "some of it",
        "an empty one more",
        "more was read",
    ],
)
def test_what_is_as_it_was_saved_passes(found: Verified):
    assert judge_restored(MANIFEST, found) == ()


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Verified("server 1"), "db0: expected 5 that last, found 0; db3: expected 1 that last, found 0; content of db0: expected 2 equal samples, found 0; and 3 more"),
        (holding(tallies=(Tally("db0", 4), Tally("db3", 1))), "db0: expected 5 that last, found 4"),
        (holding(tallies=(Tally("db0", 7, 3), Tally("db3", 1))), "db0: expected 5 that last, found 4; db0: expected at most 2 that expire, found 3"),
        (holding(tallies=(Tally("db0", 8, 2), Tally("db3", 1))), "db0: expected 5 that last, found 6"),
        (holding(tallies=(Tally("db0", 7, 2),)), "db3: expected 1 that last, found 0"),
        (holding(tallies=(*SAVED.tallies, Tally("db4", 1))), "db4: expected 0 that last, found 1"),
        (holding(samples=SAVED.samples[1:]), "content of db0: expected 2 equal samples, found 1"),
        (holding(samples=(Sample("db0", "00ff", "d1"), Sample("db0", "01", "dX"), SAVED.samples[2])), "content of db0: expected 2 equal samples, found 1"),
        (holding(samples=(Sample("db3", "00ff", "d1"), *SAVED.samples[1:])), "content of db0: expected 2 equal samples, found 1"),
        (holding(indexes="i2"), "indexes: expected those that were saved, found others"),
        (holding(indexes=""), "indexes: expected those that were saved, found none"),
        (holding(users=1), "users: expected 2, found 1"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_saved_is_named(found: Verified, says: str):
    assert sentence_of(judge_restored(MANIFEST, found)) == says


@pytest.mark.parametrize(
    ("kind", "saved", "says"),
    [
        ("redis", Verified("s"), "manifest: expected something that can be counted, found an empty snapshot"),
        ("redis", Verified("s", (Tally("db0", 0),)), "manifest: expected something that can be counted, found an empty snapshot"),
        ("redis", Verified("s", (Tally("db0", 9, 8),)), "manifest: expected samples of content, found none"),
        ("mongodb", Verified("s", (Tally("shop.orders", 9),)), "manifest: expected samples of content, found none"),
        ("redis", Verified("s", (Tally("db0", 9, 9),)), ""),
        ("rabbitmq", Verified("s", (Tally("queues", 9),)), ""),
    ],
)  # fmt: skip
def test_a_manifest_with_nothing_to_compare_proves_nothing(kind: str, saved: Verified, says: str):
    manifest = replace(MANIFEST, kind=kind, verified=saved)

    assert sentence_of(judge_restored(manifest, saved)) == says


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ((*MANIFEST.files, File("manifest.json", 9, "c")), ""),
        ((), "file dump.rdb: expected 1000 bytes, found no such file; file verify.json: expected 20 bytes, found no such file"),
        ((File("dump.rdb", 999, "a" * 64), MANIFEST.files[1]), "file dump.rdb: expected 1000 bytes, found 999 bytes"),
        ((File("dump.rdb", 1000, "0" * 64), MANIFEST.files[1]), "file dump.rdb: expected the content that was saved, found other content"),
    ],
)  # fmt: skip
def test_files_are_held_against_the_manifest(found: tuple[File, ...], says: str):
    assert sentence_of(judge_files(MANIFEST, found)) == says


def day(number: int) -> float:
    return datetime(2026, 11, number, 4, tzinfo=UTC).timestamp()


def taken(number: int, **given: bool) -> Snapshot:
    fields = {"complete": True, **given}
    return Snapshot(
        f"id{number}", int(day(number)), backup_set=f"202611{number:02}T0200Z", **fields
    )


@pytest.mark.parametrize(
    ("snapshots", "expected"),
    [
        ((), None),
        ((taken(1, complete=False),), None),
        ((taken(1), taken(3), taken(2)), "id3"),
        ((taken(1), taken(3, complete=False), taken(2)), "id2"),
        ((taken(1), taken(3, suspicious=True), taken(2)), "id2"),
        ((taken(3, suspicious=True), taken(2, suspicious=True)), "id3"),
    ],
)
def test_a_drill_takes_the_newest_sound_one(snapshots: tuple[Snapshot, ...], expected: str | None):
    found = drilled_of(snapshots, "run-1", day(20))

    assert (found and found.id) == expected


def test_once_a_month_a_drill_takes_any_older_one():
    snapshots = tuple(taken(number) for number in range(1, 7))
    found = {drilled_of(snapshots, f"run-{n}", day(7)) for n in range(100)}

    assert {each.id for each in found if each} == {"id1", "id2", "id3", "id4", "id5"}
    assert drilled_of(snapshots, "run-1", day(7)) == drilled_of(snapshots, "run-1", day(7))
    assert drilled_of(snapshots[:1], "run-1", day(7)) == snapshots[0]
    assert drilled_of(snapshots, "run-1", day(8)) == snapshots[-1]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("latest", ["id12"]),
        ("id12", ["id12"]),
        ("id1", ["id13", "id12", "id11", "id1"]),
        ("20261113T0200Z", ["id13"]),
        ("2026-11-12T12:00:00Z", ["id12"]),
        ("2026-11-12T03:00:00", ["id11"]),
        ("2026-10-01", []),
        ("yesterday", []),
    ],
)
def test_a_person_names_a_snapshot(wanted: str, expected: list[str]):
    snapshots = (taken(1), taken(11), taken(12), taken(13, suspicious=True), taken(14, complete=False))  # fmt: skip

    assert [each.id for each in wanted_of(snapshots, wanted)] == expected
