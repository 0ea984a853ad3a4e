"""Real RabbitMQ members as the operator renders them, without a kubelet: formed, killed, stopped, emptied, cut off, while
a publisher keeps a ledger of what was confirmed. Prints the figures that docs/data-services.md keeps.
"""

import asyncio
import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

import image
from localcluster import images
from readiness.api.dataservice import DataService
from readiness.dataservices.command import Amend, Resize, Task, Tell, Wait
from readiness.dataservices.order import Order
from readiness.dataservices.rabbitmq import build_rabbitmq
from readiness.dataservices.rabbitmq.commands import SetUser, next_step
from readiness.dataservices.rabbitmq.leaving import Grow, Mark
from readiness.dataservices.rabbitmq.reading import (
    Observed,
    disturbances,
    members_of,
    queues_of,
    seen_of,
)
from readiness.dataservices.rabbitmq.users import (
    ACTIVE,
    CREDENTIALS,
    OPERATOR,
    USERS,
    password_hash,
)
from readiness.engines.stores.rabbitmq import Management
from sandbox import NET, Sandbox, rootfs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
TIMES: Final = range(3)
LEDGER: Final = Path(__file__).with_name("amqpledger.py")
PASSWORDS: Final = {each.key: f"{each.key}-secret" for each in CREDENTIALS}
CLONE_NEWNET: Final = 0x40000000
USER: Final = "app-a"


@dataclass
class Ledger:
    """A publisher at work."""

    publisher: subprocess.Popen[str]

    def close(self) -> dict[str, Any]:
        out, _ = self.publisher.communicate("end\n", timeout=30)
        return dict(json.loads(out))


