"""What a backup's pod runs, verbatim, on a real RabbitMQ: one member exports its definitions, and a server boots with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from certificates import secret_of

import image
from localcluster import images
from readiness import naming
from readiness.api.backups import Backups
from readiness.api.dataservice import DataService
from readiness.backups.codec import load_source, load_verified
from readiness.backups.manifest import Source, Tally, Verified
from readiness.dataservices.foreign import build_external
from readiness.dataservices.order import Order
from readiness.dataservices.parts import build_secret
from readiness.dataservices.rabbitmq import RABBITMQ
from readiness.dataservices.rabbitmq.dump import source_of
from readiness.dataservices.rabbitmq.users import CREDENTIALS, OPERATOR
from readiness.dataservices.saving import build_saving
from readiness.model import Manifest
from sandbox import NET, Sandbox, rootfs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
PASSWORDS: Final = {each.key: f"canary-of-{each.key}" for each in CREDENTIALS}
BACKUPS: Final = {"destination": {"volume": {"claimName": "c"}}, "passwordSecretRef": {"name": "p"}}
PLAIN, ENCRYPTED = (
    Order(
        "sandbox", "shop", DataService.model_validate({"name": "jobs", "rabbitmq": spec}), "rabbitmq", "op", "op", 3,
        PASSWORDS, backups=Backups.model_validate(BACKUPS),
    )
    for spec in ({}, {"tls": {"secretRef": {"name": "jobs-tls"}}})
)  # fmt: skip
ORDER: Final = PLAIN
JOB: Final = ORDER.name(naming.BACKUP)
DECLARED: Final[dict[str, Any]] = {
    "vhosts": [{"name": "of others", "metadata": {"default_queue_type": "classic"}}],
    "users": [{"name": "clerk", "password_hash": "AAAAAAAAAA==", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["monitoring"]}],
    "permissions": [{"user": "clerk", "vhost": "of others", "configure": "", "write": "^a", "read": ".*"}],
    "topic_permissions": [{"user": "clerk", "vhost": "/", "exchange": "topics", "write": "a", "read": ".*"}],
    "parameters": [
        {"vhost": "of others", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 100}},
        {"vhost": "/", "component": "operator_policy", "name": "o", "value": {"pattern": "^brief", "apply-to": "queues", "priority": 0, "definition": {"expires": 100}}},
    ],
    "global_parameters": [{"name": "port of topics", "value": {"1883": "/", "nothing": {}}}],
    "policies": [{"vhost": "/", "name": "short", "pattern": "^x", "apply-to": "queues", "definition": {"max-length": 7}, "priority": 3}],
    "exchanges": [{"name": "topics", "vhost": "/", "type": "topic", "durable": True, "auto_delete": False, "internal": False, "arguments": {"alternate-exchange": "amq.direct"}}],
    "queues": [
        *({"name": f'orders {n} \u00e9"\\', "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}} for n in range(3)),
        {"name": "old", "vhost": "of others", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "classic", "x-max-length": 5}},
        {"name": "log", "vhost": "of others", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "stream"}},
        {"name": "soon", "vhost": "of others", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "classic", "x-expires": 86400000}},
    ],
    "bindings": [
        *({"source": "topics", "vhost": "/", "destination": f'orders {n} \u00e9"\\', "destination_type": "queue", "routing_key": "a.#", "arguments": {}} for n in range(3)),
        {"source": "amq.direct", "vhost": "of others", "destination": "soon", "destination_type": "queue", "routing_key": "s", "arguments": {}},
    ],
}  # fmt: skip
"""Every sort, names of any characters, a queue that goes by itself."""
LISTENER: Final = """
import os, sys, pika
login = pika.PlainCredentials("app-a", os.environ["AMQP_PASSWORD"])
channel = pika.BlockingConnection(pika.ConnectionParameters(sys.argv[1], credentials=login)).channel()
name = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(name, "topics", "b.#")
print("listening", flush=True)
sys.stdin.read()
"""


@dataclass
class Broker:
    """The only member that there is of three."""

    box: Sandbox
    jobs: Iterator[int]

    def ask(self, user: str, path: str, method: str = "GET", body: object = None) -> tuple[int, str]:  # fmt: skip
        """Status and text of an answer of the management API."""
        login = (
            f'user = "{user}:{PASSWORDS[f"{user}-password"]}"\nwrite-out = "\\n%{{http_code}}"\n'
        )
        data = ("-H", "content-type: application/json", "-d", json.dumps(body)) if body is not None else ()  # fmt: skip
        command = self.box.outside("curl", "-s", "-m", "60", "-K", "-", "-X", method, *data, f"http://{NET}.1:15672{path}")  # fmt: skip
        done = subprocess.run(command, input=login, capture_output=True, text=True, check=False)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), text

    def dump(self, dump: bytes = b"", **told: str) -> Job:
        """A backup's pod; where there is a dump already, only what verifies it."""
        index = next(self.jobs)
        with self.box.job(JOB, index) as job:
            template = job.workload["spec"]["template"]["spec"]
            for container in template["initContainers"]:
                container["env"] = [e | {"value": told.get(e["name"], e.get("value"))} for e in container["env"]]  # fmt: skip
            left = job.volume(index, "backup")
            if dump:
                left.mkdir(parents=True)
                (left / "definitions.json").write_bytes(dump)
            codes = {}
            for name in ("dump", "verify")[bool(dump) :]:
                codes[name] = job.run_init(index, name)
                if codes[name]:
                    break
            return Job(codes, job.log(index), left)


