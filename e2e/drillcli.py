"""`readiness drill` as somebody would type it, against the cluster of a test; and what must not be left of it."""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import image
from clusters import Cluster
from drillspace import Space
from recipes import bundle

Manifest = dict[str, Any]
MOST_SECONDS = 1200


def type_drill(
    cluster: Cluster, namespace: str, what: str, name: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """`readiness drill WHAT deployment/NAME`, which prints its findings as JSON."""
    command = [
        *(sys.executable, "-m", "readiness", "drill", what, f"deployment/{name}"),
        *("-n", namespace, "-o", "json", *options),
    ]
    environ = {**cluster.environ, "PYTHONPATH": str(image.ROOT / "operator")}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """Findings by control, what was told meanwhile, the exit code and how long it took."""

    findings: dict[str, Manifest]
    told: str
    code: int
    seconds: float

    @property
    def discarded(self) -> int:
        """How many looks were repeated because something spoiled one."""
        return len(re.findall(r"^look .* DrillDisturbed\b", self.told, re.MULTILINE))

    def moments(self) -> list[dict[tuple[str, str], float]]:
        """Of each look, when something first happened in each arm: seconds since the Job was ordered."""
        looks: list[dict[tuple[str, str], float]] = [{}]
        for line in self.told.splitlines():
            if line.startswith("look "):
                looks.append({})
            elif found := re.match(r" *(\d+\.\d) s  (\S+) +(\S+)", line):
                looks[-1].setdefault((found[2], found[3]), float(found[1]))
        return looks


@dataclass(frozen=True)
class Place(Space):
    """A namespace in which drills may run, with the operator's image for them."""

    image: str

    @classmethod
    def make(cls, cluster: Cluster, name: str, *, labels: Manifest | None = None) -> "Place":
        """The namespace with the rights that drills need, as somebody without Helm would apply them."""
        ours = image.operator_image()
        if cluster.kind != "current":  # there, images are where the cluster pulls from
            cluster.load(ours.name, ours.archive)
        found = cls(cluster, name, ours.name)
        found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})  # fmt: skip
        rights = (image.ROOT / "manifests/drills/drills.yaml").read_text()
        found.kubectl("apply", "-f", "-", text=rights.replace("your-namespace", name))
        return found

    def apply(self, *objects: Manifest) -> None:
        self.kubectl("apply", "-f", "-", text=bundle(objects))

    def rolled_out(self, *names: str) -> None:
        for name in names:
            self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=300s")

    def drill(self, name: str, *options: str, what: str = "shutdown") -> Said:
        """One drill of a Deployment."""
        began = time.monotonic()
        done = type_drill(self.cluster, self.name, what, name, "--image", self.image, *options)
        took = time.monotonic() - began
        rows = json.loads(done.stdout)["findings"] if done.stdout else []
        found = ", ".join(f"{row['id']} {row['result']} {row['reason']}" for row in rows)
        print(f"--- {name}: exit code {done.returncode} after {took:.0f} s: {found}\n{done.stderr}", flush=True)  # fmt: skip
        return Said({row["id"]: row for row in rows}, done.stderr, done.returncode, took)
