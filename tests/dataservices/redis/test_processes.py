"""The rendered scripts, verbatim, on real Redis servers of two releases: what a ledger of acknowledged writes says.

Every fault comes three times. Figures are printed; docs/data-services.md keeps them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from readiness.dataservices.command import Amend, Replace, Resize, Task, Tell, Wait
from readiness.dataservices.order import Look, Order
from readiness.dataservices.redis.build import GRACE, group_of
from readiness.dataservices.redis.commands import Accept, Retire, next_step
from readiness.dataservices.redis.reading import Observed, observed_of
from readiness.dataservices.redis.settings import _KNOWN
from readiness.engines.stores.redis import Group, Server, look, read_group, tell

from .ledger import Ledger, finder
from .orders import PASSWORDS, manifests_of, order_of
from .rig import Pod, Rig, image_root

pytestmark = pytest.mark.slow
ORDER = order_of()
NETWORKS = (f"127.{100 + os.getpid() % 100}.{number}" for number in count(1))
TIMES = 3


@pytest.fixture(params=["bookworm", "trixie"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Nothing runs yet. Addresses are new each time: nothing of another test can answer."""
    rig = Rig(image_root(request.param), tmp_path, next(NETWORKS), manifests_of(ORDER))
    yield rig
    rig.stop()


@pytest.fixture
def rig(bare: Rig) -> Rig:
    """A set that has formed, as the operator marks it."""
    bare.start()
    ready(bare)
    bare.form()
    return bare


@pytest.fixture
def ledger(rig: Rig) -> Iterator[Ledger]:
    found = Ledger(rig, rig.secret(ORDER.name())).start()
    yield found
    found.stop()


def ready(rig: Rig, seconds: float = 60.0) -> float:
    began = time.monotonic()
    wait_until(lambda: all(pod.probe("readinessProbe") for pod in rig.pods.values()), seconds)
    return time.monotonic() - began


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


def primary(rig: Rig) -> Pod:
    binding = rig.secret(ORDER.name())
    found = finder(rig, binding)
    address, _ = found.discover_master(binding["master-name"])
    for each in found.sentinels:
        each.close()
    (pod,) = [pod for pod in rig.members if pod.address == address]
    return pod


def roles(rig: Rig) -> list[str]:
    return sorted(role(pod) for pod in rig.members)


def role(pod: Pod) -> str:
    with Redis(pod.address, 6379, username="admin", password=PASSWORDS["admin"], decode_responses=True) as client:  # fmt: skip
        return str(client.role()[0])


def settled(ledger: Ledger) -> int:
    """Acknowledged writes that are gone, once the set is whole again and writes go on."""
    ready(ledger.rig)
    ledger.wait_for(300)
    return ledger.lost()


def test_the_set_forms_by_itself_and_no_password_is_seen(bare: Rig):
    bare.start()
    took = ready(bare)
    print(f"\nformed in {took:.1f} s")

    assert roles(bare) == ["master", "slave", "slave"]
    assert primary(bare).ordinal == 0
    arguments = [Path(f"/proc/{p.server.pid}/cmdline").read_text() for p in bare.pods.values() if p.server]  # fmt: skip
    seen = "".join([*arguments, *(pod.says() for pod in bare.pods.values())])
    assert [key for key, text in PASSWORDS.items() if text in seen] == []


def test_a_killed_primary_is_replaced(rig: Rig, ledger: Ledger):
    for _ in range(TIMES):
        pod, began = primary(rig), time.monotonic()
        pod.kill()
        ledger.wait_for(300)
        pod.start()
        print(f"\nkilled: gap {ledger.gap(began):.1f} s, lost {settled(ledger)} of {len(ledger.acknowledged)}")  # fmt: skip

        assert ledger.gap(began) <= 10
        assert primary(rig) is not pod
    assert ledger.lost() == 0


def test_a_planned_stop_loses_nothing(rig: Rig, ledger: Ledger):
    for _ in range(TIMES):
        pod, began = primary(rig), time.monotonic()
        took = pod.terminate()
        ledger.wait_for(300)
        pod.start()
        print(f"\nplanned: gap {ledger.gap(began):.1f} s, stopped in {took:.1f} s, lost {settled(ledger)} of {len(ledger.acknowledged)}")  # fmt: skip

        assert ledger.gap(began) <= 3
        assert "is the primary now" in pod.says()
        assert ledger.lost() == 0


