"""Manifests of the small applications that the proofs run."""

from typing import Final

from localcluster.api import Manifest

IMAGE: Final = "localcluster/probe:1"
SERVE: Final = "exec python3 -m http.server --directory /data 8000"


def namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def server(where: str) -> list[Manifest]:
    """A web server with a volume on every node, and the Service of its pods' names."""
    labels = {"app": "server"}
    container = {
        "name": "server",
        "image": IMAGE,
        "command": ["sh", "-c", SERVE],
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "peers", "namespace": where},
            "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 8000}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "server", "namespace": where},
            "spec": {
                "serviceName": "peers",
                "replicas": 3,
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": labels},
                "volumeClaimTemplates": [claim],
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "topologySpreadConstraints": [spread],
                        "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
                        "containers": [container],
                    },
                },
            },
        },
    ]


def service(where: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": where},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }


def client(where: str, name: str) -> Manifest:
    """A pod that does nothing until told to."""
    container = {"name": "client", "image": IMAGE, "command": ["sleep", "infinity"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": where, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def policy(
    where: str,
    name: str,
    *,
    pods: Manifest | None = None,
    ingress: list[Manifest] | None = None,
    egress: list[Manifest] | None = None,
) -> Manifest:
    """A policy of the directions that are given; it selects the servers unless told otherwise."""
    rules = {"ingress": ingress, "egress": egress}
    given = {key: value for key, value in rules.items() if value is not None}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": where},
        "spec": {
            "podSelector": pods or {"matchLabels": {"app": "server"}},
            **given,
            "policyTypes": [key.capitalize() for key in given],
        },
    }


def allow(key: str, peer: Manifest, *, port: int | str | None = None) -> Manifest:
    """One rule; `key` is `from` or `to`."""
    return {key: [peer], **({"ports": [{"port": port}]} if port else {})}
