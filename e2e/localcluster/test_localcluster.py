"""Proofs on real clusters: lifecycle, pods, names, volumes, network policies, broken nodes.

Run as root with `pytest -m e2e e2e/localcluster`; without root only the bare ones run.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster import cluster, images, plane, state
from localcluster.fixtures import Running
from localcluster.footprint import footprint, left_behind
from localcluster.run import recorded_pid, send
from localcluster.workload import IMAGE, allow, client, namespace, policy, server, service

pytestmark = pytest.mark.e2e
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="nodes need root")
NAME = f"proof-{os.getpid()}"
TOOL = [sys.executable, str(Path(__file__).parent)]


def eventually(what: str, check: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


@pytest.fixture
def clean_name() -> Iterator[str]:
    yield NAME
    cluster.down(NAME)


@pytest.mark.parametrize("nodes", [0, pytest.param(2, marks=needs_root)])
def test_up_and_down_leave_nothing_behind(clean_name: str, nodes: int) -> None:
    before = footprint()
    found = cluster.up(clean_name, node_count=nodes)
    assert cluster.status(found)["running"]
    assert cluster.up(clean_name, node_count=nodes) == found, "up is idempotent"
    cluster.down(clean_name)
    assert not left_behind(before, found)
    cluster.down(clean_name)


@needs_root
@pytest.mark.parametrize("seconds", [0.3, 0.8, 2.0, 3.2, 4.0, 5.0, 7.0])
def test_down_cleans_up_after_a_killed_up(clean_name: str, seconds: float) -> None:
    before = footprint()
    up = subprocess.Popen([*TOOL, "up", "--name", clean_name, "--nodes", "2"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually("state is written", lambda: state.find(clean_name) is not None)
    time.sleep(seconds)
    up.kill()
    up.wait()
    found = state.load(clean_name)
    cluster.down(clean_name)
    assert not left_behind(before, found)


def test_up_restarts_what_was_killed(clean_name: str) -> None:
    found = cluster.up(clean_name)
    pid = recorded_pid(found.records / "kube-apiserver")
    assert pid
    send(pid, signal.SIGKILL)
    eventually("it is gone", lambda: not recorded_pid(found.records / "kube-apiserver"))
    assert not cluster.status(found)["running"]
    assert cluster.up(clean_name) == found
    assert cluster.status(found)["running"]


def test_clusters_run_side_by_side(bare_cluster: Running, clean_name: str) -> None:
    other = Running(cluster.up(clean_name))
    assert other.api_url != bare_cluster.api_url
    other.kubectl("create", "namespace", "only-here")
    assert "only-here" not in bare_cluster.kubectl("get", "namespaces")


def test_bare_plane_collects_garbage_and_audits(bare_cluster: Running) -> None:
    bare_cluster.kubectl("create", "namespace", "short-lived")
    bare_cluster.kubectl("delete", "namespace", "short-lived", "--timeout=30s")
    assert '"short-lived"' in bare_cluster.audit_log.read_text()
    assert bare_cluster.kubectl("auth", "can-i", "--as=nobody", "list", "pods", check=False) == "no\n"


@pytest.fixture(scope="module")
def apps(three_nodes: Running) -> Running:
    """A server on every node and clients in two namespaces."""
    three_nodes.load_images(images.debian(IMAGE, packages=["python3"]))
    three_nodes.apply(namespace("blue"), namespace("green"), *server("blue"), service("blue"),
                      client("blue", "friend"), client("blue", "other"), client("green", "far"))
    three_nodes.kubectl("-n", "blue", "rollout", "status", "statefulset/server", "--timeout=90s")
    for each in ("blue", "green"):
        three_nodes.kubectl("-n", each, "wait", "--for=condition=Ready", "pods", "--all",
                            "--timeout=90s")
    return three_nodes


def run_python(apps: Running, pod: str, code: str) -> tuple[int, str]:
    where, _, name = pod.partition("/")
    done = apps.try_kubectl("-n", where, "exec", name, "--", "python3", "-c", code)
    return done.returncode, done.stdout + done.stderr


def reaches(apps: Running, pod: str, host: str, port: int) -> bool:
    code = f"import socket; socket.create_connection(({host!r}, {port}), 1)"
    return run_python(apps, pod, code)[0] == 0


def test_pods_on_every_node_reach_each_other_by_name(apps: Running) -> None:
    pods = apps.get("pods", "-n", "blue", "-l", "app=server")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3
    for index in range(3):
        for host, port in (("server.blue.svc.cluster.local", 80), ("server", 80),
                           *((f"server-{other}.peers", 8000) for other in range(3))):
            eventually(f"server-{index} reaches {host}",
                       lambda i=index, h=host, p=port: reaches(apps, f"blue/server-{i}", h, p), 15)


def test_pods_reach_the_api_server_with_their_service_account(apps: Running) -> None:
    code = """
import ssl, urllib.request
home = '/var/run/secrets/kubernetes.io/serviceaccount/'
request = urllib.request.Request('https://kubernetes.default.svc/version',
    headers={'Authorization': 'Bearer ' + open(home + 'token').read()})
