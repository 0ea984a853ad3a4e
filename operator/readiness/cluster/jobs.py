"""The Job of a drill, from outside: started, its log followed, its last word read, deleted.

Where the operator and the command line meet the drill. What cannot be started becomes a Problem in
the words of the scheduler, the kubelet or the API server. It knows no timeline.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from typing import Final

import aiohttp

from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.lines import lines_of
from readiness.cluster.pods import path_of, problem_of
from readiness.drills.isolation import build_runner_access
from readiness.model import Manifest
from readiness.naming import DRILL, DRILL_RUNNER, POLICY_LABEL, drill
from readiness.timeline import Problem, ProblemError
from readiness.workload import STUCK

LOOK_SECONDS: Final = 0.5
START_SECONDS: Final = 60.0
LONGEST_LOG: Final = 512 * 1024
BATCH: Final = "batch/v1"
_POD: Final = re.compile(r'^Error creating: pods "[^"]*" is forbidden: ')
"""The name of a pod that never was is another at every try."""


class Jobs:
    """Drill Jobs of one namespace."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    async def start(self, job: Manifest) -> Problem | None:
        """Create it, and the policy that opens its pod's way where a namespace closes every way.

        First it looks whether it may find it again: the right to create Jobs, which backups have too, is no leave to drill.
        """
        try:
            await self._list("Job", f"{DRILL}={job['metadata']['labels'][DRILL]}")
            made = await self._connection.request("POST", self._path("Job"), job)
            access = build_runner_access(made)
            path = path_of(access["apiVersion"], access["kind"], self._namespace)
            await self._connection.request("POST", path, access)
        except ApiError as error:
            return problem_of(error)
        return None

    async def log(self, run: str) -> AsyncIterator[str]:
        """The lines of its log as they come, to the end. Raises ProblemError if it never starts."""
        pod = await self._running(run)
        path = f"{path_of('v1', 'Pod', self._namespace, pod['metadata']['name'])}/log"
        timeout = aiohttp.ClientTimeout(total=None, connect=5.0)
        try:
            async with self._connection.stream("GET", path, {"follow": "true"}, timeout=timeout) as answer:  # fmt: skip
                async for line in lines_of(answer.content, LONGEST_LOG):
                    yield line
        except ApiError as error:
            raise ProblemError(problem_of(error)) from None

    async def last_word(self, run: str) -> str:
        """The termination message of its pod, once that has ended; empty when there is none."""
        for _ in range(int(10 / LOOK_SECONDS)):
            pod = await self._pod(run)
            ended = _state(pod).get("terminated") if pod else None
            if ended:
                return str(ended.get("message", ""))
            await asyncio.sleep(LOOK_SECONDS)
        return ""

    async def delete(self, run: str) -> None:
        """Delete it and, by garbage collection, everything of its drill.

        Nothing where it may not look: why it may not was told when the Job was to be started.
        """
        try:
            await self._delete(await self._list("Job", f"{DRILL}={run}"))
        except ApiError as error:
            if error.status != 403:
                raise

    async def sweep(self) -> int:
        """Delete every drill that an operator ordered for a policy here; how many there were.

        Nothing where it may not look: there it cannot have ordered any.
        """
        try:
            found = await self._list("Job", f"{DRILL},{POLICY_LABEL}")
        except ApiError:
            return 0
        await self._delete(found)
        return len(found)

    async def _delete(self, jobs: Iterable[Manifest]) -> None:
        for job in jobs:
            meta = job["metadata"]
            body = {"propagationPolicy": "Background", "preconditions": {"uid": meta["uid"]}}
            try:
                await self._connection.request("DELETE", self._path("Job", meta["name"]), body)
            except ApiError as error:
                if error.status != 404:
                    raise

    async def left(self, run: str) -> tuple[str, ...] | None:
        """Names of the drill's pods that are still there; None where that cannot be seen."""
        try:
            found = await self._list("Pod", f"{DRILL}={run}")
        except ApiError:
            return None
        return tuple(sorted(each["metadata"]["name"] for each in found))

    async def refused(self, run: str) -> Problem | None:
        """Why its Job makes no pod, in the API server's words; None where nothing is told, or none may read it."""
        about = f"involvedObject.kind=Job,involvedObject.name={drill(run)},reason=FailedCreate"
        path = path_of("v1", "Event", self._namespace)
        try:
            found = await self._connection.request("GET", path, query={"fieldSelector": about})
        except ApiError:
            return None
        told = [str(each.get("message", "")) for each in found.get("items") or ()]
        return _refusal(_POD.sub("", told[-1])) if told else None

    async def _running(self, run: str) -> Manifest:
        began = asyncio.get_running_loop().time()
        while True:
            pod = await self._pod(run)
            state = _state(pod) if pod else {}
            if pod and (state.get("running") or state.get("terminated")):
                return pod
            waited = asyncio.get_running_loop().time() - began
            if waited > START_SECONDS or state.get("waiting", {}).get("reason") in STUCK:
                told = None if pod else await self.refused(run)
                raise ProblemError(told or _obstacle(pod, state))
            await asyncio.sleep(LOOK_SECONDS)

    async def _pod(self, run: str) -> Manifest | None:
        try:
            found = await self._list("Pod", f"{DRILL_RUNNER}={run}")
        except ApiError as error:
            raise ProblemError(problem_of(error)) from None
        return found[0] if found else None

    async def _list(self, kind: str, selector: str) -> list[Manifest]:
        query = {"labelSelector": selector}
        answer = await self._connection.request("GET", self._path(kind), query=query)
        return list(answer.get("items") or ())

    def _path(self, kind: str, name: str = "") -> str:
        return path_of(BATCH if kind == "Job" else "v1", kind, self._namespace, name)


def _state(pod: Manifest) -> Manifest:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((each.get("state") or {} for each in statuses), {})


def _refusal(words: str) -> Problem:
    """What the controller of Jobs was told when it created the pod."""
    if "service account" in words:
        return Problem("NoPod", words, "manifests/drills holds the ServiceAccount readiness-drill")
    found = problem_of(ApiError(403, words))
    if found.reason == "Quota":
        return Problem(
            "Quota", words, "raise the quota, or lower what else uses it: kubectl describe quota"
        )
    return found


def _obstacle(pod: Manifest | None, state: Manifest) -> Problem:
    if pod is None:
        return Problem(
            "NoPod",
            "the drill's Job made no pod: a quota is full, or the ServiceAccount readiness-drill is missing",
            "compare kubectl describe quota with its 1 CPU and 256Mi; manifests/drills holds the ServiceAccount",
        )
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("reason") == "Unschedulable":
            return Problem("Unschedulable", condition.get("message", ""))
    waiting = state.get("waiting") or {}
    words = f"{waiting.get('reason', 'not started')}: {waiting.get('message', '')}"
    return Problem("ImagePull", f"the drill's own pod does not start: {words}")
