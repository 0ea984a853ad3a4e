"""One Secret read by its name, for one look at a data service; what may not be read says how it may.

Its values go to the redactor before anybody sees them. Nothing is remembered.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Final

from readiness.cluster.connection import ApiError, Connection
from readiness.model import Manifest
from readiness.timeline import Problem, ProblemError

PUBLIC: Final = frozenset(
    {"type", "provider", "host", "port", "username", "database", "virtual-host", "master-name", "sentinels", "ca.crt"}
)  # fmt: skip
"""Keys of a binding whose values are no secrets, and stand in texts."""
_WHO: Final = re.compile(r"system:serviceaccount:([a-z0-9-]+:[a-z0-9.-]+)")


class Secrets:
    """`await secrets.find(namespace, name)`."""

    def __init__(self, connection: Connection, learn: Callable[[str], None]) -> None:
        self._connection, self._learn = connection, learn

    async def find(self, namespace: str, name: str) -> Manifest | None:
        """The Secret, or None where there is none. Raises ProblemError where it cannot be read."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        try:
            found = await self._connection.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise ProblemError(_problem(error, namespace, name)) from None
        for key, text in (found.get("data") or {}).items():
            if key not in PUBLIC:
                self._learn(base64.b64decode(text).decode(errors="replace"))
        return found


def _problem(error: ApiError, namespace: str, name: str) -> Problem:
    if error.status != 403:
        return Problem("SecretUnread", f"Secret {name} could not be read: status {error.status}")
    who, role = _WHO.search(error.message), f"readiness-look-{name}"
    account = who[1] if who else "readiness-system:readiness-operator"
    return Problem(
        "NotPermitted", f"the operator may not read Secret {name} of namespace {namespace}",
        f"kubectl -n {namespace} create role {role} --verb=get --resource=secrets --resource-name={name} && "
        f"kubectl -n {namespace} create rolebinding {role} --role={role} --serviceaccount={account}",
    )  # fmt: skip
