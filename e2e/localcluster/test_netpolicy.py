"""Proofs that network policies block what they should and nothing else, on one node and between."""

import os
from collections.abc import Iterator

import pytest

from localcluster.fixtures import Running
from localcluster.proof import eventually, reaches, run_python
from localcluster.workload import allow, policy

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="nodes need root")]


@pytest.fixture
def open_network(apps: Running) -> Iterator[Running]:
    yield apps
    apps.kubectl("delete", "networkpolicies", "--all", "-A")


PROBE = """
import concurrent.futures, socket
def reaches(address):
    try:
        socket.create_connection((address, 8000), 0.7).close()
    except OSError:
        return False
    return True
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(*pool.map(reaches, {addresses}))
"""


def becomes(apps: Running, pod: str, reachable: bool) -> None:
    """The pod reaches all servers (on its own node and others), or none, soon and then steadily."""
    servers = apps.get("pods", "-n", "blue", "-l", "app=server")["items"]
    code = PROBE.replace("{addresses}", repr([each["status"]["podIP"] for each in servers]))
    wanted = " ".join([str(reachable)] * 3) + "\n"
    eventually(
        f"{pod} {'reaches the servers' if reachable else 'is kept from the servers'}",
        lambda: run_python(apps, pod, code) == (0, wanted),
        10,
    )
    for _ in range(2):
        assert run_python(apps, pod, code) == (0, wanted)


def statuses(apps: Running) -> list[tuple[bool, int]]:
    """Readiness and restarts of the servers."""
    servers = apps.get("pods", "-n", "blue", "-l", "app=server")["items"]
    found = [each["status"]["containerStatuses"][0] for each in servers]
    return [(each["ready"], each["restartCount"]) for each in found]


def test_ingress_policies_block_and_allow(open_network: Running) -> None:
    before = statuses(open_network)
    for pod in ("blue/friend", "blue/other", "green/far"):
        becomes(open_network, pod, True)
    open_network.apply(policy("blue", "deny", ingress=[]))
    for pod in ("blue/friend", "blue/other", "green/far"):
        becomes(open_network, pod, False)
    friend = {"podSelector": {"matchLabels": {"app": "friend"}}}
    open_network.apply(policy("blue", "friend", ingress=[allow("from", friend, port="http")]))
    becomes(open_network, "blue/friend", True)
    becomes(open_network, "blue/other", False)
    becomes(open_network, "green/far", False)
    green = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "green"}}}
    open_network.apply(policy("blue", "green", ingress=[allow("from", green, port=8000)]))
    becomes(open_network, "green/far", True)
    open_network.apply(policy("blue", "green", ingress=[allow("from", green, port=8001)]))
    becomes(open_network, "green/far", False)
    assert statuses(open_network) == before, "the kubelet's probes pass, nothing restarts"


def test_egress_policies_block_and_allow(open_network: Running) -> None:
    chosen = {"matchLabels": {"app": "friend"}}
    open_network.apply(policy("blue", "deny", pods=chosen, egress=[]))
    becomes(open_network, "blue/friend", False)
    becomes(open_network, "blue/other", True)
    assert not reaches(open_network, "blue/friend", "kube-dns.kube-system.svc.cluster.local", 53)
    dns = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    block = {"ipBlock": {"cidr": open_network.cluster.pod_cidr}}
    open_network.apply(
        policy("blue", "dns", pods=chosen, egress=[allow("to", dns)]),
        policy("blue", "block", pods=chosen, egress=[allow("to", block, port=8000)]),
    )
    becomes(open_network, "blue/friend", True)
    assert reaches(open_network, "blue/friend", "server.blue.svc.cluster.local", 80)
    api = open_network.cluster
    assert not reaches(open_network, "blue/friend", api.api_service_ip, 443)
