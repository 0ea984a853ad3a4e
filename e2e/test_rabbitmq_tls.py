"""Real RabbitMQ members that speak nothing but TLS, to applications, to the operator and to each other.

As in test_rabbitmq_members.py, without a kubelet; what does not depend on TLS is shown there.
"""

import base64
import ctypes
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

import image
from localcluster import images
from readiness.api.dataservice import DataService
from readiness.cluster.certificates import certificate_of
from readiness.dataservices.order import Look, Order
from readiness.dataservices.parts import build_secret
from readiness.dataservices.rabbitmq import RABBITMQ, build_rabbitmq
from readiness.engines.stores.rabbitmq import look
from readiness.snapshot import Seen
from sandbox import NET, Sandbox, rootfs
from test_rabbitmq_members import CLONE_NEWNET, LEDGER, PASSWORDS, USER, asyncio, time

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
AUTHORITY: Final = trustme.CA()
PLAIN: Final = (5672, 15672, 15692)
ENCRYPTED: Final = (5671, 15671, 15691, 25672)


def order(*, formed: bool = False) -> Order:
    spec = {"tls": {"secretRef": {"name": "jobs-tls"}}}
    service = DataService.model_validate({"name": "jobs", "rabbitmq": spec})
    found = certificate_of("jobs-tls", secret())
    made = Order("sandbox", "shop", service, "rabbitmq", "op", "op", 3, PASSWORDS, formed, found)
    assert RABBITMQ.problems(made) == ()
    return made


def secret() -> dict[str, Any]:
    """As cert-manager makes it; another one each time."""
    leaf = AUTHORITY.issue_cert(*names())
    chain = "".join(each.bytes().decode() for each in leaf.cert_chain_pems)
    key, ca = leaf.private_key_pem.bytes().decode(), AUTHORITY.cert_pem.bytes().decode()
    return build_secret("jobs-tls", {"tls.crt": chain, "tls.key": key, "ca.crt": ca})


def names() -> tuple[str, str]:
    service = DataService.model_validate({"name": "jobs", "rabbitmq": {}})
    made = Order("sandbox", "shop", service, "rabbitmq", "op", "op", 3, PASSWORDS)
    return f"*.{made.host(made.name('nodes'))}", made.host(made.name())


@dataclass
class Members:
    """Three of them, looked at by the operator's own code."""

    box: Sandbox

    def look(self) -> Seen:
        addresses = {self.box.pod(index): f"{NET}.{index + 1}" for index in range(3)}

        def run() -> Seen:
            with Path(f"/proc/{self.box.net.pid}/ns/net").open("rb") as net:
                assert ctypes.CDLL(None).setns(net.fileno(), CLONE_NEWNET) == 0
            return asyncio.run(look(Look("rabbitmq", order(), addresses)))

        with ThreadPoolExecutor(1) as apart:
            return apart.submit(run).result()

    def whole(self) -> bool:
        seen = self.look()
        return not seen.reason and len(seen.members) == 3 and not any(m.reasons for m in seen.members)  # fmt: skip

    def wait(self, seconds: float) -> float:
        began = time.monotonic()
        while not self.whole():
            assert time.monotonic() - began < seconds, f"{self.look()}\n{self.box.log(0)[-3000:]}"
            time.sleep(1)
            self.box.tend()
        return time.monotonic() - began

    def authority(self) -> Path:
        return self.box.directory / self.box.pod(0) / "volumes" / "tls" / "ca.crt"

    def client(self, verb: str) -> subprocess.Popen[str]:
        hosts = ",".join(f"{NET}.{index}" for index in (1, 2, 3))
        tls = ("--port", "5671", "--authority", str(self.authority()))
        command = self.box.outside(sys.executable, str(LEDGER), verb, "--hosts", hosts, "--user", USER, "--queue", "q", *tls)  # fmt: skip
        environment = {**os.environ, "AMQP_PASSWORD": PASSWORDS[f"{USER}-password"]}
        return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def shown(self, index: int, port: int) -> str:
        """The certificate that a port shows, or nothing where no TLS is spoken."""
        where = f"{NET}.{index + 1}:{port}"
        command = ("timeout", "10", "openssl", "s_client", "-connect", where)
        done = subprocess.run(self.box.outside(*command), input="", capture_output=True, text=True, check=False)  # fmt: skip
        begin, _, rest = done.stdout.partition("-----BEGIN CERTIFICATE-----")
        return rest.partition("-----END CERTIFICATE-----")[0] if rest and begin else ""


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    layer = images.debian_layer(image.SUITE, ("rabbitmq-server",))
    made = (*build_rabbitmq(order()), secret())
    with Sandbox(made, rootfs(layer), tmp_path_factory.mktemp("rabbitmq")) as box:
        found = Members(box)
        for index in range(3):
            box.start(index)
        print(f"\nformed with TLS after {found.wait(240):.0f} s")
        box.manifests = (*build_rabbitmq(order(formed=True)), secret())
        yield found