@dataclass
class Cluster:
    """Three members and their clients."""

    box: Sandbox
    figures: dict[str, list[float]] = field(default_factory=dict)

    def ctl(self, index: int, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.box.running[self.box.pod(index)].run(f"/usr/lib/rabbitmq/bin/{program}", "-q", *arguments)  # fmt: skip

    def ask(self, index: int, path: str) -> Any:
        """What a member's management API answers; None when it does not. Cheaper than a command of RabbitMQ's."""
        login = f"user = {OPERATOR}:{PASSWORDS[f'{OPERATOR}-password']}"
        url = f"http://{NET}.{index + 1}:15672{path}"
        command = self.box.outside("curl", "-sf", "-m", "5", "-K", "-", url)
        done = subprocess.run(command, input=login, capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def look(self, index: int) -> Observed:
        nodes, queues = self.ask(index, "/api/nodes"), self.ask(index, "/api/queues")
        if nodes is None or queues is None:
            return Observed()
        return Observed(members_of(nodes), queues_of(queues))

    def whole(self, index: int = 0) -> bool:
        """Three run, nothing is wrong, and every queue has three members online."""
        return disturbances(self.look(index), 3) == ()

    def wait(self, seconds: float, holds: Callable[[], bool]) -> float:
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, self.box.log(0)[-3000:]
            time.sleep(1)
            if restarted := self.box.tend():
                self.record("containers that ended by themselves while others came back", restarted)
        return time.monotonic() - began

    def leader(self, queue: str) -> int:
        """The pod that leads a queue, as any running member says."""
        found = {queue.name: queue.leader for i in range(3) for queue in self.look(i).queues or ()}
        return int(found[queue].rpartition("-")[2])

    def client(
        self, verb: str, queue: str, user: str = USER, known: Mapping[str, str] = PASSWORDS
    ) -> subprocess.Popen[str]:
        hosts = ",".join(f"{NET}.{index}" for index in (1, 2, 3))
        command = self.box.outside(sys.executable, str(LEDGER), verb, "--hosts", hosts, "--user", user, "--queue", queue)  # fmt: skip
        environment = {**os.environ, "AMQP_PASSWORD": known[f"{user}-password"]}
        return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def publish(self, queue: str, user: str = USER, known: Mapping[str, str] = PASSWORDS) -> Ledger:
        publisher = self.client("publish", queue, user, known)
        assert publisher.stderr is not None
        assert publisher.stderr.readline() == "begun\n"
        time.sleep(2)
        return Ledger(publisher)

    def lost(self, queue: str, ledger: dict[str, Any]) -> set[int]:
        out, err = self.client("read", queue).communicate(timeout=120)
        assert out, err
        return set(ledger["confirmed"]) - set(json.loads(out)["found"])

    def operator(self, known: dict[str, str]) -> Management:
        return Management(
            [self.box.host(i) for i in range(3)],
            known,
            {self.box.pod(i): f"{NET}.{i + 1}" for i in range(3)},
        )

    def inside(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something of the operator's in the members' network."""

        def run() -> Any:
            with Path(f"/proc/{self.box.net.pid}/ns/net").open("rb") as net:
                assert ctypes.CDLL(None).setns(net.fileno(), CLONE_NEWNET) == 0
            return asyncio.run(work)

        with ThreadPoolExecutor(1) as apart:
            return apart.submit(run).result()

    def record(self, what: str, figure: float) -> None:
        self.figures.setdefault(what, []).append(round(figure, 2))


def order_of(
    known: Mapping[str, str] = PASSWORDS, *, formed: bool = True, replicas: int = 3
) -> Order:
    service = DataService.model_validate({"name": "jobs", "rabbitmq": {"replicas": replicas}})
    return Order("sandbox", "shop", service, "rabbitmq", "op", "op", 3, known, formed)


def task_of(observed: Observed, known: Mapping[str, str] = PASSWORDS, rotation: str = "") -> Task:
    return Task(order_of(known), seen_of(observed), 3, rotation)


def manifests(*, formed: bool, replicas: int = 3) -> tuple[dict[str, Any], ...]:
    return build_rabbitmq(order_of(formed=formed, replicas=replicas))


@contextmanager
def formed(directory: Path) -> Iterator[Cluster]:
    layer = images.debian_layer(image.SUITE, ("rabbitmq-server",))
    with Sandbox(manifests(formed=False), rootfs(layer), directory) as box:
        cluster = Cluster(box)
        for index in range(3):
            box.start(index)
        cluster.record("formed, s", cluster.wait(120, cluster.whole))
        box.manifests = manifests(formed=True)
        yield cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with formed(tmp_path_factory.mktemp("rabbitmq")) as found:
        yield found
        for what, figures in found.figures.items():
            print(f"\n{what}: {figures} (n = {len(figures)})", end="")


@pytest.fixture
def queue(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    cluster.wait(120, cluster.whole)
    return str(request.node.name)


def test_nobody_gets_in_who_was_not_declared(cluster: Cluster) -> None:
    users = json.loads(cluster.ctl(0, "rabbitmqctl", "list_users", "--formatter", "json").stdout)

    assert "guest" not in {user["user"] for user in users}
    assert {user["user"]: user["tags"] for user in users}[USER] == []
    assert cluster.ctl(0, "rabbitmqctl", "authenticate_user", "guest", "guest").returncode


def test_a_queue_is_a_quorum_queue_unless_it_says_otherwise(cluster: Cluster) -> None:
    shown = cluster.ctl(0, "rabbitmqctl", "list_vhosts", "name", "default_queue_type", "--formatter", "json")  # fmt: skip

    assert json.loads(shown.stdout) == [{"name": "/", "default_queue_type": "quorum"}]


@pytest.mark.parametrize("time_", TIMES)
def test_a_killed_leader_loses_nothing(cluster: Cluster, queue: str, time_: int) -> None:
    ledger = cluster.publish(queue)
    leader = cluster.leader(queue)
    cluster.box.running[cluster.box.pod(leader)].kill()
    time.sleep(8)
    told = ledger.close()
    cluster.box.start(leader)
    cluster.record("leader killed: gap, s", told["gap"])
    cluster.record("leader killed: confirmed", len(told["confirmed"]))

    assert told["gap"] <= 5
    assert not cluster.lost(queue, told)


@pytest.mark.parametrize("time_", TIMES)
def test_a_planned_stop_is_hardly_seen(cluster: Cluster, queue: str, time_: int) -> None:
    ledger = cluster.publish(queue)
    leader = cluster.leader(queue)
    took = cluster.box.stop(leader)
    time.sleep(3)
    told = ledger.close()
    cluster.box.start(leader)
    cluster.record("planned stop: gap, s", told["gap"])
    cluster.record("planned stop: hook and exit, s", took)

    assert told["gap"] <= 2
    assert not cluster.lost(queue, told)


@pytest.mark.parametrize("time_", TIMES)
def test_the_first_member_comes_back_without_its_volume(
    cluster: Cluster, queue: str, time_: int
) -> None:
    ledger = cluster.publish(queue)
    cluster.box.running[cluster.box.pod(0)].kill()
    shutil.rmtree(cluster.box.volume(0))
    cluster.box.start(0)
    took = cluster.wait(120, lambda: cluster.whole(1))
    told = ledger.close()
    cluster.record("first member emptied: whole again, s", took)
    cluster.record("first member emptied: gap, s", told["gap"])

    assert {member.pod for member in cluster.look(0).members} == set(map(cluster.box.pod, range(3)))
    assert told["gap"] <= 5
    assert not cluster.lost(queue, told)


@pytest.mark.parametrize("time_", TIMES)
def test_all_come_back_when_all_were_killed(cluster: Cluster, queue: str, time_: int) -> None:
    ledger = cluster.publish(queue)
    for index in range(3):
        cluster.box.running[cluster.box.pod(index)].kill()
    for index in range(3):
        cluster.box.start(index)
    took = cluster.wait(120, cluster.whole)
    told = ledger.close()
    cluster.record("all killed: whole again, s", took)

    assert not cluster.lost(queue, told)


@pytest.mark.parametrize("time_", TIMES)
def test_a_leader_cut_off_for_a_minute_loses_nothing(
    cluster: Cluster, queue: str, time_: int
) -> None:
    ledger = cluster.publish(queue)
    leader = cluster.leader(queue)
    cluster.box.cut(leader, off=True)
    time.sleep(60)
    cluster.box.cut(leader, off=False)
    took = cluster.wait(120, lambda: cluster.whole((leader + 1) % 3))
    told = ledger.close()
    cluster.record("leader cut off: gap, s", told["gap"])
    cluster.record("leader cut off: whole again, s", took)

    assert not cluster.lost(queue, told)


def test_a_stop_that_would_cost_a_majority_waits_and_says_why(cluster: Cluster, queue: str) -> None:
    cluster.publish(queue).close()
    cluster.box.running[cluster.box.pod(2)].kill()
    container = cluster.box.running[cluster.box.pod(1)]
    hook = subprocess.Popen(container.command("sh", "/etc/rabbitmq/scripts/stop.sh"))
    message = Path(f"/proc/{container.pid}/root/dev/termination-log")
    cluster.wait(120, lambda: queue in message.read_text())
    waits = hook.poll() is None
    cluster.box.annotate(1, "skip-stop", "true")
    took = cluster.wait(120, lambda: hook.poll() is not None)
    cluster.record("blocked stop: ends after it is told to, s", took)
    cluster.box.annotate(1, "skip-stop", "")
    container.kill()
    for index in (1, 2):
        cluster.box.start(index)

    assert waits
    cluster.wait(120, cluster.whole)


@pytest.mark.parametrize("time_", TIMES)
def test_those_who_stop_together_do_not_wait_for_each_other(
    cluster: Cluster, queue: str, time_: int
) -> None:
    """One is gone first: each of the other two would hold the other's queues for as long as it may."""
    told = cluster.publish(queue).close()
    cluster.box.stop(0)
    with ThreadPoolExecutor(2) as apart:
        took = max(apart.map(cluster.box.stop, (1, 2)))
    cluster.record("the last two stopped together: gone, s", took)
    for index in range(3):
        cluster.box.start(index)
    cluster.wait(120, cluster.whole)

    assert took <= 120
    assert not cluster.lost(queue, told)


def test_a_member_without_its_volume_waits_where_nobody_answers(
    cluster: Cluster, queue: str
) -> None:
    told = cluster.publish(queue).close()
    for index in range(3):
        cluster.box.running[cluster.box.pod(index)].kill()
    shutil.rmtree(cluster.box.volume(0))
    cluster.box.start(0)
    cluster.wait(60, lambda: "waiting for one" in cluster.box.log(0).rpartition("Stopping")[2])
    time.sleep(10)
    alone = cluster.look(0).members
    for index in (1, 2):
        cluster.box.start(index)
    took = cluster.wait(180, cluster.whole)
    cluster.record("emptied while all were down: whole again, s", took)

    assert alone == ()
    assert not cluster.lost(queue, told)


def test_a_rotation_lets_everybody_in_all_the_time(cluster: Cluster, queue: str) -> None:
    """Every step is decided anew from what stands, as an operator does that was restarted in between."""
    ledger, known, steps, told = cluster.publish(queue), dict(PASSWORDS), list[str](), None
    for _ in range(30):
        observed = cluster.inside(cluster.operator(known).read())
        step = next_step(task_of(observed, known, "jobs/app"))
        steps += [name] if (name := type(step).__name__) != "Wait" or "Wait" not in steps else []
        match step:
            case Tell(SetUser() as act):
                assert cluster.inside(cluster.operator(known).carry_out(act)) == ""
            case Amend(_, renew, put):
                known |= {key: f"{known[key]}+" for key in renew} | dict(put)
            case Wait() if told:
                time.sleep(1)  # a connection that is closed is told of for some seconds more
            case Wait():
                told, ledger = ledger.close(), cluster.publish(queue, "app-b", known)
            case _:  # nothing, or what has nothing to do with it
                steps.pop()
                break
        user = known.get(ACTIVE, USER)
        assert not cluster.ctl(0, "rabbitmqctl", "authenticate_user", user, known[f"{user}-password"]).returncode  # fmt: skip
    again = ledger.close()
    refused = cluster.ctl(0, "rabbitmqctl", "authenticate_user", USER, PASSWORDS["app-a-password"])

    for stored in USERS[:2]:
        assert cluster.inside(cluster.operator(PASSWORDS).carry_out(SetUser(stored))) == ""

    assert steps == ["Amend", "Tell", "Amend", "Wait", "Amend", "Tell"]
    assert refused.returncode
    assert told is not None
    assert told["errors"] == again["errors"] == {}


def test_the_operator_gets_a_new_password_and_is_never_locked_out(cluster: Cluster, queue: str) -> None:  # fmt: skip
    """Also not when a member that starts brings the one from before back: its files are as old as its pod."""
    known, steps, own = dict(PASSWORDS), list[str](), USERS[-1]
    for _ in range(10):
        step = next_step(task_of(cluster.inside(cluster.operator(known).read()), known, f"jobs/{own.name}"))  # fmt: skip
        match step:
            case Tell(SetUser() as act):
                assert cluster.inside(cluster.operator(known).carry_out(act)) == ""
            case Amend(_, renew, put, drop):
                known |= dict.fromkeys(renew, f"{own.key}+") | dict(put)
                known = {key: value for key, value in known.items() if key not in drop}
            case _:
                break
        steps.append(type(step).__name__)
    former = cluster.ctl(0, "rabbitmqctl", "authenticate_user", own.name, PASSWORDS[own.key])

    cluster.box.running[cluster.box.pod(0)].kill()
    cluster.box.start(0)
    cluster.wait(180, cluster.whole)
    observed = cluster.inside(cluster.operator(known).read())
    told = cluster.inside(cluster.operator(known).carry_out(SetUser(own)))
    again = cluster.inside(cluster.operator(known).read())
    assert cluster.inside(cluster.operator({**known, **PASSWORDS, f"{own.key}.previous": known[own.key]}).carry_out(SetUser(own))) == ""  # fmt: skip

    assert steps == ["Amend", "Tell", "Amend"]
    assert former.returncode
    assert observed.users is not None
    assert told == ""
    assert again.users is not None
    assert again.users[own.name] == password_hash(own.name, known[own.key])


def test_a_queue_that_lacks_a_member_gets_it_back(cluster: Cluster, queue: str) -> None:
    cluster.publish(queue).close()
    away = cluster.box.host(2)
    assert not cluster.ctl(0, "rabbitmq-queues", "delete_member", queue, f"rabbit@{away}").returncode  # fmt: skip
    step = next_step(task_of(cluster.inside(cluster.operator(PASSWORDS).read())))

    assert isinstance(step, Tell)
    assert step.act == Grow(cluster.box.pod(2))
    assert cluster.inside(cluster.operator(PASSWORDS).carry_out(step.act)) == ""
    cluster.wait(60, cluster.whole)


def test_a_fourth_member_comes_and_goes_and_no_queue_notices(cluster: Cluster, queue: str) -> None:
    """Every step of leaving is decided anew; what the leader is doing goes on."""
    four, box = order_of(replicas=4), cluster.box
    cluster.publish(f"{queue}-before").close()
    box.manifests = manifests(formed=True, replicas=4)
    box.announce(3)
    box.start(3)
    cluster.wait(120, lambda: len([m for m in cluster.look(0).members if m.running]) == 4)
    ledger, steps = cluster.publish(queue), list[str]()
    away = f"rabbit@{box.host(3)}"
    for name in (queue, f"{queue}-before"):
        assert not cluster.ctl(0, "rabbitmq-queues", "add_member", name, away).returncode

    def step() -> object:
        management = Management([box.host(i) for i in range(4)], PASSWORDS, {box.pod(i): f"{NET}.{i + 1}" for i in range(4)})  # fmt: skip
        found = next_step(Task(four, seen_of(cluster.inside(management.read())), 3))
        if isinstance(found, Tell):
            steps.append(type(found.act).__name__)
            assert cluster.inside(management.carry_out(found.act)) == ""
        return found

    cluster.wait(120, lambda: isinstance(step(), Resize))
    took = box.stop(3)
    del box.running[box.pod(3)]
    cluster.record("fourth member leaves: hook and exit, s", took)
    counted = {member.pod for member in cluster.look(0).members}
    box.manifests = manifests(formed=True)
    told = ledger.close()
    cluster.record("fourth member leaves: gap, s", told["gap"])
    left = next_step(Task(order_of(), seen_of(cluster.inside(cluster.operator(PASSWORDS).read())), 3))  # fmt: skip

    assert [each for each in steps if each in ("Shrink", "Mark")] == ["Shrink", "Mark"]
    assert counted == {box.pod(index) for index in range(3)}, "nobody counts it any more"
    assert isinstance(left, Tell)
    assert left.act == Mark(())
    assert cluster.inside(cluster.operator(PASSWORDS).carry_out(left.act)) == ""
    assert told["gap"] <= 2
    assert not cluster.lost(queue, told)
    cluster.wait(60, cluster.whole)
