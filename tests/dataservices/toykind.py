"""A kind of data service as small as can be that has every kind of child, and the world around it."""

from __future__ import annotations

from typing import Any

from readiness import naming
from readiness.api import read_policy
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Credential, Order, Refusal
from readiness.dataservices.parts import build_secret
from readiness.dataservices.wish import Wish

NOW = 1_800_000_000.0
Object = dict[str, Any]


def build(order: Order) -> tuple[Object, ...]:
    """Written as builders write: no ownership, no common labels, quantities as people like them."""
    asked, pods = order.service.redis, order.labels("server")
    selector = {"matchLabels": order.selector("server")}
    container = {
        "name": "server", "image": order.image, "command": ["sleep", "3600"],
        "ports": [{"name": "redis", "containerPort": 6379}],
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": order.name(naming.CREDENTIALS), "key": "admin"}}}],
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "access", "mountPath": "/access"}],
    }  # fmt: skip
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": asked.storage}},
            **({"storageClassName": asked.storage_class} if asked.storage_class else {}),
        },
    }  # fmt: skip
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": order.name()}, "automountServiceAccountToken": False},
        build_secret(order.name("access"), {"users": f"admin {order.credentials['admin']}"}),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": order.name("config")}, "data": {each.name: each.value for each in asked.config}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": order.name()}, "spec": {
            "clusterIP": "None", "publishNotReadyAddresses": True, "selector": order.selector("server"),
            "ports": [{"name": "redis", "port": 6379, "targetPort": "redis"}]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": order.name()}, "spec": {
            "podSelector": selector, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 6379, "protocol": "TCP"}]}]}},
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": order.name()}, "spec": {
            "maxUnavailable": 1, "selector": selector}},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": order.name()}, "spec": {
            "replicas": asked.replicas, "serviceName": order.name(), "selector": selector,
            "podManagementPolicy": "Parallel", "updateStrategy": {"type": "OnDelete"},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "template": {"metadata": {"labels": pods}, "spec": {
                "serviceAccountName": order.name(), "automountServiceAccountToken": False,
                "containers": [container],
                "volumes": [{"name": "access", "secret": {"secretName": order.name("access")}}, {"name": "tmp", "emptyDir": {}}],
            }},
            "volumeClaimTemplates": [claim],
        }},
    )  # fmt: skip


def problems(order: Order) -> tuple[Refusal, ...]:
    if order.service.redis.replicas < 3:
        return (Refusal("FewerThanThree", "2 members survive no loss", "ask for three"),)
    return ()


TOY = Kind("redis", (Credential("admin"), Credential("key", 40, "base64")), build, problems)


def policy(
    *services: Object, annotations: Object | None = None, uid: str = "u-1", **spec: Any
) -> Object:
    meta = {"name": "shop", "namespace": "ns", "uid": uid, "annotations": annotations or {}}
    return {"metadata": meta, "spec": {"dataServices": list(services), **spec}}


def wish(its: Object, now: float = NOW, token: str = "t") -> Wish:
    return Wish(its, read_policy(its["spec"]), now, token)
