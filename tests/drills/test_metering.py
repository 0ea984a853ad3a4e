"""What samples say: shares of time, starving at most, memory without what did not move."""

from __future__ import annotations

import pytest

from readiness.drills.metering import (
    dump_obstacle,
    dump_sample,
    read_line,
    starved_of,
    thinned,
    throttled_of,
    waited_of,
)
from readiness.timeline import NEVER, Sample

MI = 1024 * 1024


def test_a_line_is_read_as_it_was_written() -> None:
    sample = Sample(1_000_002.5, 5, 6, 0.5, 0.25, 0)

    assert read_line(dump_sample(sample), 1_000_000.0) == Sample(2.5, 5, 6, 0.5, 0.25, 0)
    assert read_line(dump_obstacle("not permitted"), 0.0) == "not permitted"


@pytest.mark.parametrize(
    "line", ["", "Traceback", "[]", "null", '{"sample": 3}', '{"sample": {"at": 1, "b": 2}}', '"unmeasured"']
)  # fmt: skip
def test_any_other_line_is_none(line: str) -> None:
    assert read_line(line, 0.0) is None


@pytest.mark.parametrize(
    ("since", "expected"),
    [(0.0, 0.25), (2.0, 0.0), (3.5, NEVER), (9.0, NEVER)],
    ids=["from the start", "since it was Ready", "one sample", "none"],
)
def test_throttling_is_a_share_of_the_time_that_counts(since: float, expected: float) -> None:
    told = [Sample(0.0, held=1.0), Sample(1.0), Sample(2.0, held=2.0), Sample(3.0, held=2.0), Sample(4.0, held=2.0)]  # fmt: skip

    assert throttled_of(told, since) == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([Sample(1.0, waited=0.5), Sample(4.0, waited=2.0)], 2.0),
        ([Sample(1.0, waited=0.5)], 3.5),
        ([Sample(1.0)], NEVER),
        ([], NEVER),
    ],
    ids=["to the end", "what nobody saw counts", "not told", "no sample"],
)
def test_starving_is_told_at_most(samples: list[Sample], expected: float) -> None:
    assert starved_of(samples, 4.0) == expected


@pytest.mark.parametrize(
    ("since", "expected"), [(1.5, 1.5), (0.5, NEVER), (9.0, 0.0), (NEVER, NEVER)]
)
def test_waiting_is_told_from_a_time_on(since: float, expected: float) -> None:
    told = [Sample(1.0, waited=0.5), Sample(2.0), Sample(4.0, waited=2.0)]

    assert waited_of(told, since) == expected


def test_what_did_not_move_is_left_out() -> None:
    told = [Sample(t, memory=m * MI) for t, m in enumerate((10, 10, 10, 80, 80, 11, 11, 11))]

    assert [s.at for s in thinned(told)] == [0, 3, 5, 7]
    assert thinned([]) == ()
    assert thinned(told[:1]) == (told[0],)
