"""The target of `readiness drill`: options, what a policy declares, and what the cluster shows of it.

Reads a workload as the operator would see it. Knows no drill.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from readiness.api.policy import PolicySpec
from readiness.cli.console import Console, UsageError
from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.pods import path_of
from readiness.cluster.project import projected
from readiness.cluster.reading import read_policies
from readiness.control import Subject
from readiness.judgement import subject_of
from readiness.model import Manifest
from readiness.snapshot import Snapshot

NAME: Final = "target"


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
    policies = await _policies(connection, namespace)
    policy, declared = _declared_for(policies, kind, name)
    if policy:
        console.say(f"using what ReadinessPolicy {policy} declares about it; options win")
    found = {s["metadata"]["name"]: s for s in services.get("items") or ()}
    target = declare(args, declared, workload, found)
    target["workloadRef"] = {"apiVersion": version, "kind": kind, "name": name}
    stores = next(
        (p["spec"].get("dataServices") for p in policies if p["metadata"]["name"] == policy), None
    )
    spec = {"targets": [target], "safety": {"allow": ["drill"]}, "dataServices": stores or []}
    parsed = read_spec(spec)
    snapshot = Snapshot(
        namespace=namespace, workloads={target["name"]: projected(workload)}, services=found,
        namespace_labels=await _labels(connection, namespace, console), drill_settle=0.0,
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


async def _policies(connection: Connection, namespace: str) -> list[Manifest]:
    """The policies of the namespace; a drill also serves those who have none, or may not read them."""
    try:
        return await read_policies(connection, namespace)
    except ApiError as error:
        if error.status in (403, 404):
            return []
        raise


def read_spec(spec: Manifest) -> PolicySpec:
    """The spec made of options. Raises UsageError naming what is wrong with them."""
    try:
        return PolicySpec.model_validate(spec)
    except ValueError as error:
        raise UsageError(f"the options do not make a target: {error}") from None


def _declared_for(policies: Iterable[Manifest], kind: str, name: str) -> tuple[str, Manifest]:
    """(policy, target) of the first policy that judges this workload; nothing when none does."""
    for policy in policies:
        for target in (policy.get("spec") or {}).get("targets") or ():
            ref = target.get("workloadRef") or {}
            if (ref.get("kind"), ref.get("name")) == (kind, name):
                return policy["metadata"]["name"], target
    return "", {}


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
    if args.required:
        target["config"] = _requiring(declared.get("config") or {}, args.required)
    target |= {"errors": {**(declared.get("errors") or {}), "trigger": args.trigger}} if args.trigger else {}  # fmt: skip
    target |= {"container": args.container} if args.container else {}
    target |= {"health": {"path": args.fast}} if args.fast else {}
    service, _, port = args.service.partition(":")
    service = service or ("" if "service" in target else _selecting(workload, services))
    if service:
        ports = (services.get(service) or {}).get("spec", {}).get("ports") or [{}]
        chosen = port or str(ports[0].get("name") or ports[0].get("port") or "")
        target["service"] = {"name": service, "port": int(chosen) if chosen.isdigit() else chosen}
    return target


def _requiring(config: Manifest, names: Sequence[str]) -> Manifest:
    """The declared variables, of which these are required."""
    known = {each["name"]: each for each in config.get("env") or ()}
    named = {name: {**known.get(name, {}), "name": name, "required": True} for name in names}
    return {**config, "env": [*(known | named).values()]}


def _selecting(workload: Manifest, services: Mapping[str, Manifest]) -> str:
    labels = workload["spec"]["template"]["metadata"].get("labels") or {}
    selectors = ((name, s.get("spec", {}).get("selector") or {}) for name, s in services.items())
    return next((n for n, s in selectors if s and s.items() <= labels.items()), "")