def test_a_primary_that_returns_empty_takes_nothing_with_it(rig: Rig, ledger: Ledger):
    for _ in range(TIMES):
        pod, began = primary(rig), time.monotonic()
        pod.kill()
        pod.lose_volume()
        pod.start()
        ledger.wait_for(300)
        print(f"\nempty: gap {ledger.gap(began):.1f} s, lost {settled(ledger)} of {len(ledger.acknowledged)}")  # fmt: skip

        assert ledger.lost() == 0
        assert roles(rig) == ["master", "slave", "slave"]
        assert primary(rig) is not pod


def test_all_killed_at_once_come_back_with_one_primary(rig: Rig, ledger: Ledger):
    for _ in range(TIMES):
        began = time.monotonic()
        for pod in rig.pods.values():
            pod.kill()
        rig.start()
        took = ready(rig)
        ledger.wait_for(300)
        print(f"\nall: one primary after {took:.1f} s, gap {ledger.gap(began):.1f} s, lost {ledger.lost()} of {len(ledger.acknowledged)}")  # fmt: skip

        assert took <= 60
        assert roles(rig) == ["master", "slave", "slave"]
        assert ledger.lost() == 0


def test_a_member_whose_name_and_address_went_is_taken_back(rig: Rig, ledger: Ledger):
    for number in range(TIMES):
        pod, began = primary(rig), time.monotonic()
        pod.kill()
        rig.name(pod)
        ledger.wait_for(300)
        print(f"\nname gone: gap {ledger.gap(began):.1f} s")
        pod.address = f"{rig.network}.{100 + number}"
        rig.name()
        pod.start()

        assert settled(ledger) == 0
        assert ledger.gap(began) <= 10


def test_no_hand_over_while_replicas_lag(rig: Rig, ledger: Ledger):
    held = [pod.server.pid for pod in rig.members if pod is not primary(rig) and pod.server]
    for _ in range(TIMES):
        before = primary(rig)
        for each in held:
            os.kill(each, signal.SIGSTOP)
        began = time.monotonic()
        done = before.run(*before.container["lifecycle"]["preStop"]["exec"]["command"])
        took = time.monotonic() - began
        for each in held:
            os.kill(each, signal.SIGCONT)
        print(f"\nrefused after {took:.1f} s: {done.stderr.strip()}")

        assert done.returncode == 0
        assert "did not catch up" in done.stderr
        assert settled(ledger) == 0
        assert primary(rig) is before


def test_a_drained_node_stops_a_sentinel_with_its_primary(rig: Rig, ledger: Ledger):
    """Whichever sentinel stops, it may be the one that carries out the hand-over."""
    for sentinel in rig.sentinels:
        pod, began = primary(rig), time.monotonic()
        with ThreadPoolExecutor() as node:
            took = max(node.map(Pod.terminate, (pod, sentinel)))
        ledger.wait_for(300)
        rig.start(pod, sentinel)
        print(f"\ndrained: gap {ledger.gap(began):.1f} s, gone after {took:.0f} s, lost {settled(ledger)} of {len(ledger.acknowledged)}")  # fmt: skip

        assert ledger.gap(began) <= 4
        assert took < GRACE
    assert ledger.lost() == 0


def test_an_empty_first_member_founds_nothing_where_a_set_has_been(bare: Rig):
    first, second = bare.members[:2]
    bare.form()
    bare.start(first)
    wait_until(lambda: "waiting for one" in first.says())
    time.sleep(5)
    assert not first.probe("livenessProbe")
    first.kill()

    (first.home / "formed/since").unlink()
    bare.start(second)
    wait_until(lambda: "waiting for one" in second.says())
    time.sleep(5)
    assert not second.probe("livenessProbe")

    bare.start(first)
    wait_until(lambda: first.probe("readinessProbe"))
    assert role(first) == "master"


def test_a_sentinel_that_lost_its_state_watches_the_primary_of_now(rig: Rig, ledger: Ledger):
    primary(rig).terminate()
    rig.start(*(pod for pod in rig.members if pod.server and pod.server.poll() is not None))
    ready(rig)
    now = primary(rig)
    for pod in rig.sentinels:
        pod.kill()
        pod.lose_volume()
        pod.start()
        ready(rig)

        assert f"watching {now.host}" in pod.says()
    assert settled(ledger) == 0
    assert primary(rig) is now


