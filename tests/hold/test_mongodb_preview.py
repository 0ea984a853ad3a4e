"""From a policy to a replica set: the operator's process, a real API server, the stand-in for mongod with its residents, no node.

The test is the kubelet: members run beside it, and pods of the StatefulSet are said to be Ready at their addresses.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from holdrig import ROOT, Namespace, until
from holdworld import policy
from provisioning import grant, message, provisioned
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from readiness import naming

pytestmark = [
    pytest.mark.api,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
NAME = naming.store("app", "orders")
PATIENCE = 240.0  # of a machine that has other work
SECRET = f"{NAME}-{naming.CREDENTIALS}"
NET = f"127.{150 + os.getpid() % 50}.9"
ENTER = 'hostname "$1"; mount --bind "$2" /etc/hosts; shift 2; exec "$@"'


def orders(**spec: Any) -> dict[str, Any]:
    return {"name": "orders", "mongodb": {"image": "registry.example.com/mongo:8", **spec}}


def wanted(**spec: Any) -> dict[str, Any]:
    return policy(controls=(), targets=[], dataServices=[orders(**spec)])


@dataclass
class Members:
    """Three pods' worth of processes, from what the operator has created."""

    space: Namespace
    path: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def get(self, plural: str, name: str, group: str = "") -> dict[str, Any]:
        return self.space.api.request("GET", self.space.path(plural, name, group=group))

    def secret(self, name: str) -> dict[str, str]:
        return {k: base64.b64decode(v).decode() for k, v in self.get("secrets", name)["data"].items()}  # fmt: skip

    @property
    def replicas(self) -> int:
        return int(self.get("statefulsets", NAME, "/apis/apps/v1")["spec"]["replicas"])

    def start(self) -> None:
        until(lambda: all(self.get("pods", f"{NAME}-{n}")["kind"] == "Pod" for n in range(3)), 30)
        files = self.get("configmaps", f"{NAME}-config")["data"]
        (self.path / "members").write_text(files["members"])
        names = [host.rpartition(":")[0] for host in files["members"].split()]
        rows = (f"{NET}.{n + 1} {host}\n" for n, host in enumerate(names))
        (self.path / "hosts").write_text("127.0.0.1 localhost\n" + "".join(rows))
        given = self.secret(SECRET)
        (self.path / "password").write_text(given["operator"])
        (self.path / "keyfile").write_text(given["keyfile"])
        (self.path / "keyfile").chmod(0o400)
        for number in range(3):
            self.start_member(number, files["mongod.conf"])
            self.say_ready(number)

    def start_member(self, number: int, conf: str) -> None:
        home = self.path / f"db{number}"
        home.mkdir()
        for there, here in (('"/data/db"', f'"{home}"'), ("/keyfile/keyfile", str(self.path / "keyfile")), ("bindIpAll: true", f'bindIp: "{NET}.{number + 1}"')):  # fmt: skip
            assert there in conf, conf
            conf = conf.replace(there, here)
        (self.path / f"conf{number}").write_text(conf)
        self.spawn(number, str(ROOT / "e2e/standin"), "--config", str(self.path / f"conf{number}"))
        self.spawn(
            number, "-m", "readiness", "mongod-resident", "--pod", f"{NAME}-{number}", "--port", str(27100 + number),
            "--members-file", str(self.path / "members"), "--password-file", str(self.path / "password"),
            "--mongod", f"{NET}.{number + 1}:27017", "--every", "0.4",
        )  # fmt: skip

    def spawn(self, number: int, *command: str) -> None:
        apart = ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-ec", ENTER, "enter"]  # fmt: skip
        words = [*apart, f"{NAME}-{number}", str(self.path / "hosts"), sys.executable, *command]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "STANDIN_PACE": "0.2"}
        with (self.path / f"log{number}").open("ab") as log:
            self.running.append(subprocess.Popen(words, env=env, stdout=log, stderr=log))

    def say_ready(self, number: int) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        address = f"{NET}.{number + 1}"
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [condition]}  # fmt: skip
        self.space.patch("pods", f"{NAME}-{number}", {"status": status}, "status")

    def client(self, number: int, user: str, password: str) -> MongoClient[dict[str, Any]]:
        return MongoClient(f"{NET}.{number + 1}:27017", directConnection=True, username=user, password=password, authSource="admin", serverSelectionTimeoutMS=2000)  # fmt: skip

    def voters(self) -> list[str]:
        """Hosts that vote, as the primary has it."""
        primary = int(self.row()["primary"].rpartition("-")[2])
        with self.client(primary, "operator", self.secret(SECRET)["operator"]) as client:
            config = client.admin.command("replSetGetConfig")["config"]
        return [m["host"].partition(".")[0] for m in config["members"] if m["votes"]]

    def lets_in(self, user: str, password: str) -> bool:
        primary = int(self.row()["primary"].rpartition("-")[2])
        with self.client(primary, user, password) as client:
            try:
                client.orders.command("ping")
            except OperationFailure:
                return False
            return True

    def row(self) -> dict[str, Any]:
        return self.space.status()["dataServices"][0]


@pytest.fixture
def members(space, tmp_path) -> Iterator[Members]:
    found = Members(space, tmp_path)
    yield found
    for child in found.running:
        child.kill()
        child.wait()
    print("".join(f"--- {log.name}\n{log.read_text()[-1500:]}" for log in sorted(tmp_path.glob("log*"))))  # fmt: skip


def test_a_policy_becomes_a_replica_set_that_grows_rotates_and_shrinks(launch, space, seat, members):  # fmt: skip
    grant(space, seat)
    operator = launch(image="registry.example.com/readiness:1")
    space.apply(wanted())
    until(lambda: provisioned(space) == "False/NotSupported", 30, "a refusal")
    assert "READINESS_STORES_PREVIEW=mongodb" in message(space)

    operator.settings["stores_preview"] = "mongodb"
    operator.restart()
    until(lambda: provisioned(space) == "False/Provisioning", 30, "provisioning")
    members.start()
    until(lambda: "not yet" in message(space) or provisioned(space) == "True/Provisioned", PATIENCE, "a founded set")  # fmt: skip
    operator.restart()  # killed while the set grows
    began = time.monotonic()
    until(lambda: provisioned(space) == "True/Provisioned", PATIENCE, "a whole set")
    print(f"whole {time.monotonic() - began:.0f} s after the operator was killed")
    assert members.voters() == [f"{NAME}-{number}" for number in range(3)]
    assert sorted(row["role"] for row in members.row()["members"]) == ["primary", "secondary", "secondary"]  # fmt: skip

    before = members.secret(NAME)
    assert members.lets_in(before["username"], before["password"])
    space.api.kubectl("annotate", "-n", space.name, "rdy/app", f"{naming.ROTATE}=orders/app@1")
    until(lambda: members.secret(NAME)["username"] == "app-b", PATIENCE, "the second user")
    assert members.lets_in("app-b", members.secret(NAME)["password"])
    until(lambda: not members.lets_in("app", before["password"]), PATIENCE, "the end of the first")

    space.apply(wanted(replicas=1))
    until(lambda: provisioned(space) == "False/FewerThanThree", 30, "a refusal")
    space.apply(wanted(replicas=1, unsafe=["FewerThanThree"]))
    until(lambda: provisioned(space) == "False/Shrink", 30, "another one")
    assert members.replicas == 3
    space.apply(wanted(replicas=1, unsafe=["FewerThanThree", "Shrink"]))
    until(lambda: members.replicas == 1, PATIENCE, "one member")
    assert members.voters() == [f"{NAME}-0"], "the configuration first, then the pods"