@dataclass
class Job:
    """How the init containers ended, what they said, what they left."""

    codes: dict[str, int]
    said: str
    left: Path

    @property
    def source(self) -> Source:
        return load_source((self.left / "source.json").read_bytes())

    @property
    def verified(self) -> Verified:
        return load_verified((self.left / "verify.json").read_bytes())

    @property
    def reason(self) -> str:
        rows = [line[line.index('{"reason"') :] for line in self.said.splitlines() if '{"reason"' in line]  # fmt: skip
        return str(json.loads(rows[-1])["reason"])


def manifests(order: Order = ORDER, *more: Manifest) -> list[Manifest]:
    secret = build_secret(order.name(naming.CREDENTIALS), PASSWORDS)
    return [
        secret,
        *more,
        *RABBITMQ.build(order.resized(1)),
        *build_saving(RABBITMQ, order, source_of(order)),
    ]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    root = rootfs(images.debian_layer(image.SUITE, ("rabbitmq-server",)))
    with Sandbox(manifests(), root, tmp_path_factory.mktemp("rabbitmq")) as box:
        box.start(0)
        found = Broker(box, count(100))
        for _ in range(120):
            if found.ask(OPERATOR, "/api/definitions")[0] == 200:
                break
            time.sleep(1)
        assert found.ask(OPERATOR, "/api/definitions", "POST", DECLARED) == (204, "")
        yield found


@pytest.fixture(scope="module")
def dumped(broker: Broker) -> Job:
    """While somebody listens, whose queue lives as long as the connection and is no definition."""
    environment = {**os.environ, "AMQP_PASSWORD": PASSWORDS["app-a-password"]}
    command = broker.box.outside(sys.executable, "-c", LISTENER, f"{NET}.1")
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:  # fmt: skip
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
        found = broker.dump()
        listener.communicate("")
    return found


def test_a_member_exports_and_a_server_that_boots_with_it_holds_the_same(dumped: Job):
    assert dumped.codes == {"dump": 0, "verify": 0}, dumped.said
    assert dumped.source.member == f"{ORDER.name()}-0"
    assert dumped.verified.tool == f"rabbitmq-server {dumped.source.server}"
    assert dumped.verified.tallies == (
        Tally("bindings", 4, 1), Tally("exchanges", 1), Tally("global_parameters", 1), Tally("parameters", 2),
        Tally("permissions", 5), Tally("policies", 1), Tally("queues", 6, 1), Tally("topic_permissions", 1), Tally("vhosts", 2),
    )  # fmt: skip
    assert dumped.verified.users == 6
    assert len(dumped.verified.indexes) == 64
    assert {path.name for path in dumped.left.iterdir()} == {"definitions.json", "source.json", "verify.json"}  # fmt: skip


