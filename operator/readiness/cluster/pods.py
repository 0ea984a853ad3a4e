"""The pods of one drill in one namespace: created, followed, ended, cleared away.

What an engine's `Stage` asks for, over the raw connection. What the API server refuses becomes a
Problem in the server's own words. It knows no arm and no verdict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

import aiohttp

from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.watch import BrokenError, events
from readiness.model import Manifest
from readiness.naming import DRILL
from readiness.timeline import Problem

WATCH_SECONDS: Final = 300
RETRY: Final = 0.2
SIGNAL_CONTAINER: Final = "readiness-signal"
PLURALS: Final = {
    "Pod": "pods", "NetworkPolicy": "networkpolicies", "ConfigMap": "configmaps",
    "Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets",
    "ReplicaSet": "replicasets", "Rollout": "rollouts", "Job": "jobs", "Service": "services",
}  # fmt: skip
_POLICY: Final = (
    "PodSecurity",
    "admission webhook",
    "denied the request",
    "ValidatingAdmissionPolicy",
)
log = logging.getLogger(__name__)


def path_of(api_version: str, kind: str, namespace: str, name: str = "") -> str:
    """Where objects of a kind are served. Raises KeyError for a kind no drill touches."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    last = f"/{name}" if name else ""
    return f"{root}/namespaces/{namespace}/{PLURALS[kind]}{last}"


class Pods:
    """One drill's hands. `run` is the label by which everything of it is found."""

    def __init__(self, connection: Connection, namespace: str, run: str, image: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._run = run
        self._image = image

    async def workload(self, api_version: str, kind: str, name: str) -> Manifest | Problem:
        """The workload as it stands now, whole."""
        return await self._call("GET", path_of(api_version, kind, self._namespace, name))

    async def config(self, name: str) -> Manifest | Problem:
        """A ConfigMap of the namespace."""
        return await self._call("GET", path_of("v1", "ConfigMap", self._namespace, name))

    async def create(self, manifest: Manifest) -> Manifest | Problem:
        """The object as created."""
        path = path_of(manifest["apiVersion"], manifest["kind"], self._namespace)
        return await self._call("POST", path, manifest)

    async def end(self, pod: Manifest) -> Problem | None:
        """Delete with the pod's own grace; the uid makes sure that it is this very pod."""
        body = {"preconditions": {"uid": pod["metadata"]["uid"]}}
        found = await self._call("DELETE", self._pod(pod), body)
        return found if isinstance(found, Problem) else None

    async def signal(self, pod: Manifest, container: str, name: str) -> Problem | None:
        """Signal process 1 of a container from an ephemeral container that shares its processes."""
        spec = next(c for c in pod["spec"]["containers"] if c["name"] == container)
        context = {
            key: value
            for source in (
                pod["spec"].get("securityContext") or {},
                spec.get("securityContext") or {},
            )
            for key, value in source.items()
            if key in ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile")
        }
        beside = {
            "name": SIGNAL_CONTAINER,
            "image": self._image,
            "imagePullPolicy": "IfNotPresent",
            "targetContainerName": container,
            "args": ["drill-signal", name],
            "securityContext": context | {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }  # fmt: skip
        path = f"{self._pod(pod)}/ephemeralcontainers"
        body = {"spec": {"ephemeralContainers": [beside]}}
        found = await self._call("PATCH", path, body, "application/strategic-merge-patch+json")
        return found if isinstance(found, Problem) else None

    async def follow(self) -> AsyncIterator[tuple[str, Manifest]]:
        """Every event of this drill's pods, across broken watches; what is there counts as ADDED."""
        path = path_of("v1", "Pod", self._namespace)
        selector = {"labelSelector": f"{DRILL}={self._run}"}
        while True:
            try:
                listed = await self._connection.request("GET", path, query=selector)
                for pod in listed.get("items") or ():
                    yield "ADDED", pod
                query = selector | {
                    "watch": "1", "timeoutSeconds": str(WATCH_SECONDS),
                    "resourceVersion": listed["metadata"]["resourceVersion"],
                }  # fmt: skip
                timeout = aiohttp.ClientTimeout(total=None, connect=5.0)
                async with self._connection.stream("GET", path, query, timeout=timeout) as answer:
                    async for event in events(answer.content):
                        if event["type"] == "ERROR":
                            break
                        yield event["type"], event["object"]
            except (ApiError, BrokenError) as error:
                log.info("watch of the drill's pods broke: %s", error)
                await asyncio.sleep(RETRY)

    async def clear(self) -> None:
        """Delete what this drill made that is still there: pods at once, then its policies."""
        selector = {"labelSelector": f"{DRILL}={self._run}"}
        for version, kind in (("v1", "Pod"), ("networking.k8s.io/v1", "NetworkPolicy")):
            path = path_of(version, kind, self._namespace)
            found = await self._call("GET", path, query=selector)
            for each in () if isinstance(found, Problem) else found.get("items") or ():
                meta = each["metadata"]
                body = {"preconditions": {"uid": meta["uid"]}}
                grace = {"gracePeriodSeconds": 1} if kind == "Pod" else {}
                await self._call("DELETE", f"{path}/{meta['name']}", body | grace)

    def _pod(self, pod: Manifest) -> str:
        return path_of("v1", "Pod", self._namespace, pod["metadata"]["name"])

    async def _call(
        self, method: str, path: str, body: Manifest | None = None, content: str = "application/json",
        *, query: dict[str, str] | None = None,
    ) -> Manifest | Problem:  # fmt: skip
        try:
            return await self._connection.request(method, path, body, query=query, content=content)
        except ApiError as error:
            return problem_of(error)


def problem_of(error: ApiError) -> Problem:
    """What a refusal means for a drill: a quota, admission, missing rights, or a cluster in trouble."""
    words = error.message
    if error.status == 403 and "exceeded quota" in words:
        return Problem("Quota", words)
    if error.status == 403 and "cannot" in words and not any(p in words for p in _POLICY):
        return Problem("NotPermitted", words)
    if error.status in (400, 403, 409, 422):
        return Problem("Denied", words)
    if error.status == 404:
        return Problem("NotFound", words)
    return Problem("Aborted", words)
