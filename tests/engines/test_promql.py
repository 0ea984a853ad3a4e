"""Asking Prometheus what fires: a table of answers, peers that answer badly, and time that passes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl

import pytest

from readiness.engines import promql
from readiness.engines.connection import Clock
from readiness.engines.promql import EVERY_SECONDS, Prometheus
from readiness.incidents import Alert, Incidents

MATCHERS = 'severity="critical"'
UNHEARD = "has not answered yet"


def vector(*metrics, **rest):
    rows = [{"metric": metric, "value": [1.0, "1"]} for metric in metrics]
    return {"status": "success", "data": {"resultType": "vector", "result": rows}, **rest}


def answering(body, status="200 OK", asked=None):
    """What a server does that says the same to everybody, and notes what it was asked."""

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(head.split(b" ")[1].decode())
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)
        await writer.drain()

    return answer


async def hang(reader, writer):
    await asyncio.sleep(30)


async def told_by(url, asked=1):
    """What is known after so many minutes."""
    turns = 0

    async def sleep(seconds):
        nonlocal turns
        assert seconds == EVERY_SECONDS
        turns += 1
        if turns == asked:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    clock = Clock(steady=lambda: turns * EVERY_SECONDS, sleep=sleep)
    changes = []
    client = Prometheus(
        url, MATCHERS, ssl.create_default_context(), lambda: changes.append(client.known), clock
    )
    with contextlib.suppress(asyncio.CancelledError):
        await client.watch()
    return client.known, len(changes)


@pytest.mark.parametrize(
    ("body", "firing"),
    [
        (vector(), ()),
        (vector({"alertname": "Down", "namespace": "shop"}), (Alert("Down", "shop"),)),
        (vector({"alertname": "Node"}, {"alertname": "Node"}), (Alert("Node"),)),
        (vector({"alertname": "A\n\x1b[0mB", "namespace": ""}), (Alert("A???0mB"),)),
        (vector({"alertname": "x" * 500}), (Alert("x" * 80),)),
        (vector(infos=["a metric might not be a counter"]), ()),
    ],
)  # fmt: skip
async def test_names_of_what_fires(serve, body, firing):
    server = await serve(answering(body))

    assert await told_by(f"http://127.0.0.1:{server.port}") == (Incidents(firing), 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answering({}, "503 Service Unavailable"), "answers 503"),
        (answering({}, "302 Found\r\nLocation: http://elsewhere"), "answers 302"),
        (answering(b"<html>"), "cannot be read"),
        (answering([]), "cannot be read"),
        (answering(vector({"no": "name"})), "cannot be read"),
        (answering({"status": "error"}), "something else"),
        (answering({"status": "success", "data": {"resultType": "scalar"}}), "something else"),
        (answering(vector(warnings=["a store did not answer"])), "in part only"),
        (answering(b"x" * (promql.LARGEST + 1)), "more than"),
        (hang, "does not answer"),
    ],
)
async def test_what_is_no_whole_answer_is_a_problem_and_never_peace(
    serve, monkeypatch, answer, words
):
    monkeypatch.setattr(promql, "TIMEOUT", 0.3)
    server = await serve(answer)

    known, _ = await told_by(f"http://127.0.0.1:{server.port}")

    assert words in known.problem
    assert known.firing == ()


async def test_nobody_there():
    known, _ = await told_by("http://127.0.0.1:1")

    assert known == Incidents(problem="does not answer (ConnectError)")


async def test_the_question_names_state_and_matchers_below_the_prefix(serve):
    asked = []
    server = await serve(answering(vector(), asked=asked))
    await told_by(f"http://127.0.0.1:{server.port}/metrics/")

    assert asked[0].startswith("/metrics/api/v1/query?query=count+by+%28alertname%2C+namespace%29")
    assert "ALERTS%7Balertstate%3D%22firing%22%2Cseverity%3D%22critical%22%7D" in asked[0]


async def test_an_answer_stands_for_a_while_and_then_nobody_knows(serve):
    said = [vector({"alertname": "Down"}), *[b""] * 5]

    async def answer(reader, writer):
        await answering(said.pop(0))(reader, writer)

    server = await serve(answer)
    url = f"http://127.0.0.1:{server.port}"

    assert (await told_by(url, 3))[0].firing == (Alert("Down"),)
    said[:0] = [vector({"alertname": "Down"}), *[b""] * 5]
    known, changes = await told_by(url, 5)
    assert ("cannot be read" in known.problem, changes) == (True, 2)


async def test_who_has_not_been_asked_holds_back_too():
    client = Prometheus("http://127.0.0.1:1", MATCHERS, ssl.create_default_context(), list)

    assert client.known == Incidents(problem=UNHEARD)
