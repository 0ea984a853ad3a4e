"""A replica set founded, grown, broken and healed by the operator's own code: on mongod, and on the stand-in everywhere.

Every test runs twice. On `mongod` it carries the marker needs_mongod, and where there is none the closing lines of
tools/suites.py count it as not run. Times of the stand-in are a tenth of the real ones.
"""

import asyncio
import base64
import gc
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

import readiness.controls
from mongo_rig import DATABASE, REAL, STANDIN, Rig, command_of
from readiness.api.dataservice import DataService
from readiness.api.policy import PolicySpec
from readiness.control import Requirement
from readiness.dataservices.mongodb.commands import build_step_down
from readiness.dataservices.mongodb.members import State
from readiness.dataservices.mongodb.reading import document_of
from readiness.dataservices.mongodb.rolling import roll_of
from readiness.dataservices.mongodb.settings import config_of
from readiness.dataservices.mongodb.steps import DropUser, Reconfigure, Replace, StepDown
from readiness.dataservices.mongodb.users import Promote, rotation_of
from readiness.dataservices.order import Order
from readiness.engines.guard import Egress, Guard
from readiness.engines.inspection import Inspector
from readiness.engines.stores.mongodb import apply_step, read_sessions
from readiness.mongod import Login, Mongod
from readiness.registry import discover
from readiness.resident import HAND_OVER_SECONDS
from readiness.snapshot import Snapshot
from readiness.subjects import subjects_of