context = ssl.create_default_context(cafile=home + 'ca.crt')
print(urllib.request.urlopen(request, context=context, timeout=3).status)
"""
    assert run_python(apps, "blue/friend", code) == (0, "200\n")


def test_unknown_names_are_refused_quickly(apps: Running) -> None:
    start = time.monotonic()
    assert not reaches(apps, "blue/friend", "nowhere.example.com", 80)
    assert time.monotonic() - start < 3


def test_logs_and_the_host_reach_pods(apps: Running) -> None:
    address = apps.get("service", "-n", "blue", "server")["spec"]["clusterIP"]
    done = subprocess.run(
        [sys.executable, "-c",
         f"import urllib.request as u; print(u.urlopen('http://{address}', timeout=3).status)"],
        capture_output=True, text=True, check=False)
    assert done.stdout == "200\n", done.stderr
    assert "GET" in apps.kubectl("-n", "blue", "logs", "server-0")


def test_volumes_outlive_pods_and_end_with_claims(apps: Running) -> None:
    apps.kubectl("-n", "blue", "exec", "server-0", "--", "touch", "/data/kept")
    apps.kubectl("-n", "blue", "delete", "pod", "server-0", "--wait")
    eventually("server-0 is back", lambda: "true" in apps.kubectl(
        "-n", "blue", "get", "pod", "server-0", "-o",
        "jsonpath={.status.containerStatuses[0].ready}", check=False))
    assert "kept" in apps.kubectl("-n", "blue", "exec", "server-0", "--", "ls", "/data")
    apps.kubectl("-n", "blue", "scale", "statefulset/server", "--replicas=2")
    claim = apps.get("pvc", "-n", "blue", "data-server-2")
    path = Path(apps.get("pv", claim["spec"]["volumeName"])["spec"]["local"]["path"])
    assert path.is_dir()
    apps.kubectl("-n", "blue", "delete", "pvc", "data-server-2", "--timeout=60s")
    eventually("the directory is gone", lambda: not path.exists())
    eventually("the volume is gone", lambda: not plane.admin(apps.cluster).exists(
        f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}"))
    apps.kubectl("-n", "blue", "scale", "statefulset/server", "--replicas=3")
    apps.kubectl("-n", "blue", "rollout", "status", "statefulset/server", "--timeout=60s")


@pytest.fixture
def open_network(apps: Running) -> Iterator[Running]:
    yield apps
    apps.kubectl("delete", "networkpolicies", "--all", "-A")


def becomes(apps: Running, pod: str, reachable: bool) -> None:
    """The pod reaches all servers (on its own node and others), or none, soon and then steadily."""
    targets = [f"server-{index}.peers.blue.svc.cluster.local" for index in range(3)]
    addresses = {pod["metadata"]["name"]: pod["status"]["podIP"]
                 for pod in apps.get("pods", "-n", "blue", "-l", "app=server")["items"]}
    for target in targets:
        address = addresses[target.partition(".")[0]]
        eventually(f"{pod} {'reaches' if reachable else 'is kept from'} {target}",
                   lambda a=address: reaches(apps, pod, a, 8000) is reachable, 10)
    for _ in range(2):
        assert [reaches(apps, pod, a, 8000) for a in addresses.values()] == [reachable] * 3


def test_ingress_policies_block_and_allow(open_network: Running) -> None:
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
    ready = open_network.get("pods", "-n", "blue", "-l", "app=server")["items"]
    assert all(pod["status"]["containerStatuses"][0]["ready"] for pod in ready), "probes pass"
    assert not any(pod["status"]["containerStatuses"][0]["restartCount"] for pod in ready)


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
        policy("blue", "block", pods=chosen, egress=[allow("to", block, port=8000)]))
    becomes(open_network, "blue/friend", True)
    assert reaches(open_network, "blue/friend", "server.blue.svc.cluster.local", 80)
    api = open_network.cluster
    assert not reaches(open_network, "blue/friend", api.api_service_ip, 443)


def is_ready(apps: Running, name: str) -> bool:
    conditions = apps.get("node", name)["status"]["conditions"]
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_a_cut_node_becomes_not_ready_and_heals(apps: Running) -> None:
    apps.cut("node2")
    try:
        eventually("node2 is not ready", lambda: not is_ready(apps, "node2"))
    finally:
        apps.heal("node2")
    eventually("node2 is ready", lambda: is_ready(apps, "node2"))


def test_a_crashed_node_comes_back_with_its_pods(apps: Running) -> None:
    apps.crash("node3")
    eventually("node3 is not ready", lambda: not is_ready(apps, "node3"))
    apps.restart("node3")
    eventually("servers run everywhere", lambda: apps.get(
        "statefulset", "-n", "blue", "server")["status"].get("readyReplicas") == 3, 90)
    pod = next(p["metadata"]["name"] for p in apps.get(
        "pods", "-n", "blue", "-l", "app=server")["items"] if p["spec"]["nodeName"] == "node3")
    eventually("it answers", lambda: reaches(apps, "blue/server-0", f"{pod}.peers", 8000))
