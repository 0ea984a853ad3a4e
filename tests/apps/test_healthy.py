"""The specimens without a defect, drilled again and again on processes: no drill fails one of them.

READINESS_HEALTHY says how often (20). e2e/test_healthy_drills.py does the same on pods, with the drills of an end, too.
"""

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

import jobs
import matrix
from readiness.model import Verdict

from . import test_drill_matrix as starts
from . import test_fault_matrix as faults
from . import test_job_matrix as workers
from .test_job_matrix import programs

__all__ = ["programs"]
pytestmark = pytest.mark.slow
TIMES = int(os.environ.get("READINESS_HEALTHY", "20"))
Drilled = Callable[[int], Awaitable[Mapping[str, Verdict]]]


def told(drilled: Drilled, at_once: int) -> Counter[tuple[str, str, str]]:
    """How often each control said what."""

    async def run() -> Counter[tuple[str, str, str]]:
        turn = asyncio.Semaphore(at_once)

        async def one(nth: int) -> Mapping[str, Verdict]:
            async with turn:
                return await drilled(nth)

        found = await asyncio.gather(*map(one, range(TIMES)))
        return Counter((i, v.result, v.reason) for each in found for i, v in each.items())

    counted = asyncio.run(run())
    for each, count in sorted(counted.items()):
        print(*each, f"{count} of {TIMES}")
    return counted


def assert_sound(counted: Counter[tuple[str, str, str]], controls: tuple[str, ...]) -> None:
    """Nothing fails, everything was asked, and most of it is decided."""
    assert [each for each in counted if each[1] == "Fail"] == []
    assert counted.total() == TIMES * len(controls)
    assert {id_ for id_, result, _ in counted if result == "Pass"} == {*controls}


def test_no_drill_of_a_start_an_error_or_bodies_fails() -> None:
    ports = itertools.count(25000)

    async def drilled(_: int) -> Mapping[str, Verdict]:
        return (await starts.drilled("", ports, anyway=False))[0]

    assert_sound(told(drilled, starts.AT_ONCE), matrix.DRILL_CONTROLS)


def test_no_drill_of_faults_fails() -> None:
    ports, names = itertools.count(27000), list(faults.HEALTHY)
    places = asyncio.Semaphore(faults.AT_ONCE)

    async def drilled(nth: int) -> Mapping[str, Verdict]:
        async with faults.redis() as store:
            return await faults.drilled(names[nth % len(names)], store, ports, places, anyway=False)

    assert_sound(told(drilled, faults.AT_ONCE), matrix.FAULT_CONTROLS)


def test_no_drill_of_jobs_or_of_setting_up_fails(programs: Path) -> None:
    places, names = workers.Places(programs), list(jobs.VARIANTS)

    async def drilled(nth: int) -> Mapping[str, Verdict]:
        return await workers.drilled(names[nth % len(names)], places, anyway=False)

    assert_sound(told(drilled, workers.AT_ONCE), jobs.CONTROLS)