pytestmark = [
    pytest.mark.e2e,
    # The driver leaves the socket of a cancelled connection attempt to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ADMINS: Final = ({"usersInfo": 1}, {"replSetStepDown": 60}, {"replSetGetStatus": 1})
CONTROLS: Final[Mapping[str, Any]] = discover(readiness.controls, Requirement)
ONLY_REAL: Final = {
    "test_mongod_takes_settings_that_a_policy_adds": "the stand-in reads a few keys of a configuration; whether the others are known, only mongod says"
}
"""Tests that mean nothing on the stand-in, each with the reason."""
SERVERS: Final = (pytest.param(STANDIN), pytest.param(REAL, marks=pytest.mark.needs_mongod))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test on both, but for those that only a real server can answer."""
    only = metafunc.function.__name__ in ONLY_REAL
    metafunc.parametrize("rig", SERVERS[1:] if only else SERVERS, indirect=True)


@pytest.fixture
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """Nothing runs yet."""
    found = Rig(request.param, command_of(request.param), tmp_path, 5)
    yield found
    found.close()
    gc.collect()  # here, where the driver's sockets are excused


@pytest.fixture
async def three(rig: Rig) -> Rig:
    """A set of three, as wanted."""
    for number in range(3):
        rig.start(number, 3)
    await rig.settle(3)
    return rig


def primary_of(rig: Rig, host: str) -> int:
    return rig.hosts.index(host)


async def test_a_set_is_founded_by_its_first_member_and_grows_one_change_at_a_time(
    rig: Rig,
) -> None:
    for number in (1, 2, 0):
        rig.start(number, 3)

    seen = await rig.settle(3)

    assert seen.primary == rig.hosts[0]
    assert [s.state for s in seen.seen] == [State.PRIMARY, State.SECONDARY, State.SECONDARY]
    assert seen.config is not None
    assert [(m.id, m.votes, m.priority) for m in seen.config.members] == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]  # fmt: skip
    whys = [step.why for step in rig.steps if isinstance(step, Reconfigure)]
    assert len([why for why in whys if why.endswith("is missing")]) >= 2
    assert await rig.plan(3) is None, "nothing is left to do"


async def test_the_controls_of_data_services_pass_it_and_find_what_is_wrong(three: Rig) -> None:
    assert await deviating(three) == {}

    async with AsyncMongoClient(three.uri(3, "operator")) as client:
        await client.admin.command("setDefaultRWConcern", defaultWriteConcern={"w": 1})
        await client.admin.command("updateUser", "app", roles=[{"role": "root", "db": "admin"}])
    assert await deviating(three) == {"HA-002": "Fail/WritesNotMajority", "DAT-008": "Fail/AppIsAdministrator"}  # fmt: skip

    three.end("db2")
    for _ in range(60):
        if (await deviating(three)).get("HA-002") == "Fail/TooFewSecondaries":
            break
        await asyncio.sleep(0.5)
    assert await deviating(three) == {
        "HA-002": "Fail/TooFewSecondaries", "HA-008": "Unknown/Unreachable", "HA-009": "Unknown/Unreachable",
        "HLT-006": "Fail/MemberSilent", "DAT-008": "Fail/AppIsAdministrator",
    }  # fmt: skip


async def deviating(rig: Rig) -> dict[str, str]:
    """What does not pass, of one look at a set that the policy calls somebody else's."""
    hosts = {"hosts": ["m"], "port": rig.ports[0], "secretRef": {"name": "app"}, "probeSecretRef": {"name": "operator"}}  # fmt: skip
    spec = PolicySpec.model_validate({"dataServices": [{"name": "orders", "external": {"mongodb": hosts}}]})  # fmt: skip
    snapshot = Snapshot("shop", pod_addresses={"127.0.0.1": "m"})
    subject = subjects_of("checkout", spec, snapshot, 0.0)["orders"]
    assert subject.store is not None
    declared = (*(f"m:{port}" for port in rig.ports[1:3]), "m")
    subject = replace(subject, store=replace(subject.store, declared=declared))
    assert subject.store is not None

    async def find(_namespace: str, name: str) -> dict[str, Any]:
        given = {"username": name, "password": rig.credentials[name]}
        data = {key: base64.b64encode(text.encode()).decode() for key, text in given.items()}
        return {"metadata": {"name": name, "labels": {"readiness.dev/probe": "allowed"}}, "data": data}  # fmt: skip

    async def resolve(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    request = subject.store.request
    answer = await Inspector(Guard(Egress(("127.0.0.1/32",)), resolve), find).inspect(request)
    found = {}
    for id_ in ("HA-002", "HA-008", "HA-009", "HLT-006", "DAT-008", "DAT-014"):
        control = CONTROLS[id_]
        params = {each.name: each.default for each in control.params}
        verdict = control.judge(replace(subject, params=params), {request: answer})
        assert not any(secret in str(verdict) for secret in rig.credentials.values())
        found[id_] = f"{verdict.result}/{verdict.reason}"
    return {id_: said for id_, said in found.items() if not said.startswith("Pass")}


async def test_mongod_takes_settings_that_a_policy_adds(rig: Rig) -> None:
    added = {"operationProfiling.slowOpThresholdMs": "50", "storage.wiredTiger.collectionConfig.blockCompressor": "zstd"}  # fmt: skip
    spec = {"config": [{"name": name, "value": value} for name, value in added.items()]}
    service = DataService.model_validate({"name": DATABASE, "mongodb": spec})
    order = Order("shop", "checkout", service, "mongo:8", "operator", "readiness", 3, rig.credentials)  # fmt: skip
    rig.built["ConfigMap"]["data"]["mongod.conf"] = config_of(order)

    rig.start_server(0)

    held = await rig.held(1, "NotFounded")
    assert "not answering" not in held.message, rig.logs()


@pytest.mark.slow
async def test_nobody_founds_a_set_while_a_member_is_silent(rig: Rig) -> None:
    rig.start(0, 3)
    rig.start(1, 3)
    for number in (0, 1):  # an empty member is ready, or nothing would start
        await rig.probed(number, (200, "ok"))
    await asyncio.sleep(5)

    held = await rig.held(3, "NotFounded")

    assert rig.hosts[2] in held.message
    assert [s.state for s in (await rig.seen(2)).seen] == [State.EMPTY, State.EMPTY]


async def test_every_user_may_do_its_work_and_no_more(three: Rig) -> None:
    async def attempt(user: str, command: dict[str, object]) -> str:
        client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(three.uri(3, user))
        try:
            await client["admin" if command in ADMINS else DATABASE].command(command)
        except OperationFailure as error:
            return str((error.details or {}).get("codeName"))
        finally:
            await client.close()
        return "ok"

    write: dict[str, object] = {"insert": "ledger", "documents": [{"a": 1}]}
    assert await attempt("app", write) == "ok"
    for user in ("monitor", "inspector", "backup", "operator"):
        assert await attempt(user, write) == "Unauthorized", user
    for user in ("app", "monitor", "inspector", "backup"):
        assert await attempt(user, {"usersInfo": 1}) == "Unauthorized", user
        assert await attempt(user, {"replSetStepDown": 60}) == "Unauthorized", user
    assert await attempt("monitor", {"replSetGetStatus": 1}) == "ok"
    anybody: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(three.hosts[0], directConnection=True)  # fmt: skip
    for command in ("replSetGetStatus", "usersInfo"):
        with pytest.raises(OperationFailure, match="auth"):
            await anybody.admin.command(command)
    await anybody.close()


@pytest.mark.slow
async def test_loopback_takes_no_second_user_without_a_login(three: Rig) -> None:
    async with Mongod(three.hosts[0], Login(())) as server:
        problem = await server.tell_unknown([{"createUser": "thief", "pwd": "x", "roles": []}])

    assert problem == "createUser: Unauthorized"


@pytest.mark.slow
async def test_a_server_refuses_what_the_planner_never_asks(three: Rig) -> None:
    seen = await three.seen(3)
    assert seen.config is not None
    config = document_of(seen.config)
    login = Login((three.credentials["operator"],))

    async def attempt(host: str, **change: object) -> str:
        async with Mongod(host, login) as server:
            return await server.tell(
                [{"replSetReconfig": {**config, **change}, "maxTimeMS": 5000}], 10
            )

    following = config["version"] + 1
    one = [config["members"][0]]
    assert await attempt(three.hosts[0], members=one, version=following) == "replSetReconfig: InvalidReplicaSetConfig"  # fmt: skip
    assert await attempt(three.hosts[0], version=config["version"]) == "replSetReconfig: NewReplicaSetConfigurationIncompatible"  # fmt: skip
    assert await attempt(three.hosts[1], version=following) == "replSetReconfig: NotWritablePrimary"
    without = [config["members"][1], config["members"][2]]
    assert await attempt(three.hosts[0], members=without, version=following) in (
        "replSetReconfig: NodeNotFound",
        "replSetReconfig: InvalidReplicaSetConfig",
    )


async def test_a_killed_primary_is_followed_by_another_without_loss(three: Rig) -> None:
    async with three.writing(3) as ledger:
        three.end("db0")
        await three.held(3, "MemberSyncing")
        three.start_server(0)
        seen = await three.settle(3)

    assert seen.primary in three.hosts[1:3]
    assert ledger.gap <= 15 * max(three.pace, 0.3), f"writes stood still for {ledger.gap:.1f} s"


async def test_the_hook_before_a_stop_hands_over_without_loss(three: Rig) -> None:
    async with three.writing(3) as ledger:
        assert await three.before_stop(0) == (200, "handed over")
        three.end("db0", signal.SIGTERM)
        await three.until(lambda: len(ledger.acked) > 50)
        three.start_server(0)
        await three.settle(3)

    assert ledger.gap <= 3.0
    assert (await three.before_stop(1))[0] == 200, "also where nothing is to be done"


@pytest.mark.slow
async def test_a_hook_without_an_heir_holds_nothing_up(three: Rig) -> None:
    three.end("db1")
    three.end("db2")

    status, _ = await asyncio.wait_for(three.before_stop(0), HAND_OVER_SECONDS + 5)

    assert status == 200


@pytest.mark.slow
async def test_a_first_member_without_its_volume_founds_no_second_set(three: Rig) -> None:
    async with three.writing(3):
        three.end("db0")
        three.wipe(0)
        await asyncio.sleep(3)
        three.start_server(0)
        seen = await three.settle(3)

    assert seen.at(three.hosts[0]).state is State.SECONDARY
    assert len({s.set for s in seen.seen}) == 1


@pytest.mark.slow
async def test_a_stopped_primary_that_wakes_up_gives_way(three: Rig) -> None:
    async with three.writing(3):
        three.end("db0", signal.SIGSTOP)
        await asyncio.sleep(40 * three.pace)
        three.end("db0", signal.SIGCONT)
        seen = await three.settle(3)

    assert [s.state for s in seen.seen].count(State.PRIMARY) == 1
    assert seen.primary != three.hosts[0]


@pytest.mark.slow
async def test_all_killed_at_once_come_back_with_the_same_data(three: Rig) -> None:
    async with three.writing(3):
        for number in range(3):
            three.end(f"db{number}")
        for number in range(3):
            three.start_server(number)
        seen = await three.settle(3, within=60)

    assert [s.state for s in seen.seen].count(State.PRIMARY) == 1


async def test_a_lost_quorum_is_told_with_every_position_and_nothing_is_forced(three: Rig) -> None:
    done = len(three.steps)
    three.end("db0")
    three.end("db1")

    held = await three.held(3, "QuorumLost")

    assert f"{three.hosts[2]} SECONDARY (term " in held.message
    assert f"{three.hosts[0]} SILENT" in held.message
    assert held.message.endswith(f"furthest ahead: {three.hosts[2]}")
    assert len(three.steps) == done, "nothing was done"
    three.start_server(0)
    await three.held(3, "MemberSyncing")
    three.start_server(1)
    await three.settle(3)


@pytest.mark.slow
async def test_a_set_shrinks_and_a_primary_that_leaves_hands_over_first(three: Rig) -> None:
    seen = await three.seen(3)
    async with Mongod(seen.primary, Login((three.credentials["operator"],))) as server:
        assert await server.tell([build_step_down()], 20) == ""
    await three.settle(3)
    async with three.writing(3):
        seen = await three.settle(1)

    assert seen.primary == three.hosts[0]
    assert seen.config is not None
    assert [m.host for m in seen.config.members] == [three.hosts[0]]


@pytest.mark.slow
async def test_a_set_grows_to_five(three: Rig) -> None:
    async with three.writing(3):
        for number in (3, 4):
            three.start(number, 5)
        seen = await three.settle(5)

    assert seen.config is not None
    assert [m.votes for m in seen.config.members] == [1] * 5


@pytest.mark.slow
async def test_four_members_have_three_votes(three: Rig) -> None:
    three.start(3, 4)
    seen = await three.settle(4)

    assert seen.config is not None
    assert [m.votes for m in seen.config.members] == [1, 1, 1, 0]


@pytest.mark.slow
async def test_a_roll_replaces_the_primary_last_and_loses_nothing(three: Rig) -> None:
    outdated, order = set(three.hosts[:3]), []
    async with three.writing(3) as ledger:
        while outdated:
            seen = await three.seen(3)
            step = roll_of(three.wanted(3), seen, outdated)
            if isinstance(step, StepDown):
                assert await apply_step(step, seen.primary, three.credentials) == ""
                order.append("hand over")
            elif isinstance(step, Replace):
                number = three.hosts.index(step.host)
                await three.before_stop(number)
                three.end(f"db{number}", signal.SIGTERM)
                three.start_server(number)
                outdated.discard(step.host)
                order.append(str(number))
            await asyncio.sleep(0.1)
        await three.settle(3)

    assert order == ["2", "1", "hand over", "0"]
    assert ledger.gap <= 3.0


@pytest.mark.slow
async def test_passwords_change_while_clients_write(three: Rig) -> None:
    async with three.writing(3):
        three.credentials |= {"app-next": "app-2", "monitor-next": "monitor-2", "operator-next": "operator-2"}  # fmt: skip
        for _ in range(3):
            seen = await three.seen(3)
            names = [user.name for user in seen.users or ()]
            found = rotation_of(three.wanted(3).users, three.credentials, names, ())
            assert isinstance(found, tuple)
            assert await apply_step(found[0], seen.primary, three.credentials) == ""
            assert isinstance(found[1], Promote)
            three.credentials = dict(found[1].credentials)
        busy = await read_sessions(three.hosts[:3], three.credentials)
        assert busy is not None
        assert "app" in busy, "the writer goes on as the old user"
        seen = await three.seen(3)
        names = [user.name for user in seen.users or ()]
        assert rotation_of(three.wanted(3).users, three.credentials, names, busy) is None
    busy = await read_sessions(three.hosts[:3], three.credentials)
    assert busy is not None
    found = rotation_of(three.wanted(3).users, three.credentials, names, busy)
    assert found == DropUser("app")
    assert await apply_step(found, seen.primary, three.credentials) == ""
    async with three.writing(3):
        await three.settle(3)


@pytest.mark.slow
async def test_the_resident_tells_when_its_member_is_gone(three: Rig) -> None:
    for number in range(3):
        await three.probed(number, (200, "ok"))
    three.end("db2")

    await three.probed(2, (503, "the member is SILENT"))
    three.start_server(2)
    await three.probed(2, (200, "ok"))
