"""What stands in for the kubelet leaves nothing behind, whatever becomes of the test."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

import image
from localcluster import images

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
SCRIPT: Final = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sandbox import Sandbox, rootfs
from localcluster import images
container = {"command": ["sleep", "600"], "volumeMounts": [], "securityContext": {"readOnlyRootFilesystem": True}}
spec = {"securityContext": {"runAsUser": 999}, "containers": [container], "volumes": []}
workload = {"kind": "StatefulSet", "metadata": {"name": "s"}, "spec": {"replicas": 1, "serviceName": "s", "template": {"spec": spec}}}
layer = images.debian_layer(sys.argv[2], ("redis-server",))
with Sandbox([workload], rootfs(layer), Path(sys.argv[3])) as box:
    print(box.start(0).pid, flush=True)
    sys.stdin.read()
"""


def test_a_killed_test_leaves_no_server(tmp_path: Path) -> None:
    images.debian_layer(image.SUITE, ("redis-server",))
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", SCRIPT, here, image.SUITE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as test:  # fmt: skip
        assert test.stdout
        server = Path("/proc") / test.stdout.readline().strip()
        deadline = time.monotonic() + 10
        while b"sleep" not in (server / "cmdline").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert (server / "status").read_text().split("Uid:\t")[1].startswith("999")
        test.kill()
    while server.exists():
        assert time.monotonic() < deadline + 10
        time.sleep(0.05)
