"""Leader election against the real API server: one leads, hand-over, loss, and forged records."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from awaited import until

from readiness.cluster.connection import ApiError, connect
from readiness.lease import Elector, Terms

pytestmark = pytest.mark.api
TERMS = Terms("default", "test", "a", duration=2.0, renew_deadline=1.2, retry=0.25)
PATH = TERMS.path


class Candidate:
    """An elector with its tasks. `frozen` is a process that is stopped: its calls do not return."""

    def __init__(self, connection, identity: str, terms: Terms = TERMS) -> None:
        self.answering, self.calls = asyncio.Event(), 0
        self.answering.set()
        self._connection = connection
        self.elector = Elector(self._ask, replace(terms, identity=identity), time.time)
        self.task = asyncio.create_task(self._run())
        self.lost = asyncio.Event()

    async def _run(self):
        await self.elector.acquire()
        await self.elector.hold()
        self.lost.set()

    async def _ask(self, method, path, body):
        await self.answering.wait()
        self.calls += 1
        try:
            return 200, await self._connection.request(method, path, body)
        except ApiError as error:
            return error.status, {}

    async def end(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def connection(api_server):
    api_server.request("DELETE", PATH)
    found = await connect(str(api_server.kubeconfig), lambda *_: None)
    yield found
    await found.close()
    await asyncio.sleep(0.05)


async def test_exactly_one_leads_and_keeps_it(connection, api_server):
    both = [Candidate(connection, name) for name in "ab"]
    await until(lambda: any(c.elector.leads() for c in both))
    for _ in range(30):
        await asyncio.sleep(0.1)
        assert sum(c.elector.leads() for c in both) == 1
    spec = api_server.request("GET", PATH)["spec"]
    assert spec["holderIdentity"] in "ab"
    assert spec["leaseTransitions"] == 0
    for candidate in both:
        await candidate.end()


async def test_release_hands_over_at_once(connection, api_server):
    patient = replace(TERMS, duration=20.0, renew_deadline=10.0)
    first = Candidate(connection, "a", patient)
    await until(first.elector.leads)
    second = Candidate(connection, "b", patient)
    await asyncio.sleep(0.5)
    await first.end()
    await first.elector.release()
    assert not first.elector.leads()

    # a released Lease is taken at the next look; waiting for it to expire would take 20 s
    assert await until(second.elector.leads) < patient.duration / 2
    assert api_server.request("GET", PATH)["spec"]["leaseTransitions"] == 1
    await second.end()


async def test_a_leader_that_vanishes_is_replaced_after_the_duration(connection):
    first = Candidate(connection, "a")
    await until(first.elector.leads)
    second = Candidate(connection, "b")
    await asyncio.sleep(0.6)
    await first.end()

    assert 1.2 < await until(second.elector.leads) < 4.0
    await second.end()


async def test_a_stopped_leader_knows_that_it_may_not_act_before_another_may(connection):
    first = Candidate(connection, "a")
    await until(first.elector.leads)
    second = Candidate(connection, "b")
    await asyncio.sleep(0.6)
    first.answering.clear()
    while not second.elector.leads():
        assert not (first.elector.leads() and second.elector.leads())
        await asyncio.sleep(0.01)
    assert not first.elector.leads()

    first.answering.set()
    await asyncio.wait_for(first.lost.wait(), 5)
    assert not first.elector.leads()
    assert second.elector.leads()
    await first.end()
    await second.end()


async def test_a_forged_holder_deposes(connection, api_server):
    first = Candidate(connection, "a")
    await until(first.elector.leads)
    forged = {}
    while forged.get("kind") != "Lease":  # the holder renews meanwhile: 409
        lease = api_server.request("GET", PATH)
        lease["spec"]["holderIdentity"] = "mallory"
        forged = api_server.request("PUT", PATH, lease)

    await asyncio.wait_for(first.lost.wait(), 3)
    assert not first.elector.leads()
    second = Candidate(connection, "b")
    assert await until(second.elector.leads) < 4.0
    await first.end()
    await second.end()


async def test_a_deleted_lease_is_made_again_by_its_holder(connection, api_server):
    first = Candidate(connection, "a")
    await until(first.elector.leads)
    api_server.request("DELETE", PATH)
    await asyncio.sleep(1.0)

    assert first.elector.leads()
    assert api_server.request("GET", PATH)["spec"]["holderIdentity"] == "a"
    await first.end()


async def test_a_clock_that_is_wrong_changes_nothing(connection, api_server):
    first = Candidate(connection, "a")
    await until(first.elector.leads)
    second = Candidate(connection, "b")
    second.elector._wall = lambda: time.time() + 3600
    await asyncio.sleep(3)

    assert first.elector.leads()
    assert not second.elector.leads()
    await first.end()
    await second.end()