def test_nothing_is_said_in_plain_words(members: Members) -> None:
    for index in range(3):
        assert all(members.shown(index, port) for port in ENCRYPTED)
        for port in PLAIN:
            dial = members.box.outside("timeout", "5", "sh", "-c", f"exec 3<>/dev/tcp/{NET}.{index + 1}/{port}")  # fmt: skip
            dial[dial.index("sh")] = "bash"
            assert subprocess.run(dial, capture_output=True, check=False).returncode, port

    pod = members.box.running[members.box.pod(0)]
    ask = ("rabbitmqctl", "-q", "-t", "5", "-n", f"rabbit@{members.box.host(1)}", "cluster_status")
    assert pod.run("sh", "-c", f"PATH=/usr/lib/rabbitmq/bin:$PATH; {' '.join(ask)}").returncode == 0
    plain = f"PATH=/usr/lib/rabbitmq/bin:$PATH; unset RABBITMQ_CTL_ERL_ARGS; {' '.join(ask)}"
    assert pod.run("sh", "-c", plain).returncode


def test_a_planned_stop_and_an_empty_volume_lose_nothing(members: Members) -> None:
    publisher = members.client("publish")
    assert publisher.stderr is not None
    assert publisher.stderr.readline() == "begun\n"
    took = members.box.stop(1)
    members.box.start(1)
    members.wait(180)
    members.box.running[members.box.pod(0)].kill()
    shutil.rmtree(members.box.volume(0))
    members.box.start(0)
    emptied = members.wait(240)
    told = json.loads(publisher.communicate("end\n", timeout=60)[0])
    out, err = members.client("read").communicate(timeout=180)
    assert out, err
    print(
        f"\nstopped in {took:.0f} s, emptied and whole after {emptied:.0f} s, gap {told['gap']} s"
    )

    assert "asking it to forget" in members.box.log(0)
    assert not set(told["confirmed"]) - set(json.loads(out)["found"])
    assert told["gap"] <= 5


def test_a_renewed_certificate_is_taken_up_without_a_restart(members: Members) -> None:
    before = [members.box.running[members.box.pod(index)].pid for index in range(3)]
    renewed = {key: base64.b64decode(text).decode() for key, text in secret()["data"].items()}
    for index in range(3):
        at = members.box.directory / members.box.pod(index) / "volumes" / "tls"
        for key, text in renewed.items():
            (at / key).write_text(text)
    wanted, began = ssl.PEM_cert_to_DER_cert(renewed["tls.crt"].partition("-----END")[0] + "-----END CERTIFICATE-----"), time.monotonic()  # fmt: skip

    def is_new(index: int, port: int) -> bool:
        return base64.b64decode(members.shown(index, port)) == wanted

    while not all(is_new(index, port) for index in range(3) for port in ENCRYPTED):
        assert time.monotonic() - began < 240
        time.sleep(5)
    print(f"\nthe renewed certificate was shown everywhere after {time.monotonic() - began:.0f} s")

    assert [members.box.running[members.box.pod(index)].pid for index in range(3)] == before
    assert members.whole()
