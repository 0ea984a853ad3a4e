"""The world that is judged: workloads as people run them, all of them correct. Pure.

Each has a Deployment, a Service with its EndpointSlice, a budget, a ConfigMap, a ServiceAccount and two
pods; twenty share a namespace. Pods never run here, so their status is written as a kubelet would.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Manifest = dict[str, Any]
GROUP: Final = "/apis/readiness.dev/v1alpha1"
PER_NAMESPACE: Final = 20
SINCE: Final = "2026-01-01T00:00:00Z"
DIGEST: Final = "registry.example/shop/app@sha256:" + "0123456789abcdef" * 4
HASH: Final = "5d4f9c7b8"


def namespace_of(number: int) -> str:
    return f"team-{number // PER_NAMESPACE:03}"


def namespaces(count: int) -> Iterator[Manifest]:
    for number in range(0, count, PER_NAMESPACE):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace_of(number)}}


def nodes() -> Iterator[tuple[str, Manifest]]:
    for number in range(3):
        labels = {
            "kubernetes.io/hostname": f"node{number}",
            "topology.kubernetes.io/zone": f"zone{number}",
        }
        status = {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready",
                            "lastHeartbeatTime": SINCE, "lastTransitionTime": SINCE}],
            "addresses": [{"type": "InternalIP", "address": f"192.0.2.{10 + number}"}],
            "nodeInfo": dict.fromkeys(("machineID", "systemUUID", "bootID", "kernelVersion", "osImage",
                "containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion"), "x")
            | {"operatingSystem": "linux", "architecture": "amd64"},
        }  # fmt: skip
        yield "/api/v1/nodes", {
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node{number}", "labels": labels}, "status": status,
        }  # fmt: skip


def policy(number: int, target: str = "") -> Manifest:
    name = f"w{number:05}"
    return {
        "apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy",
        "metadata": {"name": name, "namespace": namespace_of(number)},
        "spec": {"profiles": ["baseline"], "targets": [{
            "name": "app", "service": {"name": name, "port": "http"}, "shutdown": {"drain": "10s"},
            "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target or name}}]},
    }  # fmt: skip


def policy_path(number: int, sub: str = "") -> str:
    return f"{GROUP}/namespaces/{namespace_of(number)}/readinesspolicies" + sub


def deployment_path(number: int, sub: str = "") -> str:
    return f"/apis/apps/v1/namespaces/{namespace_of(number)}/deployments/w{number:05}" + sub


def workload(number: int) -> Iterator[tuple[str, Manifest]]:
    """(where to create it, the object, with the status that belongs to it) in order."""
    name, labels = f"w{number:05}", {"app.kubernetes.io/name": f"w{number:05}"}
    core, meta = f"/api/v1/namespaces/{namespace_of(number)}", {"name": name, "labels": labels}
    apis = core.replace("/api/v1", "/apis/{}/v1")
    yield (
        f"{core}/serviceaccounts",
        {"kind": "ServiceAccount", "metadata": meta, "automountServiceAccountToken": False},
    )
    data = {
        "LOG_LEVEL": "info",
        "CORS_ORIGINS": f"https://{name}.example.com",
        "DB_HOST": "db.shop.svc",
        "app.yaml": "key: value\n" * 40,
    }
    yield f"{core}/configmaps", {"kind": "ConfigMap", "metadata": meta, "data": data}
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    yield (
        f"{core}/services",
        {
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": ports, "clusterIP": "None"},
        },
    )
    yield f"{apis.format('policy')}/poddisruptionbudgets", {
        "kind": "PodDisruptionBudget", "metadata": meta, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}}}  # fmt: skip
    yield f"{apis.format('apps')}/deployments", _deployment(meta, labels)
    pods = [_pod(number, index, labels) for index in range(2)]
    for pod in pods:
        yield f"{core}/pods", pod
    yield f"{apis.format('discovery.k8s.io')}/endpointslices", {
        "kind": "EndpointSlice", "metadata": {"name": f"{name}-x7k2p", "labels": labels | {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True, "serving": True, "terminating": False},
                       "nodeName": pod["spec"]["nodeName"], "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]}}
                      for pod in pods]}  # fmt: skip


def _template(labels: Manifest, account: str) -> Manifest:
    probe = {
        "httpGet": {"path": "/health", "port": "http"},
        "periodSeconds": 5,
        "timeoutSeconds": 2,
    }
    container = {
        "name": "app", "image": "registry.example/shop/app:1.4.2", "envFrom": [{"configMapRef": {"name": account}}],
        "env": [{"name": "DB_USER", "value": "app"},
                {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": account, "key": "password"}}}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "startupProbe": probe | {"failureThreshold": 30}, "readinessProbe": probe, "livenessProbe": probe,
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    }  # fmt: skip
    return {"metadata": {"labels": labels}, "spec": {
        "serviceAccountName": account, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 30,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                                       "labelSelector": {"matchLabels": labels}}],
        "containers": [container]}}  # fmt: skip


def _deployment(meta: Manifest, labels: Manifest) -> Manifest:
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": _template(labels, meta["name"]),
    }
    conditions = [
        {
            "type": "Available",
            "status": "True",
            "reason": "MinimumReplicasAvailable",
            "lastTransitionTime": SINCE,
        }
    ]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
    return {"kind": "Deployment", "metadata": meta, "spec": spec,
            "status": counts | {"observedGeneration": 1, "conditions": conditions}}  # fmt: skip


def _pod(number: int, index: int, labels: Manifest) -> Manifest:
    name, address = f"w{number:05}", f"10.{100 + index}.{number // 250}.{number % 250 + 1}"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{name}-{HASH}", "controller": True,
             "uid": f"00000000-0000-4000-8000-{number:012}"}  # fmt: skip
    ready = [{"type": kind, "status": "True", "lastTransitionTime": SINCE}
             for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")]  # fmt: skip
    container = {"name": "app", "ready": True, "started": True, "restartCount": 0, "image": "registry.example/shop/app:1.4.2",
                 "imageID": DIGEST, "containerID": f"containerd://{number:064x}",
                 "state": {"running": {"startedAt": SINCE}}, "lastState": {}}  # fmt: skip
    return {
        "kind": "Pod",
        "metadata": {"name": f"{name}-{HASH}-p{index}", "labels": labels | {"pod-template-hash": HASH}, "ownerReferences": [owner]},
        "spec": _template(labels, name)["spec"] | {"nodeName": f"node{index}"},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": f"192.0.2.{10 + index}",
                   "startTime": SINCE, "qosClass": "Burstable", "conditions": ready, "containerStatuses": [container]},
    }  # fmt: skip