def test_nobody_is_told_a_password(dumped: Job):
    assert not [word for word in PASSWORDS.values() if word in dumped.said]
    assert not any(word in (dumped.left / name).read_text() for name in ("source.json", "verify.json") for word in PASSWORDS.values())  # fmt: skip


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/api/definitions", "GET", 200),
        ("/api/queues/%2F/orders%200%20%C3%A9%22%5C/get", "POST", 401),
        ("/api/exchanges/%2F/topics/publish", "POST", 401),
    ],
)
def test_who_exports_reads_no_message(broker: Broker, path: str, method: str, status: int):
    body = {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto", "properties": {}, "routing_key": "a.b", "payload": "", "payload_encoding": "string"}  # fmt: skip

    assert broker.ask("definitions", path, method, body if method == "POST" else None)[0] == status


def test_nobody_exports_with_less(broker: Broker):
    assert broker.ask("monitoring", "/api/definitions")[0] == 401


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("truncated", "no RabbitMQ boots"),
        ("of nothing", "name no virtual host"),
        ("a binding without its queue", "no RabbitMQ boots"),
        ("a queue twice", "holds other things than they say"),
    ],
)
def test_definitions_that_are_damaged_are_refused_with_a_reason(broker: Broker, dumped: Job, damage: str, says: str):  # fmt: skip
    good = (dumped.left / "definitions.json").read_bytes()
    document = json.loads(good)
    queues = document["queues"]
    broken = {
        "truncated": good[: len(good) // 2],
        "of nothing": b"{}",
        "a binding without its queue": json.dumps(document | {"queues": []}).encode(),
        "a queue twice": json.dumps(document | {"queues": [*queues, *queues[:1]]}).encode(),
    }[damage]
    found = broker.dump(broken)

    assert (found.codes, found.reason) == ({"verify": 1}, "DumpUnreadable"), found.said
    assert says in found.said
    assert not (found.left / "verify.json").exists()


def test_who_does_not_answer_is_passed_over_and_without_anybody_nothing_is_dumped(broker: Broker):
    hosts = [broker.box.host(index) for index in (1, 0)]

    assert broker.dump(MEMBERS=" ".join(hosts)).source.member == f"{ORDER.name()}-0"

    found = broker.dump(MEMBERS=hosts[0])

    assert (found.codes, found.reason) == ({"dump": 1}, "NoMember"), found.said


def test_a_password_that_is_not_taken_is_named(broker: Broker):
    broker.box.manifests = [replaced(each) for each in manifests()]
    try:
        found = broker.dump()
    finally:
        broker.box.manifests = manifests()

    assert (found.codes, found.reason) == ({"dump": 1}, "DumpFailed"), found.said
    assert "answered with status 401" in found.said


@pytest.mark.parametrize(
    ("user", "codes", "says"),
    [("definitions", {"dump": 0, "verify": 0}, ""), ("app-a", {"dump": 1}, "answered with status 401: the user of Secret theirs needs the tag administrator")],
)  # fmt: skip
def test_one_that_others_run_is_dumped_by_the_login_that_is_declared(broker: Broker, user: str, codes: dict[str, int], says: str):  # fmt: skip
    host = f"{ORDER.name()}-0.{ORDER.name('nodes')}.sandbox.svc"
    store = {"rabbitmq": {"hosts": [host], "secretRef": {"name": "theirs"}}}
    service = DataService.model_validate({"name": "jobs", "external": store})
    login = {"username": f"{user}\n", "password": PASSWORDS[f"{user}-password"], "ca.crt": ""}
    jobs = build_external(RABBITMQ, replace(ORDER, service=service))
    broker.box.manifests = [build_secret("theirs", login), *jobs]
    try:
        found = broker.dump()
    finally:
        broker.box.manifests = manifests()

    assert found.codes == codes, found.said
    assert says in found.said


def test_with_tls_a_member_is_asked_for_its_certificate(tmp_path: Path):
    """And believed only where the authority that the dump knows has vouched for it."""
    authority, root = trustme.CA(), rootfs(images.debian_layer(image.SUITE, ("rabbitmq-server",)))
    names = f"*.{ORDER.host(ORDER.name('nodes'))}"
    with Sandbox(manifests(ENCRYPTED, secret_of("jobs-tls", authority, names)), root, tmp_path) as box:  # fmt: skip
        box.start(0)
        broker = Broker(box, count(100))
        for _ in range(60):
            found = broker.dump()
            if found.codes["dump"] == 0:
                break
            time.sleep(2)
        box.manifests = manifests(ENCRYPTED, secret_of("jobs-tls", trustme.CA(), names))
        deceived = broker.dump()

    assert found.codes == {"dump": 0, "verify": 0}, found.said
    assert found.source.member == f"{ORDER.name()}-0"
    assert (deceived.codes, deceived.reason) == ({"dump": 1}, "NoMember"), deceived.said


def replaced(each: Manifest) -> Manifest:
    if each["metadata"]["name"] != ORDER.name(naming.CREDENTIALS):
        return each
    return build_secret(each["metadata"]["name"], PASSWORDS | {"definitions-password": "other"})
