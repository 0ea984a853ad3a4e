"""What the commands that read a cluster share: options, one session, errors in sentences.

`readiness.cluster`, and with it the Kubernetes client, is imported when a session opens.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from readiness.api.durations import seconds
from readiness.cli.console import UnprovenError, UsageError, parser
from readiness.model import Manifest
from readiness.naming import RESTORED_FROM

if TYPE_CHECKING:
    from readiness.cluster.connection import Connection

T = TypeVar("T")


def build_parser(prog: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
    """A parser with the options that say which cluster and namespace."""
    found = parser(prog, text, epilog)
    found.add_argument("-n", "--namespace", default="", help="default: that of the context")
    add_cluster(found)
    return found


def add_cluster(found: argparse.ArgumentParser) -> None:
    """The options that say which cluster."""
    found.add_argument("--context", default="", metavar="NAME", help="default: the current one")
    found.add_argument("--kubeconfig", default="", metavar="FILE", help="default: as kubectl does")


def add_timeout(found: argparse.ArgumentParser, default: str) -> None:
    """How long it may take."""
    found.add_argument(
        "--timeout",
        default=duration_of(default),
        type=duration_of,
        metavar="DURATION",
        help=f"for example 90s or 10m (default: {default})",
    )


def duration_of(text: str) -> float:
    """Seconds of `90s` or `10m`."""
    found = seconds(text)
    if not found:
        raise argparse.ArgumentTypeError(f"expected a duration like 90s or 5m, got {text!r}")
    return found


def stop_cleanly() -> None:
    """A cancelled pipeline or a closed terminal clears away like Ctrl-C does."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)


def declaring(policies: Iterable[Manifest], service: str, namespace: str) -> Manifest:
    """The policy that declares a data service; the original, where a restore has made a copy. Raises UsageError."""
    found = [
        each for each in policies
        if any(s["name"] == service for s in (each.get("spec") or {}).get("dataServices") or ())
    ]  # fmt: skip
    originals = [p for p in found if RESTORED_FROM not in (p["metadata"].get("labels") or {})]
    found = originals or found
    if not found:
        raise UsageError(f"no policy in namespace {namespace} declares a data service {service!r}")
    if len(found) > 1:
        names = ", ".join(each["metadata"]["name"] for each in found)
        raise UsageError(f"several policies declare {service!r}: {names}; name one with --policy")
    return found[0]


def read(args: argparse.Namespace, work: Callable[[Connection, str], Awaitable[T]]) -> T:
    """What `work(connection, namespace)` returns.

    Raises UsageError for a context that is none, and UnprovenError when the API does not tell.
    """
    from readiness.cluster.connection import ApiError
    from readiness.cluster.reading import ContextNotFoundError, namespace_of, session

    async def inside() -> T:
        async with session(args.kubeconfig, args.context) as connection:
            namespace = args.namespace or namespace_of(args.kubeconfig, args.context)
            return await work(connection, namespace)

    try:
        return asyncio.run(inside())
    except ContextNotFoundError as error:
        raise UsageError(str(error)) from None
    except ApiError as error:
        words = " ".join(str(error).split())
        raise UnprovenError(f"the cluster does not tell: {words}", _remedy(error.status)) from None


def read_policy(args: argparse.Namespace) -> Manifest:
    """The policy that the command names. Raises UsageError with the ones there are."""
    from readiness.cluster.reading import read_policies, read_policy

    async def work(connection: Connection, namespace: str) -> Manifest:
        found = await read_policy(connection, namespace, args.name)
        if found is not None:
            return found
        names = [p["metadata"]["name"] for p in await read_policies(connection, namespace)]
        there = f"there are: {', '.join(names)}" if names else "there is none; name another with -n"
        raise UsageError(f"no ReadinessPolicy {args.name!r} in namespace {namespace}; {there}")

    return read(args, work)


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "you need get and list on readinesspolicies and readinessreports in this namespace"
    if status == 404:
        return "are the CustomResourceDefinitions installed? readiness crd | kubectl apply -f -"
    return "does `kubectl version` reach it? Choose a cluster with --context or --kubeconfig"
