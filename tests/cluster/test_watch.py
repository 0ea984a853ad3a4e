"""List and watch against the real API server, through a proxy that breaks them in every way."""

from __future__ import annotations

import asyncio
import time
import weakref

import pytest
from awaited import until
from chaosproxy import ChaosProxy, CutBefore, Refuse, Truncate, calls

from readiness.cluster.connection import connect
from readiness.cluster.watch import Pace, Reflector, pages

pytestmark = pytest.mark.api
PATH = "/api/v1/namespaces/watched/configmaps"
QUICK = Pace(watch=300, inactivity=70, refused=0.5, absent=0.5)


class Names:
    """A sink that keeps names and one value."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.lists, self.refusals = 0, []

    def projected(self, found):
        return found

    def replaced(self, objects):
        self.lists += 1
        self.found = {o["metadata"]["name"]: (o.get("data") or {}).get("v", "") for o in objects}

    def saw(self, event, found):
        if event == "DELETED":
            self.found.pop(found["metadata"]["name"], None)
        else:
            self.found[found["metadata"]["name"]] = (found.get("data") or {}).get("v", "")

    def refused(self, status, message):
        self.refusals.append((status, message))


@pytest.fixture
def values(api_server):
    """Sets ConfigMaps of a fresh namespace; a value of None deletes."""
    api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "watched"}})
    for old in api_server.request("GET", PATH)["items"]:
        api_server.request("DELETE", f"{PATH}/{old['metadata']['name']}")

    def put(name, value):
        if value is None:
            api_server.request("DELETE", f"{PATH}/{name}")
            return
        body = {"metadata": {"name": name}, "data": {"v": value}}
        if api_server.request("POST", PATH, body).get("code") == 409:
            api_server.request("PUT", f"{PATH}/{name}", body)

    return put


class Watching:
    """A reflector that runs, with what it found."""

    def __init__(self, proxy: ChaosProxy, pace: Pace = QUICK, path: str = PATH) -> None:
        self._proxy, self._pace, self._path = proxy, pace, path
        self.names = Names()

    async def __aenter__(self) -> Names:
        self._connection = await connect(str(self._proxy.kubeconfig), lambda *_: None)
        self.reflector = Reflector(self._connection, self._path, self.names, self._pace)
        self._task = asyncio.create_task(self.reflector.run())
        await asyncio.wait_for(self.reflector.synced.wait(), 15)
        return self.names

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._connection.close()
        await asyncio.sleep(0.05)


async def test_it_lists_and_follows(proxy, values):
    values("a", "1")
    async with Watching(proxy) as names:
        assert names.found["a"] == "1"
        values("a", "2")
        values("b", "1")
        await until(lambda: names.found.get("a") == "2" and names.found.get("b") == "1")
        values("a", None)
        await until(lambda: "a" not in names.found)
        assert names.lists == 1


async def test_pages_are_put_together(proxy, values, monkeypatch):
    monkeypatch.setattr("readiness.cluster.watch.PAGE", 3)
    for number in range(10):
        values(f"n{number}", "x")
    async with Watching(proxy) as names:
        assert len([n for n in names.found if n.startswith("n")]) == 10
        assert proxy.count("GET", PATH, watch=False) >= 4


class Page(dict):
    """A dict that can be watched going away."""


async def test_a_page_is_gone_before_the_next_is_asked_for():
    served: list[weakref.ref[Page]] = []

    class Server:
        async def request(self, method, path, *, query):
            assert [page() for page in served if page()] == []
            token = str(len(served)) if len(served) < 3 else ""
            page = Page(items=[token], metadata={"continue": token})
            served.append(weakref.ref(page))
            return page

    seen = []
    async for page in pages(Server(), PATH):
        seen += page["items"]
        del page

    assert seen == ["0", "1", "2", ""]


@pytest.mark.parametrize(("code", "lists"), [(410, 2), (500, 1)])
async def test_an_error_event_is_recovered_from(proxy, values, code, lists):
    values("a", "1")
    async with Watching(proxy) as names:
        await until(lambda: proxy.error(PATH, code) == 1)
        values("a", "2")
        values("late", "1")
        await until(lambda: names.found.get("a") == "2" and "late" in names.found)
        assert names.lists == lists


async def test_a_watch_refused_with_410_lists_once(proxy, values):
    values("a", "1")
    proxy.break_(calls("GET", PATH, watch=True), Refuse(410))
    async with Watching(proxy) as names:
        values("b", "2")
        await until(lambda: "b" in names.found)
        assert names.lists == 2


async def test_a_cut_stream_goes_on_where_it_was(proxy, values):
    values("a", "1")
    async with Watching(proxy) as names:
        await until(lambda: proxy.cut(PATH) == 1)
        values("a", "2")
        await until(lambda: names.found["a"] == "2")
        assert names.lists == 1


async def test_a_silent_stream_is_given_up(proxy, values):
    values("a", "1")
    async with Watching(proxy, Pace(inactivity=1.0)) as names:
        await until(lambda: proxy.freeze(PATH) == 1)
        values("a", "2")
        await until(lambda: names.found["a"] == "2")
        assert names.lists == 1


async def test_half_an_event_is_not_an_event(proxy, values):
    values("a", "1")
    async with Watching(proxy) as names:
        await until(lambda: proxy.inject(PATH, b'{"type":"MODIFIED","object":{"metad') == 1)
        proxy.cut(PATH)
        values("a", "2")
        await until(lambda: names.found["a"] == "2")


async def test_what_is_not_json_ends_the_watch_only(proxy, values):
    values("a", "1")
    async with Watching(proxy) as names:
        await until(lambda: proxy.inject(PATH, b"<html>\n") == 1)
        values("a", "2")
        await until(lambda: names.found["a"] == "2")


@pytest.mark.parametrize("fault", [Refuse(500), Refuse(503), CutBefore(), Truncate()])
async def test_a_list_that_fails_is_repeated(proxy, values, fault):
    values("a", "1")
    proxy.break_(calls("GET", PATH, watch=False), fault, times=3)
    async with Watching(proxy) as names:
        assert names.found["a"] == "1"
        assert sum(bool(entry.fault) for entry in proxy.log) == 3


async def test_429_is_waited_out_as_told(proxy, values):
    values("a", "1")
    proxy.break_(calls("GET", PATH), Refuse(429, retry_after=1))
    began = time.monotonic()
    async with Watching(proxy) as names:
        assert names.found["a"] == "1"
        assert 1.0 <= time.monotonic() - began < 5


async def test_forbidden_is_told_and_recovered_when_granted(proxy, values):
    values("a", "1")
    proxy.break_(calls("GET", PATH), Refuse(403, message="may not list configmaps"), times=2)
    async with Watching(proxy) as names:
        assert names.refusals == [(403, "may not list configmaps")]
        await until(lambda: names.found.get("a") == "1")


async def test_a_kind_that_is_not_served_is_told_and_found_later(proxy, api_server):
    path = "/apis/argoproj.io/v1alpha1/rollouts"
    async with Watching(proxy, path=path) as names:
        assert names.refusals[0][0] == 404
        first = proxy.count("GET", path)
        await until(lambda: proxy.count("GET", path) > first)


async def test_a_server_that_closes_at_once_is_not_hammered(proxy, values):
    values("a", "1")
    proxy.break_(calls("GET", PATH, watch=True), CutBefore(), times=float("inf"))
    async with Watching(proxy):
        await asyncio.sleep(3)
        assert proxy.count("GET", PATH, watch=True) <= 12  # aiohttp repeats a GET once


async def test_the_server_away_for_a_while(proxy, values):
    values("a", "1")
    async with Watching(proxy) as names:
        await until(lambda: proxy.open(PATH))  # one that is only on its way would not be cut
        proxy.break_(calls(), CutBefore(), times=float("inf"))
        proxy.cut(PATH)
        await until(lambda: not proxy.open(PATH))
        values("a", "2")
        await asyncio.sleep(3)
        assert names.found["a"] == "1"
        proxy.heal()
        await until(lambda: names.found["a"] == "2")
        assert names.lists == 1


async def test_a_lost_event_is_healed_by_the_resync(proxy, values):
    values("a", "1")
    lost = []
    proxy.edit(PATH, lambda e: lost.append(e) if e["object"]["metadata"]["name"] == "a" else 0.0)
    async with Watching(proxy, Pace(resync=2.0)) as names:
        await asyncio.sleep(0.3)
        values("a", "2")
        await until(lambda: lost)
        values("b", "1")
        await until(lambda: "b" in names.found)
        assert names.found["a"] == "1"
        await until(lambda: names.found["a"] == "2")
