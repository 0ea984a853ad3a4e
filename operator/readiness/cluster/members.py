"""The pods of a live data service, for a failover drill: seen by name, and evicted, which is all that is done to them.

What the API server refuses becomes a Problem in the server's own words. It knows no arm and no verdict.
"""

from __future__ import annotations

from typing import Final

from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.pods import path_of, problem_of
from readiness.model import Manifest
from readiness.timeline import Problem

GRANT: Final = "sed 's/your-namespace/{}/' manifests/disruptive/disruptive.yaml | kubectl apply -f - (or add {} to the chart's disruptive.namespaces)"


class Members:
    """The members' pods of one namespace."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace

    async def pod(self, name: str) -> Manifest | Problem:
        """A pod as it is now."""
        try:
            return await self._connection.request("GET", path_of("v1", "Pod", self._namespace, name))  # fmt: skip
        except ApiError as error:
            return self._problem(error)

    async def evict(self, pod: Manifest, grace: int | None) -> Problem | None:
        """Evict this very pod, with its own grace or with another; budgets have a say."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        options: Manifest = {"preconditions": {"uid": uid}}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": self._namespace},
            "deleteOptions": options,
        }
        path = f"{path_of('v1', 'Pod', self._namespace, name)}/eviction"
        try:
            await self._connection.request("POST", path, body)
        except ApiError as error:
            return self._problem(error)
        return None

    def _problem(self, error: ApiError) -> Problem:
        if error.status == 429:
            return Problem("Held", f"its budget does not let a member go: {error.message}")
        if error.status == 403:
            return Problem("NotPermitted", error.message, GRANT.format(self._namespace, self._namespace))  # fmt: skip
        return problem_of(error)
