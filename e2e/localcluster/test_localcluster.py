"""Proofs on real clusters: lifecycle, pods, names, volumes, network policies, broken nodes.

Run as root with `pytest -m e2e e2e/localcluster`; without root only the bare ones run.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from localcluster import cgroup, cluster, host, network, plane, state
from localcluster.fixtures import Running
from localcluster.footprint import footprint, left_behind
from localcluster.proof import eventually, reaches, run_python
from localcluster.run import end, recorded_pid, send

pytestmark = pytest.mark.e2e
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="nodes need root")
NAME = f"proof-{os.getpid()}"
TOOL = [sys.executable, str(Path(__file__).parent)]


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
    up = subprocess.Popen(
        [*TOOL, "up", "--name", clean_name, "--nodes", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
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


@needs_root
@pytest.mark.parametrize("again", [True, False])
def test_a_reboot_can_be_followed_by_up_or_down(clean_name: str, again: bool) -> None:
    before = footprint()
    found = cluster.up(clean_name, node_count=1)
    end(found.records.glob("*"), grace=0)  # a reboot leaves the files, and nothing else
    for each in found.nodes:
        cgroup.kill(each.cgroup)
        cgroup.remove(each.cgroup)
    host.unmount_below(found.dir)
    network.remove(found)
    if again:
        assert cluster.up(clean_name, node_count=1) == found
        assert cluster.status(found)["running"]
    cluster.down(clean_name)
    assert not left_behind(before, found)


def test_clusters_run_side_by_side(bare_cluster: Running, clean_name: str) -> None:
    other = Running(cluster.up(clean_name))
    assert other.api_url != bare_cluster.api_url
    other.kubectl("create", "namespace", "only-here")
    assert "only-here" not in bare_cluster.kubectl("get", "namespaces")


def test_bare_plane_collects_garbage_and_audits(bare_cluster: Running) -> None:
    bare_cluster.kubectl("create", "namespace", "short-lived")
    bare_cluster.kubectl("delete", "namespace", "short-lived", "--timeout=30s")
    assert '"short-lived"' in bare_cluster.audit_log.read_text()
    assert (
        bare_cluster.kubectl("auth", "can-i", "--as=nobody", "list", "pods", check=False) == "no\n"
    )


def test_pods_on_every_node_reach_each_other_by_name(apps: Running) -> None:
    pods = apps.get("pods", "-n", "blue", "-l", "app=server")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3
    for index in range(3):
        for name, port in (
            ("server.blue.svc.cluster.local", 80),
            ("server", 80),
            *((f"server-{other}.peers", 8000) for other in range(3)),
        ):
            eventually(
                f"server-{index} reaches {name}",
                partial(reaches, apps, f"blue/server-{index}", name, port),
                15,
            )


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
        [
            sys.executable,
            "-c",
            f"import urllib.request as u; print(u.urlopen('http://{address}', timeout=3).status)",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "200\n", done.stderr
    assert "GET" in apps.kubectl("-n", "blue", "logs", "server-0")


def test_volumes_outlive_pods_and_end_with_claims(apps: Running) -> None:
    apps.kubectl("-n", "blue", "exec", "server-0", "--", "touch", "/data/kept")
    apps.kubectl("-n", "blue", "delete", "pod", "server-0", "--wait")
    eventually(
        "server-0 is back",
        lambda: (
            "true"
            in apps.kubectl(
                "-n",
                "blue",
                "get",
                "pod",
                "server-0",
                "-o",
                "jsonpath={.status.containerStatuses[0].ready}",
                check=False,
            )
        ),
    )
    assert "kept" in apps.kubectl("-n", "blue", "exec", "server-0", "--", "ls", "/data")
    apps.kubectl("-n", "blue", "scale", "statefulset/server", "--replicas=2")
    claim = apps.get("pvc", "-n", "blue", "data-server-2")
    path = Path(apps.get("pv", claim["spec"]["volumeName"])["spec"]["local"]["path"])
    assert path.is_dir()
    apps.kubectl("-n", "blue", "delete", "pvc", "data-server-2", "--timeout=60s")
    eventually("the directory is gone", lambda: not path.exists())
    eventually(
        "the volume is gone",
        lambda: (
            not plane.admin(apps.cluster).exists(
                f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}"
            )
        ),
    )
    apps.kubectl("-n", "blue", "scale", "statefulset/server", "--replicas=3")
    apps.kubectl("-n", "blue", "rollout", "status", "statefulset/server", "--timeout=60s")


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
    eventually(
        "servers run everywhere",
        lambda: apps.get("statefulset", "-n", "blue", "server")["status"].get("readyReplicas") == 3,
        90,
    )
    pod = next(
        p["metadata"]["name"]
        for p in apps.get("pods", "-n", "blue", "-l", "app=server")["items"]
        if p["spec"]["nodeName"] == "node3"
    )
    eventually("it answers", lambda: reaches(apps, "blue/server-0", f"{pod}.peers", 8000))
