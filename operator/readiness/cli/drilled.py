"""What `readiness drill` does once it knows the workload: look, drill, judge, repeat, draw.

The command line's own small reconcile: the same plan values as the operator's, with one policy that
is made of options and, where there is one, the cluster's.
"""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from readiness import __version__, rules
from readiness.api.policy import PolicySpec
from readiness.cli import kube
from readiness.cli.console import Console, UnprovenError, UsageError
from readiness.cli.judged import rules_of
from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.jobs import Jobs
from readiness.cluster.pods import path_of
from readiness.cluster.project import projected
from readiness.cluster.reading import read_policies
from readiness.control import Control, Subject
from readiness.drills.job import build_job
from readiness.engines.drill.order import Jobs as Orders
from readiness.engines.drill.order import carry_out
from readiness.evidence import DRILLS, Look
from readiness.judgement import judge_safely, subject_of
from readiness.model import Manifest, Safety, Severity, Verdict
from readiness.naming import COMPONENT
from readiness.output import render
from readiness.output.sheet import Row, Sheet
from readiness.request import Answer, DrillRequest, Request, Timeline
from readiness.script import Script, deadline_of
from readiness.snapshot import Snapshot
from readiness.timeline import Moment

FAMILIES: Final = {"shutdown": "SHD", "startup": "CFG", "errors": "ERR"}
"""Which controls each drill is."""
LOOKS: Final = 3
NAME: Final = "target"


@dataclass(slots=True)
class Drilled:
    """What has been seen so far: the standing look of each control, the newest timeline of each arm."""

    looks: dict[str, Look]
    timelines: dict[str, Timeline]


def drill_workload(args: argparse.Namespace, kind: str, name: str, console: Console) -> int:
    """Runs one drill of one workload; the exit code of its findings."""

    async def work(connection: Connection, namespace: str) -> tuple[Subject, Drilled]:
        subject = await _subject(connection, namespace, args, (kind, name), console)
        image = args.image or await _image(connection)
        console.say(
            f"drilling {kind}/{name} in namespace {namespace}; Ctrl-C clears everything away"
        )
        return subject, await drill_all(Jobs(connection, namespace), subject, image, args, console)

    subject, drilled = kube.read(args, work)
    controls = _controls(args.drill, args.control)
    rows = tuple(
        _row(control, subject, look.standing)
        for id_, look in drilled.looks.items()
        if (control := controls[id_]) and look.standing is not None
    )
    sheet = Sheet(rows, Severity.P3, rules_of(rules.load(), {r.id for r in rows}), version=__version__)  # fmt: skip
    console.write(render(args.output, sheet, console.style(verbose=args.verbose)))
    if args.svg or args.html:
        _draw(args, drilled, rows, console)
    return int(sheet.outcome)


async def drill_all(
    jobs: Orders, subject: Subject, image: str, args: argparse.Namespace, console: Console
) -> Drilled:
    """Every chosen control, as often as doubt asks for it."""
    controls = _controls(args.drill, args.control)
    drilled = Drilled({id_: Look("cli") for id_ in controls}, {})
    for nth in range(1 if args.once else LOOKS + len(DRILLS.discards)):
        due = {id_: c for id_, c in controls.items() if nth == 0 or drilled.looks[id_].streak}
        asked = {id_: c.ask(_with_params(c, subject)) for id_, c in due.items()}
        requests = dict.fromkeys(
            r for each in asked.values() for r in each if isinstance(r, DrillRequest)
        )
        if nth and not requests:
            break
        if nth:
            console.say(
                f"look {nth + 1}: {', '.join(sorted(due))} did not pass; a clean clone decides"
            )
        answers = await _once(jobs, tuple(requests), image, console) if requests else {}
        drilled.timelines |= {r.arm.name: t for r, t in answers.items()}
        for id_, control in due.items():
            own: dict[Request, Answer] = {
                r: answers[r] for r in asked[id_] if isinstance(r, DrillRequest)
            }
            seen = judge_safely(control, _with_params(control, subject), own)
            drilled.looks[id_] = _settled(drilled.looks[id_], seen, only=args.once or not own)
    for id_, look in drilled.looks.items():
        if look.standing is None:  # spoiled too often: the last look is what there is to tell
            drilled.looks[id_] = replace(look, standing=look.streak[-1])
    return drilled


def _settled(look: Look, seen: Verdict, *, only: bool) -> Look:
    """The look after one more clone; what asks for none, or is asked once, stands as it is seen."""
    if only:
        return replace(look, standing=seen, streak=())
    return DRILLS.settle(look, seen, now=time.time(), max_age=1.0, jitter=0.0)


async def _once(
    jobs: Orders, requests: tuple[DrillRequest, ...], image: str, console: Console
) -> Mapping[DrillRequest, Timeline]:
    arms = tuple(each.arm for each in requests)
    script = Script(uuid.uuid4().hex[:10], requests[0].subject, arms, deadline=deadline_of(arms))
    began = time.monotonic()

    def tell(arm: str, moment: Moment) -> None:
        console.say(f"{time.monotonic() - began:6.1f} s  {arm:10} {moment.name} {moment.detail}".rstrip())  # fmt: skip

    job = build_job(script, image)
    seen = await carry_out(jobs, job, script, tell)
    return dict(zip(requests, seen, strict=True))


async def _subject(
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
        namespace=namespace, workloads={target["name"]: projected(workload)}, services=found
    )
    return subject_of(parsed, parsed.targets[0], snapshot, time.time())


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


async def _image(connection: Connection) -> str:
    """The image of the installed operator."""
    query = {"labelSelector": f"app.kubernetes.io/name={COMPONENT}"}
    found = await connection.request("GET", "/apis/apps/v1/deployments", query=query)
    for each in found.get("items") or ():
        return str(each["spec"]["template"]["spec"]["containers"][0]["image"])
    raise UnprovenError("no operator is installed: name its image with --image")


def _controls(drill: str, wanted: Sequence[str]) -> dict[str, Control]:
    known = rules.load().controls
    found = {
        i: c for i, c in known.items() if c.safety is Safety.DRILL and c.family == FAMILIES[drill]
    }
    if unknown := set(wanted) - found.keys():
        raise UsageError(
            f"no {drill} drill {', '.join(sorted(unknown))}: expected some of {', '.join(found)}"
        )
    return {id_: control for id_, control in found.items() if id_ in wanted or not wanted}


def _with_params(control: Control, subject: Subject) -> Subject:
    return replace(subject, params={p.name: p.default for p in control.params})


def _row(control: Control, subject: Subject, seen: Verdict) -> Row:
    return Row(
        control.id, subject.target.name, seen.result, control.severity, seen.reason, seen.message, seen.expected,
        seen.observed, seen.fix, namespace=subject.snapshot.namespace, subject=subject.where,
    )  # fmt: skip


def _draw(
    args: argparse.Namespace, drilled: Drilled, rows: Iterable[Row], console: Console
) -> None:
    from readiness.drills.picture import html_of, svg_of

    timelines = tuple(drilled.timelines.values())
    if args.svg and timelines:
        telling = max(timelines, key=lambda t: len(t.exchanges))
        args.svg.write_text(svg_of(telling), encoding="utf-8")
        console.say(f"the timeline of arm {telling.arm} is drawn in {args.svg}")
    if args.html:
        args.html.write_text(html_of(timelines, tuple(rows), args.ref), encoding="utf-8")
        console.say(f"all timelines and findings are in {args.html}")
