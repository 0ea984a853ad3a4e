"""Reading our own objects for the command line: a session, one object, the user's namespace.

Reads only. Knows no verdict and prints nothing.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

from readiness.cluster.connection import IN_CLUSTER, ApiError, Connection, connect
from readiness.cluster.own import PLURALS, POLICY, REPORTS, path_of
from readiness.model import Manifest
from readiness.naming import POLICY_LABEL, label_value


class ContextNotFoundError(LookupError):
    """The kubeconfig has no such context; the text names those it has."""


@asynccontextmanager
async def session(kubeconfig: str, context: str = "") -> AsyncIterator[Connection]:
    """A connection by kubeconfig, or without one and a context as the pod's service account.

    Raises ApiError and ContextNotFoundError.
    """
    if missing := _missing(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION):
        raise ApiError(0, missing)
    try:
        if context:
            _context(kubeconfig, context)
        connection = await connect(kubeconfig, lambda _method, _status: None, context=context)
    except (ConfigException, OSError, ValueError) as error:
        raise ApiError(0, f"no usable kubeconfig: {error}") from None
    try:
        yield connection
    finally:
        await connection.close()


def namespace_of(kubeconfig: str, context: str = "") -> str:
    """The namespace of the context, of the current one without a name, as kubectl takes it."""
    own = Path(IN_CLUSTER).with_name("namespace")
    if not kubeconfig and not context and own.exists():
        return own.read_text(encoding="utf-8").strip()
    try:
        found = _context(kubeconfig, context)
    except (ConfigException, OSError, ValueError):
        return "default"
    return str(found.get("namespace") or "default")


def _context(kubeconfig: str, name: str) -> Manifest:
    """The named context, else the current one. Raises ConfigException and ContextNotFoundError."""
    config = KubeConfigMerger(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION).config
    if config is None:
        raise ConfigException("there is none")
    known: dict[str, Manifest] = {
        row["name"]: row["context"].value for row in config["contexts"].value
    }
    wanted = name or config["current-context"]
    if wanted not in known:
        raise ContextNotFoundError(f"no context {wanted!r}; there are: {', '.join(sorted(known))}")
    return known[wanted]


async def read_policy(connection: Connection, namespace: str, name: str) -> Manifest | None:
    """One ReadinessPolicy, or None. Raises ApiError."""
    try:
        return await connection.request("GET", path_of(PLURALS[POLICY], namespace, name))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


async def read_policies(connection: Connection, namespace: str) -> list[Manifest]:
    """The policies of a namespace, of all without one."""
    found = await connection.request("GET", path_of(PLURALS[POLICY], namespace))
    return list(found["items"])


async def read_reports(connection: Connection, namespace: str, policy: str) -> list[Manifest]:
    """The reports of one policy."""
    query = {"labelSelector": f"{POLICY_LABEL}={label_value(policy)}"}
    found = await connection.request("GET", path_of(REPORTS, namespace), query=query)
    return list(found["items"])


def _missing(known: str) -> str:
    """Why there is no way in, said better than the client does; empty when there may be one."""
    paths = [Path(path).expanduser() for path in known.split(os.pathsep) if path]
    if Path(IN_CLUSTER).exists() or any(path.exists() for path in paths):
        return ""
    return f"no kubeconfig: {known or 'KUBECONFIG'} does not exist"
