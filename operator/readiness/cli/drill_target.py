"""The target of `readiness drill`: options, what a policy declares, and what the cluster shows of it.

Reads a workload as the operator would see it. Knows no drill.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from readiness.api.policy import PolicySpec
from readiness.cli import given
from readiness.cli.console import Console, UsageError
from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.pods import path_of
from readiness.cluster.project import projected
from readiness.cluster.reading import read_policies
from readiness.control import Subject
from readiness.model import Manifest
from readiness.snapshot import Snapshot
from readiness.subjects import subject_of

NAME: Final = "target"
STORES: Final = ("redis", "rabbitmq", "mongodb")


async def read_subject(
    connection: Connection,
    namespace: str,
    args: argparse.Namespace,
    ref: tuple[str, str],
    console: Console,
) -> Subject:
    """The workload as the operator would see it, with a target made of options and a policy."""
    kind, name = ref
    version = "argoproj.io/v1alpha1" if kind == "Rollout" else "apps/v1"
    try:
        workload = await connection.request("GET", path_of(version, kind, namespace, name))
        services = await connection.request("GET", path_of("v1", "Service", namespace))
    except ApiError as error:
        if error.status == 404:
            raise UsageError(
                f"no {kind} {name!r} in namespace {namespace}: {error.message}"
            ) from None
        raise
    policies = (
        read_file(args.policy, console) if args.policy else await _policies(connection, namespace)
    )
    declared, spec = _declaration(policies, ref, args.policy, console)
    found = {s["metadata"]["name"]: s for s in services.get("items") or ()}
    target = declare(args, declared, workload, found)
    target["workloadRef"] = {"apiVersion": version, "kind": kind, "name": name}
    given = [store_of(text) for text in args.store]
    target["uses"] = [*(target.get("uses") or ()), *(each["name"] for each in given)]
    stores = [*(spec.get("dataServices") or ()), *given]
    unisolated = args.unisolated or bool((spec.get("safety") or {}).get("unisolated"))
    safety = {"allow": ["drill"], "unisolated": unisolated}
    parsed = read_spec({"targets": [target], "safety": safety, "dataServices": stores})
    snapshot = Snapshot(
        namespace=namespace, workloads={target["name"]: projected(workload)}, services=found,
        namespace_labels=await _labels(connection, namespace, console), drill_settle=0.0,
        budgets=await _all(connection, "policy/v1", "PodDisruptionBudget", namespace, console),
        network_policies=await _all(connection, "networking.k8s.io/v1", "NetworkPolicy", namespace, console),
    )  # fmt: skip
    return subject_of(parsed, parsed.targets[0], snapshot, time.time())


async def _labels(connection: Connection, namespace: str, console: Console) -> dict[str, str]:
    """The namespace's labels, one of which may deny drills."""
    try:
        found = await connection.request("GET", f"/api/v1/namespaces/{namespace}")
    except ApiError as error:
        console.say(f"whether namespace {namespace} denies drills cannot be seen: {error.message}")
        return {}
    return found["metadata"].get("labels") or {}


async def _all(
    connection: Connection, version: str, kind: str, namespace: str, console: Console
) -> tuple[Manifest, ...]:
    """Those of a kind, one of which may select pods of a drill."""
    try:
        found = await connection.request("GET", path_of(version, kind, namespace))
    except ApiError as error:
        console.say(f"whether a {kind} would select clones cannot be seen: {error.message}")
        return ()
    return tuple(found.get("items") or ())


async def _policies(connection: Connection, namespace: str) -> list[Manifest]:
    """The policies of the namespace; a drill also serves those who have none, or may not read them."""
    try:
        return await read_policies(connection, namespace)
    except ApiError as error:
        if error.status in (403, 404):
            return []
        raise


def read_file(path: str, console: Console) -> list[Manifest]:
    """The policies of a file. Raises UsageError for one that cannot be read."""
    found = given.load([path], console).objects
    return [each.manifest for each in found if each.manifest["kind"] == "ReadinessPolicy"]


def read_spec(spec: Manifest) -> PolicySpec:
    """The spec made of options. Raises UsageError naming what is wrong with them."""
    try:
        return PolicySpec.model_validate(spec)
    except ValueError as error:
        raise UsageError(f"the options do not make a target: {error}") from None


