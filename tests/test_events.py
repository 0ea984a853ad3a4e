"""Event limits: duplicates count up, similar ones are told as one, floods stop."""

from __future__ import annotations

from readiness.events import BURST, COMBINED, NOTE_LIMIT, OBJECTS, EventLimits


def test_the_same_again_continues_a_series_for_a_while():
    limits = EventLimits()
    first = limits.admit("u", "Normal", "R", "note", 0)
    again = limits.admit("u", "Normal", "R", "note", 10)
    later = limits.admit("u", "Normal", "R", "note", 10_000)

    assert (first.count, again.count, later.count) == (1, 2, 1)
    assert first.name == again.name != later.name


def test_a_flood_ends_at_the_burst_and_refills_slowly():
    limits = EventLimits()
    told = [limits.admit("u", "Warning", "R", "flap", t * 0.1) for t in range(100)]

    assert sum(p is not None for p in told) == BURST
    hour = [limits.admit("u", "Warning", "R", "flap", 10 + t) for t in range(3600)]
    assert sum(p is not None for p in hour) == 12
    assert limits.admit("other", "Warning", "R", "flap", 10) is not None


def test_many_similar_notes_are_told_as_one():
    limits = EventLimits()
    told = [limits.admit("u", "Warning", "R", f"note {n}", n) for n in range(15)]

    assert [p.note.startswith(COMBINED) for p in told] == [False] * 10 + [True] * 5
    assert len({p.name for p in told[10:]}) == 1


def test_notes_are_clean_and_short():
    note = EventLimits().admit("u", "Normal", "R", "a\x1b[0m\n" + "ž" * 5000, 0).note

    assert "\x1b" not in note
    assert "\n" not in note
    assert len(note) <= NOTE_LIMIT


def test_it_remembers_a_bounded_number_of_objects():
    limits = EventLimits()
    for number in range(OBJECTS + 100):
        limits.admit(str(number), "Normal", "R", "n", 0)

    assert len(limits._objects) == OBJECTS
