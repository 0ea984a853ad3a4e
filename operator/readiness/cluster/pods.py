"""The pods of one drill in one namespace: created, followed, ended, cleared away.

What an engine's `Stage` asks for, over the raw connection. What the API server refuses becomes a
Problem in the server's own words. It knows no arm and no verdict.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

import aiohttp

from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.lines import lines_of
from readiness.cluster.watch import BrokenError, events
from readiness.drills.beside import (
    METER,
    WHO,
    Owner,
    build_meter,
    build_signaller,
    has_ended,
    has_started,
    owner_of,
    read_owner,
)
from readiness.drills.room import has_room
from readiness.model import Manifest
from readiness.naming import DRILL
from readiness.timeline import Problem, ProblemError

WATCH_SECONDS: Final = 300
RETRY: Final = 0.2
KILLED: Final = 137
BESIDE_SECONDS: Final = 20.0
LOG_LINES: Final = "5000"
LOG_BYTES: Final = str(1024 * 1024)
LONGEST_METER: Final = 4 * 1024 * 1024
PLURALS: Final = {
    "Pod": "pods", "NetworkPolicy": "networkpolicies", "ConfigMap": "configmaps",
    "Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets",
    "ReplicaSet": "replicasets", "Rollout": "rollouts", "Job": "jobs", "Service": "services", "Event": "events",
    "PodDisruptionBudget": "poddisruptionbudgets",
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

    async def signal(
        self, pod: Manifest, container: str, name: str, accepted: Callable[[], None]
    ) -> Problem | None:
        """Signal process 1 of a container from ephemeral containers that share its processes.

        A first one tells who process 1 is; only that user may signal it, and the pod rarely says.
        """
        user = owner_of(pod, container).user
        if user is None:
            found = await self._owner(pod, container)
            if isinstance(found, Problem):
                return found
            user = found.user
        sender = build_signaller(self._image, container, name, user)
        sent = await self._beside(pod, sender, accepted)
        return sent if isinstance(sent, Problem) else None

    async def meter(self, pod: Manifest, container: str, every: float) -> AsyncIterator[str]:
        """The lines of a meter beside a container, to its end, some of them again. Raises ProblemError where there is none."""
        if pod["spec"].get("shareProcessNamespace"):
            raise ProblemError(Problem("NotMeasured", "the template shares its processes among containers"))  # fmt: skip
        if not has_room(pod):
            raise ProblemError(
                Problem("NotMeasured", "its memory limits leave no room for a meter")
            )
        owner = await self._whole_owner(pod, container)
        if isinstance(owner, Problem):
            raise ProblemError(owner)
        made = build_meter(self._image, pod, container, owner, every)
        if (refused := await self._place(pod, made)) is not None:
            raise ProblemError(refused)
        await self._started(pod, METER)
        while True:
            async with aclosing(self._followed(pod, METER)) as lines:
                async for line in lines:
                    yield line
            now = await self._again(pod)
            if now is None or has_ended(now, METER) is not None:
                return
            await asyncio.sleep(every)

    async def _followed(self, pod: Manifest, name: str) -> AsyncGenerator[str, None]:
        """A container's log from its beginning, for as long as it is followed.

        A kubelet that may watch no more files (inotify) ends it where the log ends now.
        """
        query = {"container": name, "follow": "true"}
        timeout = aiohttp.ClientTimeout(total=None, connect=5.0)
        try:
            async with self._connection.stream("GET", f"{self._pod(pod)}/log", query, timeout=timeout) as answer:  # fmt: skip
                async for line in lines_of(answer.content, LONGEST_METER):
                    yield line
        except ApiError as error:
            raise ProblemError(problem_of(error)) from None

    async def _started(self, pod: Manifest, name: str) -> None:
        """Wait until an ephemeral container has a log. Raises ProblemError when that takes too long."""
        for _ in range(int(BESIDE_SECONDS / RETRY)):
            found = await self._again(pod)
            if found is None or has_started(found, name):
                return
            await asyncio.sleep(RETRY)
        raise ProblemError(_late(name))

    async def _again(self, pod: Manifest) -> Manifest | None:
        """A pod as it is now; None when it cannot be seen."""
        listed = await self._call(
            "GET", path_of("v1", "Pod", self._namespace),
            query={"fieldSelector": f"metadata.name={pod['metadata']['name']}"},
        )  # fmt: skip
        return next(iter(listed.get("items") or ()), None) if isinstance(listed, dict) else None

    async def _whole_owner(self, pod: Manifest, container: str) -> Owner | Problem:
        """User and group that a container runs as."""
        told = owner_of(pod, container)
        known = told.user is not None and told.group is not None
        return told if known else await self._owner(pod, container)

    async def _owner(self, pod: Manifest, container: str) -> Owner | Problem:
        """Who process 1 of a container is, from an ephemeral container that looks."""
        looker = build_signaller(self._image, container, WHO, owner_of(pod, container).user)
        told = await self._beside(pod, looker)
        if isinstance(told, Problem):
            return told
        try:
            return read_owner(told)
        except ValueError:
            return Problem("Aborted", f"who process 1 of {container} is was not told")

    async def _place(self, pod: Manifest, made: Manifest) -> Problem | None:
        """Put an ephemeral container beside the others."""
        path, body = f"{self._pod(pod)}/ephemeralcontainers", {"spec": {"ephemeralContainers": [made]}}  # fmt: skip
        found = await self._call("PATCH", path, body, "application/strategic-merge-patch+json")
        return found if isinstance(found, Problem) else None

    async def _beside(
        self, pod: Manifest, made: Manifest, accepted: Callable[[], None] = lambda: None
    ) -> str | Problem:
        """The last word of an ephemeral container; `accepted` is called when the API server has it."""
        if (refused := await self._place(pod, made)) is not None:
            return refused
        accepted()
        for _ in range(int(BESIDE_SECONDS / RETRY)):
            now = await self._again(pod)
            if now and (ended := has_ended(now, made["name"])):
                words = str(ended.get("message", ""))
                # process 1 takes those who share its processes along when the signal ends it
                taken = ended.get("exitCode") == KILLED and made["args"][-1] != WHO
                fine = taken or not ended.get("exitCode")
                return words if fine else Problem("Aborted", f"{made['name']}: {words}")
            await asyncio.sleep(RETRY)
        return _late(made["name"])

    async def log(self, pod: Manifest, container: str) -> str | Problem:
        """What a container has written, of a long log the end; nothing before it has started."""
        query = {"container": container, "tailLines": LOG_LINES, "limitBytes": LOG_BYTES}
        try:
            async with self._connection.stream("GET", f"{self._pod(pod)}/log", query) as answer:
                return (await answer.content.read()).decode(errors="replace")
        except ApiError as error:
            return "" if error.status == 400 else problem_of(error)

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


def _late(name: str) -> Problem:
    return Problem("Aborted", f"the ephemeral container {name} did not run in {BESIDE_SECONDS:g} s")


def problem_of(error: ApiError) -> Problem:
    """What a refusal means for a drill: a quota, admission, missing rights, or a cluster in trouble."""
    words = error.message
    if error.status == 403 and "exceeded quota" in words:
        return Problem("Quota", words)
    if error.status == 403 and "cannot" in words and not any(p in words for p in _POLICY):
        return Problem("NotPermitted", words, _grant(words))
    if error.status in (400, 403, 409, 422):
        return Problem("Denied", words)
    if error.status == 404:
        return Problem("NotFound", words)
    return Problem("Aborted", words)


def _grant(words: str) -> str:
    """The command that lets drills into the namespace of which the server speaks."""
    named = re.search(r'in the namespace "([^"]+)"', words)
    namespace = named[1] if named else "<namespace>"
    return (
        f"sed 's/your-namespace/{namespace}/' manifests/drills/drills.yaml | kubectl apply -f -"
        f" (or add {namespace} to the chart's drills.namespaces)"
    )