def _declaration(
    policies: Iterable[Manifest], ref: tuple[str, str], file: str, console: Console
) -> tuple[Manifest, Manifest]:
    """(target, spec) of the first policy that judges this workload; nothing when none in the cluster does."""
    for policy in policies:
        spec = policy.get("spec") or {}
        for target in spec.get("targets") or ():
            of = target.get("workloadRef") or {}
            if (of.get("kind"), of.get("name")) == ref:
                name = policy["metadata"]["name"]
                console.say(f"using what ReadinessPolicy {name} declares about it; options win")
                return target, spec
    if file:
        raise UsageError(f"{file} holds no ReadinessPolicy with a target {'/'.join(ref)}")
    return {}, {}


def declare(
    args: argparse.Namespace,
    declared: Manifest,
    workload: Manifest,
    services: Mapping[str, Manifest],
) -> Manifest:
    """The target: what is declared, then options, then the Service that selects its pods."""
    target: Manifest = {"name": NAME, **declared}
    shutdown: Manifest = {**(declared.get("shutdown") or {})}
    shutdown |= {"standalone": True} if args.standalone else {}
    shutdown |= {"slowRequest": {"path": args.slow}} if args.slow else {}
    shutdown |= {"drain": args.drain} if args.drain else {}
    target |= {"shutdown": shutdown}
    config: Manifest = {**(declared.get("config") or {})}
    config |= {"bootstrapPattern": args.bootstrap} if args.bootstrap else {}
    config = _requiring(config, args.required) if args.required else config
    target |= {"config": config} if config else {}
    target |= {"errors": {**(declared.get("errors") or {}), "trigger": args.trigger}} if args.trigger else {}  # fmt: skip
    if args.upstream:
        target["upstreams"] = [_upstream(text, args) for text in args.upstream]
    if args.takes or args.body_limit:
        target["limits"] = _limiting(declared.get("limits") or {}, args.takes, args.body_limit)
    target |= {"container": args.container} if args.container else {}
    health = {"path": args.fast} if args.fast else {}
    health |= {"deepPath": args.deep} if args.deep else {}
    target |= (
        {"health": {"path": "/", **(declared.get("health") or {}), **health}} if health else {}
    )
    service, _, port = args.service.partition(":")
    service = service or ("" if "service" in target else _selecting(workload, services))
    if service:
        ports = (services.get(service) or {}).get("spec", {}).get("ports") or [{}]
        chosen = port or str(ports[0].get("name") or ports[0].get("port") or "")
        target["service"] = {"name": service, "port": int(chosen) if chosen.isdigit() else chosen}
    return target


def pair_of(text: str, option: str, example: str) -> tuple[str, str]:
    """`name=value`. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(f"{option} {text!r}: expected something like {example}")
    return name, value


def _upstream(text: str, args: argparse.Namespace) -> Manifest:
    """`llm=LLM_URL/v1`, with the call and the timeout that hold for all."""
    name, value = pair_of(text, "--upstream", "llm=LLM_URL/v1")
    variable, slash, path = value.partition("/")
    method, _, route = args.call.rpartition(" ")
    found: Manifest = {"name": name, "urlEnv": variable} | ({"path": slash + path} if slash else {})
    found |= {"call": {"path": route, "method": method.strip() or "GET"}} if args.call else {}
    return found | ({"timeout": args.timeout} if args.timeout else {})


def store_of(text: str) -> Manifest:
    """`redis=cache.shop:6380`, under the first word of its host."""
    kind, address = pair_of(text, "--store", "redis=cache:6379")
    host, colon, port = address.partition(":")
    if kind not in STORES or (colon and not port.isdigit()):
        raise UsageError(f"--store {text!r}: expected {', '.join(STORES)} and a host, as in redis=cache:6379")  # fmt: skip
    store: Manifest = {"hosts": [host]} | ({"port": int(port)} if colon else {})
    return {"name": host.partition(".")[0], "external": {kind: store}}


def _requiring(config: Manifest, names: Sequence[str]) -> Manifest:
    """The declared variables, of which these are required."""
    known = {each["name"]: each for each in config.get("env") or ()}
    named = {name: {**known.get(name, {}), "name": name, "required": True} for name in names}
    return {**config, "env": [*(known | named).values()]}


def _limiting(limits: Manifest, takes: str, most: str) -> Manifest:
    """The declared limits, with another request or size."""
    request = {"request": {**(limits.get("request") or {}), "path": takes}} if takes else {}
    return {**limits, **request, **({"body": most} if most else {})}


def _selecting(workload: Manifest, services: Mapping[str, Manifest]) -> str:
    labels = workload["spec"]["template"]["metadata"].get("labels") or {}
    selectors = ((name, s.get("spec", {}).get("selector") or {}) for name, s in services.items())
    return next((n for n, s in selectors if s and s.items() <= labels.items()), "")
