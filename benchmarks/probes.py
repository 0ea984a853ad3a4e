#!/usr/bin/env python3
"""Probes per second and core of our HTTP engine beside plain httpx and a bare asyncio exchange.

    benchmarks/probes.py [--quick] [--rounds 5]

A new connection for each probe, 32 in flight, against one loopback server in its own process; CPU is the
prober's alone. The bare exchange says what the machine could do; httpx is what one would write without an
engine of ours: no address pinned, no caps. Nothing here has a budget.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "operator")]

import httpx  # noqa: E402 -- after the path is set

from readiness.engines import Dialer, Egress, Guard, Resolver, build_trust  # noqa: E402
from readiness.engines.http import HttpEngine  # noqa: E402
from readiness.request import Hop, HopKind, HttpRequest, Outcome  # noqa: E402

IN_FLIGHT = 32
BODY = b'{"status": "ok", "checks": {"db": "ok", "cache": "ok"}}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nStrict-Transport-Security: max-age=63072000\r\n"
    b"X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    % len(BODY)
) + BODY
Probe = Callable[[], Awaitable[None]]


def serve(port: multiprocessing.Queue[int]) -> None:
    """The loopback server."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def probers(port: int) -> dict[str, Probe]:
    hop = Hop(HopKind.POD, "app-0", "app.shop.svc", port, "127.0.0.1", namespace="shop")
    request = HttpRequest(hop, "/health", headers=(("Accept", "application/json"),))
    engine = HttpEngine(Dialer(Guard(Egress(("127.0.0.1",)), Resolver()), build_trust()))
    tls = httpx.create_ssl_context()

    async def ours() -> None:
        answer = await engine.send(request, "bench")
        assert (answer.outcome, answer.body) == (Outcome.RESPONSE, BODY), answer

    async def plain() -> None:
        async with httpx.AsyncClient(verify=tls, trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/health")
        assert answer.content == BODY

    async def bare() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: app.shop.svc\r\nConnection: close\r\n\r\n")
        assert (await reader.read(-1)).endswith(BODY)
        writer.close()

    return {"our engine": ours, "httpx, a client per probe": plain, "bare asyncio": bare}


async def measure(probe: Probe, seconds: float) -> tuple[float, float]:
    """(probes per second, CPU ms per probe)."""
    began, count = time.perf_counter(), 0
    used = resource.getrusage(resource.RUSAGE_SELF)

    async def worker() -> None:
        nonlocal count
        while time.perf_counter() - began < seconds:
            await probe()
            count += 1

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    wall, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return count / wall, 1000 * cpu / count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    args = parser.parse_args()
    rounds, seconds = (args.rounds or (1 if args.quick else 5)), (0.5 if args.quick else 2.0)
    spawn = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = spawn.Queue()
    server = spawn.Process(target=serve, args=(port,), daemon=True)
    server.start()
    found: dict[str, list[tuple[float, float]]] = {}

    async def run() -> None:
        all_probers = probers(port.get())
        for probe in all_probers.values():  # what is imported and built at the first one
            await probe()
        for turn in range(rounds):
            for name in list(all_probers)[:: 1 if turn % 2 == 0 else -1]:
                found.setdefault(name, []).append(await measure(all_probers[name], seconds))

    try:
        asyncio.run(run())
    finally:
        server.terminate()
    ours = statistics.median(cpu for _, cpu in found["our engine"])
    print(
        f"{rounds} interleaved rounds of {seconds:g} s, {IN_FLIGHT} in flight, a new connection for each probe; medians.\n"
    )
    print(
        "| | probes/s | CPU per probe, ms | probes/s and core | CPU, ours by theirs |\n|---|---|---|---|---|"
    )
    for name, rows in found.items():
        cpu = statistics.median(c for _, c in rows)
        rate = statistics.median(r for r, _ in rows)
        print(f"| {name} | {rate:.0f} | {cpu:.3f} | {1000 / cpu:.0f} | {ours / cpu:.2f}× |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