def group(rig: Rig, credentials: Mapping[str, str] = PASSWORDS) -> Group:
    members = tuple(Server(pod.name, pod.host, pod.address) for pod in rig.members)
    sentinels = tuple(Server(pod.name, pod.host, pod.address, 26379) for pod in rig.sentinels)
    return Group(group_of(ORDER), members, sentinels, credentials)


async def observed(rig: Rig) -> Observed:
    return observed_of(*await read_group(group(rig)))


def reasons(seen: Observed) -> dict[str, tuple[str, ...]]:
    return {each.name: each.reasons for each in seen.everyone if each.reasons}


async def test_what_is_wrong_is_said_of_whom(rig: Rig):
    seen = await observed(rig)
    assert seen.is_whole, reasons(seen)
    assert (seen.primary, seen.epoch, seen.lag) == (primary(rig).name, 0, seen.lag)
    assert seen.lag is not None
    assert seen.lag <= 2

    replica = next(pod for pod in rig.members if pod is not primary(rig))
    sentinel = rig.sentinels[0]
    replica.kill()
    sentinel.kill()
    seen = await observed(rig)
    assert reasons(seen) == {replica.name: ("Unreachable",), sentinel.name: ("Unreachable",)}
    assert seen.primary == primary(rig).name

    rig.sentinels[1].kill()
    last, deadline = rig.sentinels[2].name, time.monotonic() + 15
    while "NoQuorum" not in reasons(seen := await observed(rig)).get(last, ()):
        assert time.monotonic() < deadline, reasons(seen)
    assert seen.primary == ""

    refused = observed_of(*await read_group(group(rig, {**PASSWORDS, "admin": "wrong"})))
    assert reasons(refused)[next(pod for pod in rig.members if pod is not replica).name] == (
        "NotPermitted",
    )


HOUR = 3600.0


async def test_passwords_are_replaced_under_writes_without_a_restart(rig: Rig, ledger: Ledger):
    servers = [pod.server for pod in rig.pods.values()]
    known, now, steps = dict(PASSWORDS), 0.0, list[str]()
    while (step := await one_pass(rig, known, now)) is not None:
        steps.append(step)
        ledger.binding = rig.secret(ORDER.name())
        ledger.wait_for(50)
        now += HOUR
    assert steps == ["begin", "Accept", "present", "Retire", "forget"]
    rig.write(manifests_of(order_of(**known)))
    fresh = {user: known[user] for user in PASSWORDS}
    assert fresh == {user: f"fresh-{user}.next" for user in PASSWORDS}
    assert [server.poll() for server in servers if server] == [None] * 6
    assert ledger.refused == 0

    pod, began = primary(rig), time.monotonic()
    pod.terminate()
    ledger.wait_for(300)
    pod.start()
    print(f"\nafter rotation: planned gap {ledger.gap(began):.1f} s, lost {settled(ledger)} of {len(ledger.acknowledged)}")  # fmt: skip
    assert ledger.lost() == 0
    old = Redis(pod.address, 6379, username="app", password=PASSWORDS["app"])
    with old, pytest.raises(AuthenticationError):
        old.ping()


async def test_a_server_that_came_back_with_old_files_is_told_again(rig: Rig):
    known = dict(PASSWORDS)
    for expected in ("begin", "Accept", "present"):
        assert await one_pass(rig, known, 0.0) == expected
    replica = next(pod for pod in rig.members if pod is not primary(rig))
    rig.write(manifests_of(order_of(**PASSWORDS)))  # its volume has not caught up
    replica.kill()
    replica.start()
    wait_until(lambda: replica.probe("livenessProbe"))

    assert await one_pass(rig, known, 0.0) == "Accept"
    assert await one_pass(rig, known, 0.0) is None, "an hour's time for applications"
    assert await one_pass(rig, known, HOUR) == "Retire"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
