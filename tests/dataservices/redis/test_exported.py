"""A redis_exporter on real servers, with the environment, the login and the rights that are rendered for it."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from certificates import secret_of

from readiness.cluster.certificates import certificate_of
from readiness.dataservices.redis.build import members_of, sentinels_of
from readiness.model import Manifest

from .orders import PASSWORDS, manifests_of, order_of
from .rig import Pod, Rig, image_root

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts and chroot need root"),
]
NETWORKS = (f"127.{121 + os.getpid() % 30}.{number}" for number in count(1))
AUTHORITY = trustme.CA()
FOUND: dict[str, Any] = {"metrics": {"serviceMonitor": True}}
TLS = {**FOUND, "tls": {"secretRef": {"name": "cache-tls"}}}


class Exported:
    """A Redis and its exporter, as processes; and how Prometheus would read each server."""

    def __init__(self, spec: dict[str, Any], home: Path) -> None:
        order = order_of(spec, exporter="exporter:1")
        names = [f"*.{part.domain}" for part in (members_of(order), sentinels_of(order))]
        secret = secret_of("cache-tls", AUTHORITY, *names, order.host(order.name("sentinel")))
        order = order_of(spec, certificate_of("cache-tls", secret), exporter="exporter:1")
        manifests = [*manifests_of(order), secret]
        self.rig = Rig(image_root("trixie", "prometheus-redis-exporter"), home, next(NETWORKS), manifests)  # fmt: skip
        self.pod = self._pod(next(each for each in manifests if each["kind"] == "Deployment"))
        monitor = next(each for each in manifests if each["kind"] == "ServiceMonitor")
        self.endpoints: list[Manifest] = monitor["spec"]["endpoints"]

    def _pod(self, deployment: Manifest) -> Pod:
        """The program is where Debian has it; in the image it is what the image starts."""
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        address = f"{self.rig.network}.99"
        listen = {"name": "REDIS_EXPORTER_WEB_LISTEN_ADDRESS", "value": f"{address}:9121"}
        made = {**container, "command": ["/usr/bin/prometheus-redis-exporter"], "env": [*container["env"], listen]}  # fmt: skip
        user, home = str(spec["securityContext"]["runAsUser"]), self.rig.home / "exporter"
        self.rig._fill(home, spec)
        return Pod("exporter", "", address, made, user, home, self.rig)

    def read(self, endpoint: Manifest, **params: str) -> str:
        """As Prometheus does it, which believes what the endpoint says and nothing else."""
        tls = endpoint.get("tlsConfig", {})
        trust = ssl.create_default_context()
        AUTHORITY.configure_trust(trust)
        url = f"{endpoint.get('scheme', 'http')}://{self.pod.address}:9121{endpoint['path']}"
        asked = {**{key: value[0] for key, value in endpoint.get("params", {}).items()}, **params}
        with httpx.Client(verify=trust, trust_env=False, timeout=20) as client:
            name = {"sni_hostname": tls["serverName"]} if tls else {}
            return client.get(url, params=asked, extensions=name).raise_for_status().text


@pytest.fixture(params=[FOUND, TLS], ids=["plain", "tls"])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Exported]:
    found = Exported(request.param, tmp_path)
    found.rig.start()
    until(lambda: all(pod.probe("readinessProbe") for pod in found.rig.pods.values()), 120)
    found.rig.form()
    found.pod.start()
    until(lambda: answers(found.pod), 20)
    yield found
    found.pod.kill()
    found.rig.stop()


def answers(pod: Pod) -> bool:
    with socket.socket() as client:
        return client.connect_ex((pod.address, 9121)) == 0


def until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_it_reads_every_server_as_a_user_who_may_do_nothing_else(exported: Exported):
    texts = {each["relabelings"][0]["replacement"].partition(".")[0]: exported.read(each) for each in exported.endpoints}  # fmt: skip

    assert texts.keys() == exported.rig.pods.keys()
    assert [name for name, text in texts.items() if "\nredis_up 1\n" not in text] == []
    roles = [text.partition('role="')[2].partition('"')[0] for name, text in texts.items() if "sentinel" not in name]  # fmt: skip
    assert sorted(roles) == ["master", "slave", "slave"]
    for name, text in texts.items():
        assert ("redis_sentinel_masters 1" in text) is ("sentinel" in name)
        assert ("redis_memory_max_bytes" in text) is ("sentinel" not in name)
        assert "redis_slowlog_length" in text or "sentinel" in name
    told = exported.pod.says() + "".join(texts.values())
    assert not any(password in told for password in PASSWORDS.values())


def test_whoever_names_another_server_to_it_gets_no_password(exported: Exported):
    received = b""
    with socket.create_server((f"{exported.rig.network}.98", 6379)) as server:

        def listen() -> None:
            nonlocal received
            client, _ = server.accept()
            client.settimeout(2)
            with client:
                while chunk := client.recv(1024):
                    received += chunk
                    client.sendall(b"+OK\r\n")

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        exported.read(exported.endpoints[0], target=f"redis://{exported.rig.network}.98:6379")
        thread.join(10)

    assert received, "it was asked, or this test shows nothing"
    assert not any(password.encode() in received for password in PASSWORDS.values())
