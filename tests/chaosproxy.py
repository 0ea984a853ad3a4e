"""A proxy in front of the API server that counts, and breaks things on purpose.

It runs in a thread of its own; every method may be called from a test. A test says *which* calls
(`calls`) shall suffer *what* (a fault), how often, and reads from `log` that it happened.

    with ChaosProxy(url, tls) as proxy:
        proxy.break_(calls("PATCH", "/status"), CutAfter(), times=1)
        ... proxy.kubeconfig ...
        assert proxy.count("PATCH") == 2
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "host"}
UNUSED = "unused"
Event = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request, as it came in."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    agent: str

    @property
    def watch(self) -> bool:
        return self.query.get("watch") in ("1", "true")

    @property
    def lists(self) -> bool:
        last = self.path.rstrip("/").rpartition("/")[2]
        return self.method == "GET" and not self.watch and last.endswith("s")


@dataclass(frozen=True)
class Logged:
    """A request and how it ended: `status` 0 when it was cut or hung; `fault` names what we did."""

    call: Call
    status: int
    at: float
    fault: str = ""


@dataclass(frozen=True)
class Refuse:
    """Answers by itself."""

    status: int
    retry_after: int = 0
    message: str = "refused by the chaos proxy"


@dataclass(frozen=True)
class CutBefore:
    """Closes the connection; the API server never hears of it. `then` is called first."""

    then: Callable[[], None] | None = None


@dataclass(frozen=True)
class CutAfter:
    """Passes the request on and closes the connection instead of answering: committed, but lost."""

    then: Callable[[], None] | None = None


@dataclass(frozen=True)
class Answer:
    """Answers with these bytes, for example what the API server said long ago."""

    body: bytes


@dataclass(frozen=True)
class Delay:
    """Passes the request on after so many seconds. `then` is called first."""

    seconds: float
    then: Callable[[], None] | None = None


@dataclass(frozen=True)
class Truncate:
    """Sends only the first half of the answer."""


@dataclass(frozen=True)
class Hang:
    """Neither answers nor closes for so many seconds."""

    seconds: float = 3600.0


Fault = Refuse | CutBefore | CutAfter | Answer | Delay | Truncate | Hang
Match = Callable[[Call], bool]


def calls(method: str = "", path: str = "", *, watch: bool | None = None) -> Match:
    """Calls with this method whose path holds this regular expression."""

    def match(call: Call) -> bool:
        return (
            method in ("", call.method)
            and re.search(path, call.path) is not None
            and watch in (None, call.watch)
        )

    return match


@dataclass
class _Rule:
    match: Match
    fault: Fault
    left: float


@dataclass
class Stream:
    """An open watch."""

    call: Call
    response: web.StreamResponse
    frozen: bool = False
    cut: asyncio.Event = field(default_factory=asyncio.Event)


class ChaosProxy:
    """The proxy. `kubeconfig` leads to it, `log` tells what came through."""

    def __init__(self, target: str, tls: ssl.SSLContext) -> None:
        self._target, self._tls = target.rstrip("/"), tls
        self._rules: list[_Rule] = []
        self._editors: list[tuple[str, Callable[[Event], float | None]]] = []
        self._streams: list[Stream] = []
        self._started = threading.Event()
        self.log: list[Logged] = []
        self.url = ""

    def __enter__(self) -> ChaosProxy:
        self._folder = tempfile.TemporaryDirectory(prefix="chaosproxy-")
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._folder.cleanup()

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig that leads to the proxy; it authenticates for everybody."""
        path = Path(self._folder.name) / "kubeconfig"
        named = {"name": "chaos"}
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "chaos",
                    "clusters": [named | {"cluster": {"server": self.url}}],
                    "users": [named | {"user": {"token": UNUSED}}],
                    "contexts": [named | {"context": {"cluster": "chaos", "user": "chaos"}}],
                }
            )
        )
        return path

    # What a test may do.

    def break_(self, match: Match, fault: Fault, times: float = 1) -> None:
        """The next `times` matching calls suffer `fault`."""
        self._rules.append(_Rule(match, fault, times))

    def heal(self) -> None:
        """No more faults; frozen streams are cut, so that clients come back."""
        self._rules.clear()
        self._editors.clear()
        self._in_loop(lambda: [s.cut.set() for s in self._streams if s.frozen])

    def edit(self, path: str, editor: Callable[[Event], float | None]) -> None:
        """Lets `editor` see each event of matching watches: None drops it, a number delays it."""
        self._editors.append((path, editor))

    def cut(self, path: str) -> int:
        """Ends the open watches of matching paths; how many."""
        return self._each(path, lambda s: s.cut.set())

    def open(self, path: str) -> int:
        """How many watches of matching paths are open."""
        return self._each(path, lambda _: None)

    def freeze(self, path: str) -> int:
        """Open watches of matching paths stay open but silent; how many."""
        return self._each(path, lambda s: setattr(s, "frozen", True))

    def inject(self, path: str, event: Event | bytes) -> int:
        """Sends an event, or raw bytes, into open watches of matching paths; how many."""
        data = event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n"

        def send(stream: Stream) -> None:
            task = asyncio.ensure_future(stream.response.write(data))
            task.add_done_callback(lambda t: t.exception())

        return self._each(path, send)

    def error(self, path: str, code: int, message: str = "too old resource version") -> int:
        """Sends an ERROR event and ends the stream, as the API server does."""
        status = {"kind": "Status", "code": code, "message": message, "status": "Failure"}
        sent = self.inject(path, {"type": "ERROR", "object": status})
        time.sleep(0.1)
        self.cut(path)
        return sent

    def count(self, method: str = "", path: str = "", **options: Any) -> int:
        """How many matching calls have come through."""
        match = calls(method, path, **options)
        return sum(match(entry.call) for entry in list(self.log))

    def writes(self) -> list[str]:
        """Every write except those of Leases, in order: `PATCH /apis/…`."""
        return [
            f"{entry.call.method} {entry.call.path}"
            for entry in list(self.log)
            if entry.call.method != "GET" and "/leases" not in entry.call.path
        ]

    def clear(self) -> None:
        """Forgets the log."""
        self.log.clear()

    # How it works.

    def _each(self, path: str, act: Callable[[Stream], object]) -> int:
        found = [s for s in list(self._streams) if re.search(path, s.call.path)]
        self._in_loop(lambda: [act(s) for s in found])
        return len(found)

    def _in_loop(self, act: Callable[[], object]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (act(), done.set()))
        assert done.wait(5)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self._session:
            runner = web.ServerRunner(
                web.Server(self._serve, handler_cancellation=True), shutdown_timeout=0.1
            )
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
            self._started.set()
            await self._stop.wait()
            for stream in self._streams:
                stream.cut.set()
            await runner.cleanup()
        await asyncio.sleep(0.05)  # transports close in the next rounds of the loop

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        agent = request.headers.get("User-Agent", "")
        call = Call(request.method, request.path, dict(request.query), await request.read(), agent)
        fault = self._fault(call)
        status = 0
        try:
            match fault:
                case CutBefore(then):
                    _call(then)
                    self._drop(request)
                case Answer(body):
                    status = 200
                    return web.Response(body=body, content_type="application/json")
                case Hang(seconds):
                    await asyncio.sleep(seconds)
                    self._drop(request)
                case Refuse():
                    status = fault.status
                    return _refusal(fault)
                case _:
                    _call(fault.then if isinstance(fault, Delay) else None)
                    await asyncio.sleep(fault.seconds if isinstance(fault, Delay) else 0.0)
                    response = await self._forward(request, call, fault)
                    status = response.status
                    return response
            return web.Response(status=502)
        finally:
            name = type(fault).__name__ if fault else ""
            self.log.append(Logged(call, status, time.monotonic(), name))

    def _fault(self, call: Call) -> Fault | None:
        for rule in self._rules:
            if rule.left > 0 and rule.match(call):
                rule.left -= 1
                return rule.fault
        return None

    def _drop(self, request: web.BaseRequest) -> None:
        if request.transport is not None:
            request.transport.abort()

    async def _forward(
        self, request: web.BaseRequest, call: Call, fault: Fault | None
    ) -> web.StreamResponse:
        kept = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        if kept.get("Authorization") == f"Bearer {UNUSED}":
            del kept["Authorization"]  # the proxy's own certificate speaks for this client
        url = self._target + request.path_qs
        async with self._session.request(
            call.method, url, data=call.body or None, headers=kept
        ) as upstream:
            headers = {k: v for k, v in upstream.headers.items() if k.lower() not in HOP_BY_HOP}
            if call.watch and upstream.status == 200:
                return await self._stream(request, call, upstream, headers)
            body = await upstream.read()
            if isinstance(fault, CutAfter):
                _call(fault.then)
                self._drop(request)
            if isinstance(fault, Truncate):
                response = web.StreamResponse(status=upstream.status, headers=headers)
                response.content_length = len(body)
                await response.prepare(request)
                await response.write(body[: len(body) // 2])
                self._drop(request)
                return response
            return web.Response(status=upstream.status, headers=headers, body=body)

    async def _stream(
        self, request: web.BaseRequest, call: Call, upstream: Any, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        stream = Stream(call, response)
        self._streams.append(stream)
        pump = asyncio.create_task(self._pump(stream, upstream.content))
        cut = asyncio.create_task(stream.cut.wait())
        try:
            await asyncio.wait((pump, cut), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pump.cancel()
            cut.cancel()
            self._streams.remove(stream)
        return response

    async def _pump(self, stream: Stream, content: aiohttp.StreamReader) -> None:
        rest = b""
        async for chunk in content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                delay = self._edited(stream.call.path, line)
                if delay is None or stream.frozen:
                    continue
                if delay:
                    await asyncio.sleep(delay)
                await stream.response.write(line + b"\n")

    def _edited(self, path: str, line: bytes) -> float | None:
        for wanted, editor in self._editors:
            if re.search(wanted, path):
                delay = editor(json.loads(line))
                if delay is None or delay > 0:
                    return delay
        return 0.0


def _call(then: Callable[[], None] | None) -> None:
    if then is not None:
        then()


def _refusal(fault: Refuse) -> web.Response:
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
    body = {"kind": "Status", "code": fault.status, "message": fault.message, "status": "Failure"}
    return web.json_response(body, status=fault.status, headers=headers)