async def test_five_become_three_although_the_primary_has_to_go(suite: str, tmp_path: Path):
    five, three = order_of({"replicas": 5}), order_of()
    rig = Rig(image_root(suite), tmp_path, next(NETWORKS), manifests_of(five))
    try:
        rig.start()
        ready(rig, 90)
        rig.form()
        ledger = Ledger(rig, rig.secret(ORDER.name())).start()
        members = rig.members
        for pod in members[:3]:  # so that one of the two that are to leave is the primary
            with admin(pod) as client:
                client.config_set("replica-priority", 0)
        wait_until(lambda: all("0" in row for row in priorities(rig)), 30)
        members[0].terminate()
        members[0].start()
        ready(rig)
        assert primary(rig) in members[3:]
        began, steps = time.monotonic(), await shrink(rig, five)
        for pod in members[3:]:
            pod.terminate()
            del rig.pods[pod.name]
        rig.name()
        rig.manifests = manifests_of(three)
        while isinstance(step := await scale_step(rig, three), Tell | Wait):
            steps += [type(step.act).__name__] if isinstance(step, Tell) else []
            assert isinstance(step, Wait) or await tell(looked(rig, three), step.act) == ""
            await asyncio.sleep(1)
        ledger.wait_for(300)
        print(f"\nfive to three: {steps}, gap {ledger.gap(began):.1f} s, lost {settled(ledger)} of {len(ledger.acknowledged)}")  # fmt: skip

        assert step is None
        assert steps[-3:] == ["Forget"] * 3
        assert "Replace" in steps
        assert ledger.lost() == 0
        assert ledger.gap(began) <= 5  # four replicas have to catch up, on two cores
        assert roles(rig) == ["master", "slave", "slave"]
        pod, began = primary(rig), time.monotonic()
        pod.terminate()
        ledger.wait_for(300)
        assert ledger.gap(began) <= 5, "whoever is left can still be promoted"
        ledger.stop()
    finally:
        rig.stop()


def admin(pod: Pod) -> Redis:
    return Redis(pod.address, 6379, username="admin", password=PASSWORDS["admin"], decode_responses=True)  # fmt: skip


def priorities(rig: Rig) -> list[str]:
    """What each sentinel has of the first three members."""
    first = {pod.host for pod in rig.members[:3]}
    found = []
    for pod in rig.sentinels:
        with Redis(pod.address, 26379, username="quorum", password=PASSWORDS["quorum"], decode_responses=True) as client:  # fmt: skip
            rows = client.sentinel_slaves(group_of(ORDER))
            found.append(str([r["slave-priority"] for r in rows if r["ip"] in first and r["slave-priority"] != 0] or "0"))  # fmt: skip
    return found


def looked(rig: Rig, order: Order) -> Look:
    return Look("redis", order, {pod.name: pod.address for pod in rig.pods.values()})


async def scale_step(rig: Rig, order: Order) -> object:
    return next_step(Task(order, await look(looked(rig, order)), 3))


async def shrink(rig: Rig, order: Order) -> list[str]:
    """What the operator does until the StatefulSet may be smaller."""
    steps, deadline = list[str](), time.monotonic() + 120
    while not isinstance(step := await scale_step(rig, order), Resize):
        assert time.monotonic() < deadline, (steps, step)
        if not isinstance(step, Wait):
            steps.append(type(step).__name__)
        if isinstance(step, Tell):
            assert await tell(looked(rig, order), step.act) == ""
        elif isinstance(step, Replace):
            rig.pods[step.pod].terminate()
            rig.pods[step.pod].start()
            ready(rig)
        await asyncio.sleep(1)
    return [*steps, "Resize"]


async def one_pass(rig: Rig, known: dict[str, str], now: float) -> str | None:
    """One pass of the operator, as after a restart: everything anew from what is seen, then one step."""
    rig.write(manifests_of(order := order_of(**known)))
    asked = Look("redis", order, {pod.name: pod.address for pod in rig.pods.values()})
    step = next_step(Task(order, await look(asked), 3, "cache@1", now))
    if isinstance(step, Tell):
        assert isinstance(step.act, Accept | Retire)
        assert await tell(asked, step.act) == ""
        return type(step.act).__name__
    if isinstance(step, Amend):
        known |= {key: f"fresh-{key}" for key in step.renew} | dict(step.put)
        for key in step.drop:
            del known[key]
        return "begin" if step.renew else "forget" if not step.put else "present"
    return None


def test_every_setting_that_a_server_tells_is_known(rig: Rig):
    with Redis(primary(rig).address, 6379, username="admin", password=PASSWORDS["admin"], decode_responses=True) as client:  # fmt: skip
        names = list(client.config_get("*"))

    assert len(names) > 150
    assert [name for name in names if not _KNOWN.knows(name)] == []
