"""`readiness restore SERVICE`: an instance of its own beside the live one, made, filled and left to whoever asked for it.

What is made follows from `dataservices/beside.py`; here it is shown, asked for and carried out with the rights of the user.
The live policy and the repository are only read. Nothing is deleted: who stops is told what is left, and the command that ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import yaml

from readiness import naming
from readiness.cli import kube
from readiness.cli.console import NOT_WANTED, Console, UnprovenError, UsageError
from readiness.model import Manifest

if TYPE_CHECKING:
    from readiness.cluster.connection import Connection
    from readiness.dataservices.beside import Beside, Live

EVERY: Final = 1.0
LONGEST_LOG: Final = 4 << 20


def restore_beside(args: argparse.Namespace, console: Console) -> int:
    """Looks, shows, asks, makes, fills; 0 once the new instance holds what was saved."""
    from readiness.dataservices.beside import beside_of, next_of, plan_of, refusals_of

    live = kube.read(args, lambda connection, namespace: _live(connection, namespace, args))
    if refused := tuple(refusals_of(live, args.snapshot)):
        raise UsageError(*(f"{each.reason}: {each.message}; {each.fix}" for each in refused))
    made = beside_of(live, args.snapshot)
    console.say(plan_of(live, made, args.snapshot))
    if args.dry_run:
        console.write(yaml.safe_dump_all((made.policy, made.wall, made.job), sort_keys=False, width=120))  # fmt: skip
        return 0
    if not args.yes and not console.agrees():
        console.say("nothing was done")
        return NOT_WANTED

    async def work(connection: Connection, _namespace: str) -> int:
        kube.stop_cleanly()
        return await _Restore(connection, made, live.name, args.timeout, console).run()

    try:
        code = kube.read(args, work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None  # SIGTERM or SIGHUP: what is left has been told
    if code == 0:
        console.write(next_of(live, made))
    return code


async def _live(connection: Connection, namespace: str, args: argparse.Namespace) -> Live:
    """What there is of the data service. Raises UsageError where no policy declares it."""
    from readiness.api import read_policy as read_spec
    from readiness.cluster.reading import read_policies, read_policy
    from readiness.dataservices.beside import Live

    there = await read_policies(connection, namespace)
    named = [each for each in there if args.policy in ("", each["metadata"]["name"])]
    policy = kube.declaring(named, args.name, namespace)
    owner = policy["metadata"]["name"]
    drill = naming.store(owner, args.name, naming.RESTORE_DRILL)
    return Live(
        policy, read_spec(policy["spec"]), args.name,
        drill=await _found(connection, f"/apis/batch/v1/namespaces/{namespace}/cronjobs/{drill}"),
        there=await read_policy(connection, namespace, naming.restored(owner, args.name)),
    )  # fmt: skip


async def _found(connection: Connection, path: str) -> Manifest | None:
    from readiness.cluster.connection import ApiError

    try:
        return await connection.request("GET", path)
    except ApiError as error:
        if error.status != 404:
            raise
        return None


@dataclass(slots=True)
class _Restore:
    """One restore under way, until `timeout` seconds from now."""

    connection: Connection
    made: Beside
    service: str
    timeout: float
    console: Console
    said: str = ""
    filling: bool = False
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.timeout

    async def run(self) -> int:
        """Everything in its order. Whoever stops it, or whatever stands in its way: what is left is told."""
        code = 1
        try:
            owner = naming.owner(self.made.name, await self._create(self.made.policy))
            await self._until_ready()
            for each in (self.made.wall, self.made.job):
                await self._create(each | {"metadata": each["metadata"] | {"ownerReferences": [owner]}})  # fmt: skip
            self.filling = True
            code = await self._follow()
            self.filling = False
        finally:
            job = self.made.job["metadata"]
            if self.filling:
                self.console.say(f"Job/{job['name']} goes on by itself: kubectl -n {job['namespace']} logs -f job/{job['name']}")  # fmt: skip
            if code:
                self.console.say(f"left: ReadinessPolicy/{self.made.name} and what belongs to it, as far as it was made; delete it all: {self.made.removal}")  # fmt: skip
        return code

    async def _create(self, wanted: Manifest) -> str:
        """Its uid. Raises UnprovenError where it cannot be made."""
        from readiness.cluster.connection import ApiError

        name = f"{wanted['kind']}/{wanted['metadata']['name']}"
        try:
            found = await self.connection.request("POST", _path(wanted), wanted)
        except ApiError as error:
            words = f"{name} cannot be made: {' '.join(str(error).split())}"
            fix = "you need to create readinesspolicies, networkpolicies and jobs, and to get pods and their logs, in this namespace"
            raise UnprovenError(words, fix) from None
        self.console.say(f"made {name}")
        return str(found["metadata"]["uid"])

    async def _until_ready(self) -> None:
        from readiness.dataservices.beside import row_of

        path = f"{_path(self.made.policy)}/{self.made.name}"
        while True:
            policy = await self.connection.request("GET", path)
            ready, words = row_of(policy, self.service)
            self._tell(f"{self.service}: {words}")
            if ready:
                return
            await self._pause(f"the new instance is not ready: {words}")

    async def _follow(self) -> int:
        """What the Job says, and how it ends."""
        job = self.made.job["metadata"]
        pod = await self._pod(lambda state: bool(state.get("running") or state.get("terminated")))
        with suppress(TimeoutError):
            async with asyncio.timeout(self.until - time.monotonic()):
                await self._show_log(pod["metadata"]["name"])
        pod = await self._pod(lambda state: "terminated" in state)
        code = _state(pod).get("terminated", {}).get("exitCode", 1)
        if code:
            self.console.say(f"Job/{job['name']} has not restored it: see what it said above")
        return int(bool(code))

    async def _pod(self, holds: Callable[[Manifest], bool]) -> Manifest:
        """The pod of the Job, once its container is so, or will be nothing any more."""
        job = self.made.job["metadata"]
        query = {"labelSelector": f"batch.kubernetes.io/job-name={job['name']}"}
        while True:
            found = await self.connection.request("GET", f"/api/v1/namespaces/{job['namespace']}/pods", query=query)  # fmt: skip
            pod = next(iter(found.get("items") or ()), None)
            if pod and (holds(_state(pod)) or pod["status"].get("phase") in ("Failed", "Succeeded")):  # fmt: skip
                return dict(pod)
            words = _waiting(pod) if pod else f"Job/{job['name']} has made no pod yet"
            self._tell(words)
            await self._pause(f"Job/{job['name']} has not ended: {words}")

    async def _show_log(self, pod: str) -> None:
        """What it says, as it says it. Nothing hangs on it: how it ends is told by its pod."""
        import aiohttp

        from readiness.cluster.connection import ApiError
        from readiness.cluster.lines import lines_of
        from readiness.timeline import ProblemError

        path = f"/api/v1/namespaces/{self.made.job['metadata']['namespace']}/pods/{pod}/log"
        query = {"follow": "true", "container": naming.RESTORE}
        patience = aiohttp.ClientTimeout(total=None, connect=5.0)
        try:
            async with self.connection.stream("GET", path, query, timeout=patience) as answer:
                async for line in lines_of(answer.content, LONGEST_LOG):
                    self.console.say(f"  {line}")
        except (ApiError, ProblemError) as error:
            self.console.say(f"its log cannot be read: {' '.join(str(error).split())}")

    def _tell(self, words: str) -> None:
        """A line per change."""
        if words != self.said:
            self.said = words
            self.console.say(words)

    async def _pause(self, instead: str) -> None:
        """Raises UnprovenError when the time is over."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise UnprovenError(f"after {self.timeout:g} s {instead}", "give it longer with --timeout, or see what holds it up")  # fmt: skip
        await asyncio.sleep(min(EVERY, left))


def _path(of: Manifest) -> str:
    """Where objects of its kind are made."""
    plural = {"ReadinessPolicy": "readinesspolicies", "NetworkPolicy": "networkpolicies", "Job": "jobs"}  # fmt: skip
    return f"/apis/{of['apiVersion']}/namespaces/{of['metadata']['namespace']}/{plural[of['kind']]}"


def _state(pod: Manifest) -> Manifest:
    statuses = pod["status"].get("containerStatuses") or ()
    return next((dict(each.get("state") or {}) for each in statuses if each["name"] == naming.RESTORE), {})  # fmt: skip


def _waiting(pod: Manifest) -> str:
    """What the scheduler or the kubelet says of it."""
    conditions = pod["status"].get("conditions") or ()
    told = next((str(c["message"]) for c in conditions if c.get("reason") == "Unschedulable"), "")
    waiting = _state(pod).get("waiting") or {}
    words = told or f"{waiting.get('reason', 'starting')} {waiting.get('message', '')}".strip()
    return f"pod {pod['metadata']['name']}: {words}"
