"""What a drill needs of the cluster: a few verbs on pods of one namespace. A protocol, no client.

`cluster/pods.py` is one; tests have another that runs local processes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from readiness.model import Manifest
from readiness.timeline import Problem


class Stage(Protocol):
    """Creates, ends and follows the pods of one drill. What is refused becomes a Problem."""

    async def workload(self, api_version: str, kind: str, name: str) -> Manifest | Problem:
        """The workload as it stands now, whole."""

    async def config(self, name: str) -> Manifest | Problem:
        """A ConfigMap of the namespace."""

    async def create(self, manifest: Manifest) -> Manifest | Problem:
        """The object as created; Denied, Quota or NotPermitted with the server's own words."""

    async def end(self, pod: Manifest) -> Problem | None:
        """Delete a pod with its own grace; returns when the server has accepted it."""

    async def signal(
        self, pod: Manifest, container: str, name: str, accepted: Callable[[], None]
    ) -> Problem | None:
        """Send a signal to process 1 of a container; `accepted` is called just before it can arrive."""

    async def log(self, pod: Manifest, container: str) -> str | Problem:
        """What a container has written, of a long log the end."""

    def meter(self, pod: Manifest, container: str, every: float) -> AsyncIterator[str]:
        """The lines of a meter beside a container, to its end, some of them again. Raises ProblemError where there is none."""

    def follow(self) -> AsyncIterator[tuple[str, Manifest]]:
        """Every event of the drill's pods from now on: (ADDED | MODIFIED | DELETED, pod)."""

    async def clear(self) -> None:
        """Delete whatever this drill made that is still there."""
