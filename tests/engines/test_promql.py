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
from readiness.incidents import Alert, Incidents, Loaded

MATCHERS = 'severity="critical"'
UNHEARD = "has not answered yet"


def vector(*metrics, **rest):
    rows = [{"metric": metric, "value": [1.0, "1"]} for metric in metrics]
    return {"status": "success", "data": {"resultType": "vector", "result": rows}, **rest}


def rules(*alerts, name="readiness-backups-checkout-cache", **rest):
    rows = [{"name": alert, "labels": {"namespace": "shop", "policy": "checkout", "service": "cache", "severity": "critical"}, "health": "ok", **rest} for alert in alerts]  # fmt: skip
    return {"status": "success", "data": {"groups": [{"name": name, "rules": rows}]}}


def answering(body, status="200 OK", asked=None, rules=None):
    """What a server does that says the same to everybody, and notes what it was asked; of its rules it may say something else."""

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(head.split(b" ")[1].decode())
        said = rules if rules is not None and b"/api/v1/rules" in head else body
        await say(writer, said, status)

    return answer


async def say(writer, said, status="200 OK"):
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
    await writer.drain()


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
    server = await serve(answering(body, rules=rules()))

    assert await told_by(f"http://127.0.0.1:{server.port}") == (Incidents(firing, loaded=Loaded()), 1)  # fmt: skip


@pytest.mark.parametrize(
    ("said", "names", "problem"),
    [
        (rules("ReadinessBackupOld", "ReadinessBackupMissing"), ["ReadinessBackupMissing", "ReadinessBackupOld"], ""),
        (rules("ReadinessBackupOld", health="unknown"), ["ReadinessBackupOld"], ""),
        (rules("ReadinessBackupOld", health="err"), [], ""),
        (rules("ReadinessBackupOld", name="somebody's"), [], ""),
        (rules(), [], ""),
        (b"<html>", [], "cannot be read"),
        ({"status": "error"}, [], "no rules"),
        (rules("ReadinessBackupOld", labels={}), [], "cannot be read"),
        (b"x" * 5000, [], "more than"),
    ],
)  # fmt: skip
async def test_which_alerts_are_loaded_holds_nobody_back(serve, monkeypatch, said, names, problem):  # fmt: skip
    monkeypatch.setattr(promql, "LARGEST_RULES", 4096)
    server = await serve(answering(vector({"alertname": "Down"}), rules=said))

    known, _ = await told_by(f"http://127.0.0.1:{server.port}")

    assert (known.firing, known.problem) == ((Alert("Down"),), "")
    assert sorted(known.loaded.rules) == [("shop", "checkout", "cache", name) for name in names]
    assert problem in known.loaded.problem
    assert bool(problem) == bool(known.loaded.problem)


async def test_rules_that_were_told_stand_for_a_while(serve):
    said = [rules("ReadinessBackupOld"), *[b""] * 5]

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        text = said.pop(0) if b"/api/v1/rules" in head else vector()
        await say(writer, text)

    server = await serve(answer)
    url = f"http://127.0.0.1:{server.port}"

    assert (await told_by(url, 3))[0].loaded.problem == ""
    said[:0] = [rules("ReadinessBackupOld"), *[b""] * 5]
    assert "cannot be read" in (await told_by(url, 5))[0].loaded.problem


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

    words = "does not answer (ConnectError)"
    assert known == Incidents(problem=words, loaded=Loaded(problem=words))


async def test_the_question_names_state_and_matchers_below_the_prefix(serve):
    asked = []
    server = await serve(answering(vector(), asked=asked))
    await told_by(f"http://127.0.0.1:{server.port}/metrics/")

    assert asked[0].startswith("/metrics/api/v1/query?query=count+by+%28alertname%2C+namespace%29")
    assert "ALERTS%7Balertstate%3D%22firing%22%2Cseverity%3D%22critical%22%7D" in asked[0]


async def test_an_answer_stands_for_a_while_and_then_nobody_knows(serve):
    said = [vector({"alertname": "Down"}), *[b""] * 5]

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        text = rules() if b"/api/v1/rules" in head else said.pop(0)
        await say(writer, text)

    server = await serve(answer)
    url = f"http://127.0.0.1:{server.port}"

    assert (await told_by(url, 3))[0].firing == (Alert("Down"),)
    said[:0] = [vector({"alertname": "Down"}), *[b""] * 5]
    known, changes = await told_by(url, 5)
    assert ("cannot be read" in known.problem, changes) == (True, 2)


async def test_who_has_not_been_asked_holds_back_too():
    client = Prometheus("http://127.0.0.1:1", MATCHERS, ssl.create_default_context(), list)

    assert client.known == Incidents(problem=UNHEARD, loaded=Loaded(problem=UNHEARD))
