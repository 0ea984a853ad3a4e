#!/usr/bin/env python3
"""`readiness check` beside a bare parse in Python and kubeconform: medians of one interleaved run.

Ratios are medians of the ratios of each turn, so that a machine that slows down slows down both;
one file, being short, is taken four times as often.

    benchmarks/cli.py [--rounds 5] [--sizes 1,100,1000] [--openapi FILE]

Files hold six objects each (Deployment, Service, PodDisruptionBudget, HorizontalPodAutoscaler,
NetworkPolicy, ConfigMap); a third of the applications has a defect. kubeconform is built from its
Go module when Go is there and validates against the schemas of FILE (`kubectl get --raw /openapi/v2`,
asked of the current cluster by default); without either it is left out, and that is said.
Budgets: 1 file ≤ 8 × the bare parse; 1 000 files ≤ 3 × kubeconform. Exit code 1 past three times them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0"
CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    / "readiness-operator"
    / "bench"
)
KINDS = {
    "Deployment",
    "Service",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "ConfigMap",
}
PARSE = "import sys, yaml\nfor f in sys.argv[1:]:\n    with open(f) as s:\n        list(yaml.load_all(s, yaml.CSafeLoader))"
APP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {n}, namespace: shop, labels: {{app: {n}}}}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: {n}}}
  template:
    metadata:
      labels: {{app: {n}}}
      annotations: {{prometheus.io/scrape: "true", prometheus.io/port: "8080"}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: {grace}
      securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
      topologySpreadConstraints:
      - {{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {{matchLabels: {{app: {n}}}}}}}
      containers:
      - name: app
        image: registry.example/shop/{n}:{tag}
        ports:
        - {{name: http, containerPort: 8080}}
        env:
        - {{name: LOG_LEVEL, value: info}}
        - name: POD_NAME
          valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}
        - {{name: DB_PASSWORD, {secret}}}
        envFrom:
        - configMapRef: {{name: {n}}}
        readinessProbe: {{httpGet: {{path: /health, port: http}}, periodSeconds: 5}}
        livenessProbe: {{httpGet: {{path: /live, port: http}}, periodSeconds: 10}}
        startupProbe: {{httpGet: {{path: /live, port: http}}, failureThreshold: 30}}
        resources:
          requests: {{cpu: 100m, memory: 128Mi}}
          limits: {{memory: 128Mi}}
        securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
        volumeMounts:
        - {{name: tmp, mountPath: /tmp}}
      volumes:
      - {{name: tmp, emptyDir: {{sizeLimit: 64Mi}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {n}, namespace: shop}}
spec:
  selector: {{app: {n}}}
  ports:
  - {{name: http, port: 80, targetPort: http}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: {n}, namespace: shop}}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{app: {n}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: {n}, namespace: shop}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {n}}}
  minReplicas: 2
  maxReplicas: 10
  metrics:
  - {{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 70}}}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {n}, namespace: shop}}
spec:
  podSelector:
    matchLabels: {{app: {n}}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector: {{matchLabels: {{role: frontend}}}}
    ports:
    - {{port: http, protocol: TCP}}
  egress:
  - ports:
    - {{port: 53, protocol: UDP}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {n}, namespace: shop}}
data:
  FEATURES: "search,basket,{n}"
  application.yaml: |
    server: {{port: 8080, shutdown: graceful}}
    upstreams:
    - http://inventory.shop.svc
    - http://payments.shop.svc
"""
FROM_SECRET = "valueFrom: {secretKeyRef: {name: db, key: password}}"


def write_corpus(folder: Path, count: int) -> list[str]:
    for i in range(count):
        defect = i % 3
        text = APP.format(
            n=f"app-{i:04}", grace=10 if defect == 0 else 45, tag="latest" if defect == 1 else f"1.{i % 40}.0",
            secret="value: hunter2" if defect == 2 else FROM_SECRET,
        )  # fmt: skip
        (folder / f"app-{i:04}.yaml").write_text(text)
    return sorted(str(path) for path in folder.iterdir())


def write_schemas(openapi: bytes, folder: Path) -> None:
    definitions = json.loads(openapi)["definitions"]

    def inline(node, depth=0):
        if isinstance(node, list):
            return [inline(item, depth) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return (
                inline(definitions[node["$ref"].rpartition("/")[2]], depth + 1)
                if depth < 25
                else {}
            )
        found = {key: inline(value, depth) for key, value in node.items() if key != "description"}
        if found.get("format") == "int-or-string":
            return {"oneOf": [{"type": "string"}, {"type": "integer"}]}
        return found

    for definition in definitions.values():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            name = "-".join(
                p for p in (kind["kind"].lower(), kind["group"].split(".")[0], kind["version"]) if p
            )
            if kind["kind"] in KINDS:
                (folder / f"{name}.json").write_text(json.dumps(inline(definition)))


def kubeconform(openapi: str | None, folder: Path) -> list[str]:
    """Its command line, or nothing, with the reason on stderr."""
    go, binary = shutil.which("go"), CACHE / "kubeconform"
    if not binary.exists():
        if go is None:
            print("kubeconform left out: no Go to build it with", file=sys.stderr)
            return []
        subprocess.run(
            [go, "install", KUBECONFORM], check=True, env=os.environ | {"GOBIN": str(CACHE)}
        )
    try:
        raw = Path(openapi).read_bytes() if openapi else subprocess.run(
            ["kubectl", "get", "--raw", "/openapi/v2"], check=True, capture_output=True).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"kubeconform left out: no schemas to validate against ({error})", file=sys.stderr)
        return []
    write_schemas(raw, folder)
    return [
        str(binary),
        "-strict",
        "-n",
        "2",
        "-schema-location",
        f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
    ]


def measure(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if ended.returncode > 1 or b"Traceback" in ended.stderr:
        raise SystemExit(f"{command[:4]}: {ended.returncode} {ended.stderr.decode()[:500]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        time.perf_counter() - start,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="1,100,1000")
    parser.add_argument("--openapi")
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    over = False
    with tempfile.TemporaryDirectory() as top:
        schemas = Path(top) / "schemas"
        schemas.mkdir()
        os.environ.setdefault("PYTHONPYCACHEPREFIX", f"{top}/pyc")
        tools = {
            "readiness check": [sys.executable, "-m", "readiness", "check"],
            "bare parse": [sys.executable, "-c", PARSE],
        }
        if judge := kubeconform(args.openapi, schemas):
            tools["kubeconform"] = judge
        for size in map(int, args.sizes.split(",")):
            folder = Path(top) / str(size)
            folder.mkdir()
            files = write_corpus(folder, size)
            for command in tools.values():
                measure([*command, *files])  # warm
            seen: dict[str, list[tuple[float, float]]] = {name: [] for name in tools}
            for turn in range(args.rounds * (4 if size == 1 else 1)):
                order = list(tools)[turn % len(tools) :] + list(tools)[: turn % len(tools)]
                for name in order:
                    seen[name].append(measure([*tools[name], *files]))
            ratios = {}
            for name, rows in seen.items():
                wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
                pairs = zip(seen["readiness check"], rows, strict=True)
                ratios[name] = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
                print(
                    f"{size:5} files  {name:16} wall {wall:7.3f} s  cpu {cpu:7.3f} s  ours is {ratios[name]:5.2f} ×"
                )
            if size == 1:
                over |= ratios["bare parse"] > 3 * 8
            if size == 1000 and "kubeconform" in ratios:
                over |= ratios["kubeconform"] > 3 * 3
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
