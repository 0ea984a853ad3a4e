"""The management API: what a real RabbitMQ 4.0 answered, read; and what it is sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from readiness.dataservices.rabbitmq.commands import Act, Rebalance, SetUser
from readiness.dataservices.rabbitmq.leaving import Grow, Mark, Shrink
from readiness.dataservices.rabbitmq.reading import (
    Observed,
    classic_queues,
    disturbances,
    seen_of,
)
from readiness.dataservices.rabbitmq.users import CREDENTIALS, USERS, password_hash
from readiness.engines.stores.rabbitmq import Management
from readiness.snapshot import MemberSeen, Seen

ANSWERS = Path(__file__).with_name("answers")
KNOWN = {each.key: f"{each.key}-secret" for each in CREDENTIALS}
SET = "shop-jobs-a7d93164"
HOSTS = tuple(f"{SET}-{n}.{SET}-nodes.sandbox.svc" for n in range(3))
OWN = "readiness-operator-password"
PODS = tuple(f"{SET}-{n}" for n in range(3))
Answer = Callable[[httpx.Request], httpx.Response]


def recorded(state: str) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=(ANSWERS / f"{request.url.path.rpartition('/')[2]}-{state}.json").read_bytes())  # fmt: skip

    return answer


async def look(answer: Answer) -> Observed:
    return await Management(HOSTS, KNOWN, transport=httpx.MockTransport(answer)).read()


async def test_a_whole_cluster_is_read():
    found = await look(recorded("whole"))

    assert [(m.pod, m.running, m.settled) for m in found.members] == [(p, True, True) for p in PODS]
    assert disturbances(found, 3) == ()
    assert [queue.name for queue in classic_queues(found)] == ["old"]
    assert {q.name: q.members for q in found.queues or ()} == {"old": frozenset(), "orders": frozenset(PODS)}  # fmt: skip
    assert found.users == {user.name: password_hash(user.name, KNOWN[user.key]) for user in USERS}
    assert found.connected == {"app-a"}
    assert found.leaving == frozenset()
    assert seen_of(found) == Seen("", tuple(map(MemberSeen, PODS)), facts=found)


async def test_what_needs_a_member_is_told_of_it():
    found = await look(recorded("short"))

    assert disturbances(found, 3) == (
        "2 of 3 members run",
        "queue orders has 2 of 3 members online",
    )
    assert seen_of(found) == Seen("", (
        MemberSeen(PODS[0], needed_by=("orders",)),
        MemberSeen(PODS[1], needed_by=("orders",)),
        MemberSeen(PODS[2], reasons=("NotRunning",)),
    ), "NotRunning", facts=found)  # fmt: skip


async def test_while_its_own_password_changes_either_lets_the_operator_in():
    """A member that has just started may know the one from before, whatever the others know."""
    known = {**KNOWN, f"{OWN}.next": "new", f"{OWN}.previous": "old"}
    for password in (KNOWN[OWN], "new", "old"):
        right = httpx.BasicAuth("readiness-operator", password)._auth_header
        asked: list[str] = []

        def answer(
            request: httpx.Request, right: str = right, asked: list[str] = asked
        ) -> httpx.Response:
            asked.append(request.url.host)
            refused = request.headers["authorization"] != right
            return httpx.Response(401) if refused else recorded("whole")(request)

        cluster = Management(HOSTS, known, transport=httpx.MockTransport(answer))
        assert disturbances(await cluster.read(), 3) == ()
        assert set(asked) == {HOSTS[0]}, "it is the password that is wrong, not the member"


async def test_the_next_member_is_asked_where_one_does_not_answer():
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == HOSTS[0]:
            raise httpx.ConnectError("refused")
        return recorded("whole")(request)

    assert disturbances(await look(answer), 3) == ()


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda _: httpx.Response(401, text="a body that goes no further"), "status 401"),
        (lambda _: httpx.Response(200, text="<html>"), "JSONDecodeError"),
        (lambda _: httpx.Response(200, json=[{"running": True}]), "KeyError"),
        (lambda _: httpx.Response(200, json=7), "TypeError"),
        (lambda _: httpx.Response(200, json=[7]), "TypeError"),
    ],
)
async def test_what_is_no_answer_is_not_taken_for_one(answer: Answer, word: str):
    found = await look(answer)

    assert found.queues is found.users is found.connected is None
    assert found.errors[0] == f"{PODS[0]} does not answer: {word}"
    assert disturbances(found, 3)[0] == "no member tells of its queues"


NODE = f"rabbit%40{HOSTS[2]}"
STORED = password_hash("monitoring", KNOWN["monitoring-password"])
SENT = [
    (SetUser(USERS[2]), "PUT", "/api/users/monitoring", {"hashing_algorithm": "rabbit_password_hashing_sha256", "password_hash": STORED, "tags": "monitoring"}),
    (Grow(PODS[2]), "POST", f"/api/queues/quorum/replicas/on/{NODE}/grow", {"vhost_pattern": ".*", "queue_pattern": ".*", "strategy": "all"}),
    (Shrink(PODS[2]), "DELETE", f"/api/queues/quorum/replicas/on/{NODE}/shrink", None),
    (Mark((PODS[2],)), "PUT", "/api/global-parameters/readiness-leaving", {"name": "readiness-leaving", "value": [PODS[2]]}),
    (Rebalance(), "POST", "/api/rebalance/queues", None),
]  # fmt: skip


@pytest.mark.parametrize(("step", "method", "path", "body"), SENT)
async def test_what_is_sent(step: Act, method: str, path: str, body: object):
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    word = await Management(HOSTS, KNOWN, transport=httpx.MockTransport(answer)).carry_out(step)
    (request,) = seen
    login = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()

    assert word == ""
    assert (request.method, request.url.raw_path.decode()) == (method, path)
    assert json.loads(request.content or "null") == body
    assert login == f"readiness-operator:{KNOWN['readiness-operator-password']}"


async def test_a_refusal_is_a_word():
    refuse = httpx.MockTransport(lambda _: httpx.Response(401, text="secret"))

    assert await Management(HOSTS, KNOWN, transport=refuse).carry_out(Rebalance()) == "status 401"
