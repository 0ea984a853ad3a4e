"""`readiness check --url`: the passive HTTP controls on the one address that the user typed.

The engines carry out what `plan.requests` asks until every look has settled; `plan.make` judges.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from readiness import plan
from readiness.api import read_policy
from readiness.cli.console import Console, UsageError
from readiness.cli.judged import Judged, judged_of
from readiness.cli.validity import problems_of
from readiness.cli.worlds import MADE_UP, POLICY, World
from readiness.engines import Clock, Dialer, Egress, Engines, Guard, Limits, Resolver, build_trust
from readiness.evidence import PROBES
from readiness.files import Located
from readiness.hops import edge_of
from readiness.model import Manifest
from readiness.naming import API_VERSION
from readiness.rules import Rules
from readiness.snapshot import Snapshot
from readiness.weigh import settings_of

KEY: Final = ("", MADE_UP)
ROUNDS: Final = PROBES.looks + 1
PACE: Final = Limits(
    target_rate=10.0, target_burst=5, address_rate=10.0, address_burst=5, in_flight=4
)
PROFILES: Final = ("web",)


def policy_of(args: argparse.Namespace, profiles: Iterable[str]) -> Manifest:
    """The policy that the options spell: one target without a workload."""
    health = {"path": args.health, "deepPath": args.deep_health}
    routes = {"protected": args.protected, "public": args.public, "sensitive": args.sensitive}
    if not any(routes.values()):
        routes["public"] = ["/"]
    target = {
        "name": _name(args.url),
        "workloadRef": {"kind": "Deployment", "name": _name(args.url)},
        "externalURL": args.url,
        "health": _given(health) if args.health else None,
        "http": _given(routes),
        "cors": {"allowedOrigins": args.cors_origin} if args.cors_origin else None,
        "metrics": {"path": args.metrics} if args.metrics else None,
    }
    spec = {"profiles": list(profiles), "targets": [_given(target)]}
    metadata = {"name": MADE_UP, "namespace": KEY[0], "generation": 1}
    return {"apiVersion": API_VERSION, "kind": POLICY, "metadata": metadata, "spec": spec}


def judged_url(args: argparse.Namespace, known: Rules, console: Console) -> list[Judged]:
    """The findings on the address. Raises UsageError for an address or route that is none."""
    if args.deep_health and not args.health:
        raise UsageError("--deep-health needs --health PATH, too")
    policy = policy_of(args, args.profile or PROFILES)
    problems = [text.partition(": ")[2] for text in problems_of([Located(policy, "", 0)])]
    if problems:
        raise UsageError(
            *problems, "expected --url http[s]://HOST[:PORT][/PATH] and routes like /health"
        )
    try:
        hop = edge_of(args.url)
    except ValueError:
        raise UsageError(f"--url {args.url}: the port is none, expected 1 to 65535") from None
    spec = read_policy(policy["spec"])
    world = World(policy, spec, Snapshot(namespace=KEY[0], egress=(hop.host,), live=False), {})
    egress = Egress(typed=(hop.host, hop.port))
    findings = asyncio.run(_look(world, known, console, egress))
    asked = settings_of(known, spec, world.snapshot)
    return [judged_of(world, findings, asked)]


async def _look(world: World, known: Rules, console: Console, egress: Egress) -> Any:
    """Asks until every look has settled: a deviation stands after three equal ones."""
    dialer = Dialer(Guard(egress, Resolver()), build_trust(), clock=Clock())
    engines = Engines(dialer, lambda _key: None, limits=PACE)
    situation = plan.Situation(world.policy, world.snapshot, {}, time.time(), world.spec)
    decided = plan.Plan()
    try:
        for look in range(1, ROUNDS + 1):
            trials = plan.requests(known, situation)
            if not trials:
                break
            console.say(
                f"look {look}: {sum(len(t.requests) for t in trials)} requests for {len(trials)} controls"
            )
            await engines.run(KEY, trials)
            decided = plan.make(known, situation, await engines.finish(KEY))
            waits = [look_.due for look_ in decided.memory.values() if look_.streak]
            await asyncio.sleep(max(0.0, max(waits, default=0.0) - time.time()))
            situation = replace(situation, memory=decided.memory, now=time.time())
    finally:
        await engines.close()
    return plan.make(known, situation, {}).findings


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def _name(url: str) -> str:
    """The host as a target may be called."""
    host = url.partition("://")[2].partition("/")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", host).strip("-")[:63].strip("-") or "url"
