"""What no watch tells and is asked for now and then, with no more than is needed: warnings, and whether Secrets are there.

Nothing is remembered here.
"""

from __future__ import annotations

from typing import Final

from readiness.backups.named import named_secrets
from readiness.cluster.connection import ApiError, Connection
from readiness.dataservices.stuck import moment_of
from readiness.model import Manifest

METADATA: Final = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}


async def read_warnings(connection: Connection, namespace: str) -> tuple[Manifest, ...]:
    """Warnings of the namespace, the newest last. Empty where they may not be read."""
    try:
        found = await connection.request("GET", f"/api/v1/namespaces/{namespace}/events")
    except ApiError:
        return ()
    newest: dict[tuple[str, str], Manifest] = {}
    for event in sorted(found.get("items") or (), key=moment_of):
        about = event.get("involvedObject") or {}
        newest[about.get("name", ""), event.get("reason", "")] = event
    return tuple(newest.values())


async def read_absent(connection: Connection, policy: Manifest) -> dict[str, str]:
    """Of the Secrets that backups name those that are not there, in words, by field. Their contents are not sent here.

    What may not be looked at is not called absent: the Jobs' pods tell.
    """
    namespace, absent = policy["metadata"]["namespace"], {}
    for named in named_secrets(policy):
        path = f"/api/v1/namespaces/{namespace}/secrets/{named.name}"
        try:
            async with connection.stream("GET", path, headers=METADATA):
                pass
        except ApiError as error:
            if error.status == 404:
                absent[named.field] = named.absence(namespace)
            elif error.status != 403:
                raise
    return absent
