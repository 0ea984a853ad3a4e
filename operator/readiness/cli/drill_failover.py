"""`readiness drill failover dataservice/NAME`: the primary of a live data service taken away, as the operator would do it.

The same control with the same consent: the policy names it, its window is open, everything is well.
How the servers are is taken from the policy's status; the drill's Job looks again before it disturbs anything.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from dataclasses import dataclass, replace
from typing import Final

from readiness import __version__, naming, rules
from readiness.cli import kube
from readiness.cli.console import Console, UnprovenError
from readiness.cli.drill_target import read_file, read_spec
from readiness.cli.drilled import images_of, row_of, teller
from readiness.cli.judged import rules_of
from readiness.cluster.connection import Connection
from readiness.cluster.jobs import Jobs
from readiness.cluster.pods import path_of
from readiness.cluster.reading import read_policies
from readiness.consent import allows, not_allowed, withheld
from readiness.control import Control, Subject
from readiness.drills.job import build_job
from readiness.engines.drill.order import carry_out
from readiness.failover import script_of
from readiness.judgement import judge_safely
from readiness.model import Manifest, Severity, Verdict
from readiness.output import render
from readiness.output.sheet import Sheet
from readiness.request import Answer, FailoverRequest, Request
from readiness.snapshot import MemberSeen, Provided, Seen, Snapshot
from readiness.subjects import subjects_of

CONTROL: Final = "HA-004"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a data service was found: its policy, and its name."""

    policy: Manifest
    service: str


def drill_service(args: argparse.Namespace, name: str, console: Console) -> int:
    """Runs the drill of one data service; the exit code of its finding."""
    known = rules.load()
    control = known.controls[CONTROL]

    async def work(connection: Connection, namespace: str) -> tuple[Subject, Verdict]:
        kube.stop_cleanly()
        subject = await _subject(connection, namespace, args, name, console)
        subject = replace(subject, params=_params(control, subject))
        requests = _requests(control, subject)
        image = (await images_of(connection, args)).operator
        console.say(f"taking away the primary of {name} in namespace {namespace}; after Ctrl-C nothing more is disturbed")  # fmt: skip
        script = script_of(uuid.uuid4().hex[:10], requests)
        seen = await carry_out(Jobs(connection, namespace), build_job(script, image), script, teller(console))  # fmt: skip
        answers: dict[Request, Answer] = dict(zip(requests, seen, strict=True))
        return subject, judge_safely(control, subject, answers)

    try:
        subject, verdict = kube.read(args, work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None  # SIGTERM or SIGHUP: the Job has been deleted
    rows = (row_of(control, subject, verdict),)
    sheet = Sheet(rows, Severity.P3, rules_of(known, {control.id}), version=__version__)
    console.write(render(args.output, sheet, console.style(verbose=args.verbose)))
    if verdict.evidence:
        console.say(verdict.evidence.replace("; ", "\n"))
    return int(sheet.outcome)


def _requests(control: Control, subject: Subject) -> tuple[FailoverRequest, ...]:
    """What the control asks for. Raises UnprovenError with what stands in the way."""
    refused = not_allowed(control) if not allows(subject.policy, control) else None
    refused = refused or withheld(control, subject, subject.now)
    asked = () if refused else control.ask(subject)
    if not asked:
        found = refused or judge_safely(control, subject, {})
        raise UnprovenError(f"{found.reason}: {found.message}", found.fix)
    return tuple(each for each in asked if isinstance(each, FailoverRequest))


def _params(control: Control, subject: Subject) -> dict[str, object]:
    """As the policy sets them."""
    set_ = next((s.params or {} for s in subject.policy.controls if s.id == control.id), {})
    return {p.name: p.default for p in control.params} | set_


async def _subject(
    connection: Connection, namespace: str, args: argparse.Namespace, name: str, console: Console
) -> Subject:
    """The data service as the operator would see it."""
    there = read_file(args.policy, console) if args.policy else await read_policies(connection, namespace)  # fmt: skip
    place = _Place(kube.declaring(there, name, namespace), name)
    policy = place.policy["metadata"]["name"]
    labels = {"labelSelector": ",".join(f"{k}={v}" for k, v in naming.store_labels(policy, name).items())}  # fmt: skip
    sets, pods, services = [
        (await connection.request("GET", path_of(version, kind, namespace), query=query)).get("items") or ()
        for version, kind, query in (("apps/v1", "StatefulSet", labels), ("v1", "Pod", labels), ("v1", "Service", {}))
    ]  # fmt: skip
    spec, served = read_spec(place.policy["spec"]), {s["metadata"]["name"]: s for s in services}
    space = await connection.request("GET", f"/api/v1/namespaces/{namespace}")
    snapshot = Snapshot(
        namespace=namespace,
        namespace_labels=space["metadata"].get("labels") or {},
        services={
            t.name: served[t.service.name]
            for t in spec.targets
            if t.service and t.service.name in served
        },
        provided=Provided(
            children={("StatefulSet", each["metadata"]["name"]): each for each in sets},
            pods={name: tuple(pods)},
            seen={name: seen} if (seen := _seen(place)) else {},
        ),
    )
    return subjects_of(policy, spec, snapshot, time.time())[name]


def _seen(place: _Place) -> Seen | None:
    """How the operator last saw its servers."""
    rows: list[Manifest] = (place.policy.get("status") or {}).get("dataServices") or []
    row = next((each for each in rows if each["name"] == place.service), None)
    if row is None:
        return None
    members = tuple(
        MemberSeen(m["name"], m.get("role", ""), tuple(filter(None, m.get("reason", "").split(", "))))
        for m in row.get("members") or ()
    )  # fmt: skip
    return Seen(row.get("primary", ""), members, "" if row["ready"] else row.get("reason", "NotReady"))  # fmt: skip
