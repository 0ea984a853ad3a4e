"""What `readiness drill` does once it knows the workload: look, drill, judge, repeat, draw.

The command line's own small reconcile: the same plan values as the operator's, with one policy that
is made of options and, where there is one, the cluster's.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from readiness import __version__, rules
from readiness.cli import kube
from readiness.cli.console import Console, UnprovenError, UsageError
from readiness.cli.drill_target import STORES, pair_of, read_subject
from readiness.cli.judged import rules_of
from readiness.cluster.connection import Connection
from readiness.cluster.jobs import Jobs
from readiness.consent import withheld
from readiness.control import Control, Subject
from readiness.drills.added import added_of
from readiness.drills.job import build_job
from readiness.engines.drill.order import Jobs as Orders
from readiness.engines.drill.order import Nodes, carry_out, elsewhere
from readiness.evidence import DRILLS, Look
from readiness.judgement import judge_safely
from readiness.model import Manifest, Safety, Severity, Verdict
from readiness.naming import COMPONENT
from readiness.output import render
from readiness.output.sheet import Row, Sheet
from readiness.request import Answer, DrillRequest, Request, Timeline
from readiness.script import Script, deadline_of
from readiness.timeline import Moment

FAMILIES: Final = {
    "shutdown": "SHD",
    "startup": "CFG",
    "errors": "ERR",
    "upstreams": "REL",
    "dependencies": "HLT",
    "limits": "LIM",
}
"""Which controls each drill is, by family."""
BESIDES: Final = {"CFG-012": "upstreams", "HA-010": "dependencies"}
"""Those whose family is of another drill."""
LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class Images:
    """What runs in a drill: the operator's own image, and those of throw-away stores by kind."""

    operator: str
    stores: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Drilled:
    """What has been seen so far: the standing look of each control, timelines of each arm's last looks, the nodes of all."""

    looks: dict[str, Look]
    timelines: dict[str, tuple[Timeline, ...]]
    nodes: Nodes = ()

    def keep(self, answers: Mapping[DrillRequest, Timeline]) -> None:
        """One more look: where looks disagree, only all of them show why."""
        for request, seen in answers.items():
            before = self.timelines.get(request.arm.name, ())
            self.timelines[request.arm.name] = (*before, seen)[-LOOKS:]


def drill_workload(args: argparse.Namespace, kind: str, name: str, console: Console) -> int:
    """Runs one drill of one workload; the exit code of its findings."""
    controls = controls_of(args.drill, args.control)

    async def work(connection: Connection, namespace: str) -> tuple[Subject, Drilled]:
        kube.stop_cleanly()
        subject = await read_subject(connection, namespace, args, (kind, name), console)
        refuse_where_withheld(subject, controls.values())
        images = await images_of(connection, args)
        console.say(
            f"drilling {kind}/{name} in namespace {namespace}; Ctrl-C clears everything away"
        )
        return subject, await drill_all(Jobs(connection, namespace), subject, images, args, console)

    try:
        subject, drilled = kube.read(args, work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None  # SIGTERM or SIGHUP: everything has been cleared away
    rows = tuple(
        row_of(control, subject, look.standing)
        for id_, look in drilled.looks.items()
        if (control := controls[id_]) and look.standing is not None
    )
    sheet = Sheet(rows, Severity.P3, rules_of(_known(), {r.id for r in rows}), version=__version__)  # fmt: skip
    console.write(render(args.output, sheet, console.style(verbose=args.verbose)))
    draw(args, drilled, rows, console)
    return int(sheet.outcome)


def refuse_where_withheld(subject: Subject, controls: Iterable[Control]) -> None:
    """The operator's own rule: not where the namespace denies drills, not during a rollout."""
    for control in controls:
        if (verdict := withheld(control, subject, time.time())) is not None:
            raise UnprovenError(verdict.message, verdict.fix)


async def drill_all(
    jobs: Orders, subject: Subject, images: Images, args: argparse.Namespace, console: Console
) -> Drilled:
    """Every chosen control, as often as doubt asks for it."""
    controls = controls_of(args.drill, args.control)
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
            doubts = (f"{id_} {drilled.looks[id_].streak[-1].reason}" for id_ in sorted(due))
            console.say(f"look {nth + 1}, of clean clones, because of {', '.join(doubts)}")
        answers = await _once(jobs, tuple(requests), images, drilled, console) if requests else {}
        if answers and args.drill == "shutdown":
            console.say(
                f"the drill added {max(map(added_of, answers.values())):.1f} s, at most, to what an arm of the application needed"
            )
        drilled.keep(answers)
        drilled.nodes = elsewhere(drilled.nodes, answers.values())
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
    jobs: Orders,
    requests: tuple[DrillRequest, ...],
    images: Images,
    before: Drilled,
    console: Console,
) -> Mapping[DrillRequest, Timeline]:
    arms = tuple(each.arm for each in requests)
    script = Script(
        uuid.uuid4().hex[:10],
        requests[0].subject,
        arms,
        deadline=deadline_of(arms),
        images=images.stores,
        avoid=before.nodes,
    )
    job = build_job(script, images.operator)
    seen = await carry_out(jobs, job, script, teller(console))
    return dict(zip(requests, seen, strict=True))


def teller(console: Console) -> Callable[[str, Moment], None]:
    """Says every moment of a drill as it happens, by the time since now."""
    began = time.monotonic()

    def tell(arm: str, moment: Moment) -> None:
        console.say(f"{time.monotonic() - began:6.1f} s  {arm:10} {moment.name} {moment.detail}".rstrip())  # fmt: skip

    return tell


async def images_of(connection: Connection, args: argparse.Namespace) -> Images:
    """What options name, else what the installed operator runs."""
    stores = dict(pair_of(text, "--store-image", "redis=redis:8") for text in args.store_image)
    if args.image:
        return Images(args.image, tuple(stores.items()))
    container = await _operator(connection)
    env = {e["name"]: e.get("value", "") for e in container.get("env") or ()}
    own = {kind: env.get(f"READINESS_DRILLS_{kind.upper()}_IMAGE", "") for kind in STORES}
    return Images(container["image"], tuple((own | stores).items()))


async def _operator(connection: Connection) -> Manifest:
    """The container of the installed operator."""
    query = {"labelSelector": f"app.kubernetes.io/name={COMPONENT}"}
    found = await connection.request("GET", "/apis/apps/v1/deployments", query=query)
    for each in found.get("items") or ():
        container: Manifest = each["spec"]["template"]["spec"]["containers"][0]
        return container
    raise UnprovenError("no operator is installed: name its image with --image")


@cache
def _known() -> rules.Rules:
    return rules.load()


def controls_of(drill: str, wanted: Sequence[str]) -> dict[str, Control]:
    """The controls of a drill, or those of them that are wanted."""
    drills = {family: name for name, family in FAMILIES.items()}
    known = {i: c for i, c in _known().controls.items() if c.safety is Safety.DRILL}
    found = {i: c for i, c in known.items() if BESIDES.get(i, drills.get(c.family)) == drill}
    if unknown := set(wanted) - found.keys():
        raise UsageError(
            f"no {drill} drill {', '.join(sorted(unknown))}: expected some of {', '.join(found)}"
        )
    return {id_: control for id_, control in found.items() if id_ in wanted or not wanted}


def _with_params(control: Control, subject: Subject) -> Subject:
    return replace(subject, params={p.name: p.default for p in control.params})


def row_of(control: Control, subject: Subject, seen: Verdict) -> Row:
    """A verdict as a finding to print."""
    return Row(
        control.id, subject.target.name, seen.result, control.severity, seen.reason, seen.message, seen.expected,
        seen.observed, seen.fix, namespace=subject.snapshot.namespace, subject=subject.where,
    )  # fmt: skip


def draw(args: argparse.Namespace, drilled: Drilled, rows: Iterable[Row], console: Console) -> None:
    """The files that were asked for; a page where people read and nobody said anything about files."""
    timelines = tuple(each for looks in drilled.timelines.values() for each in looks)
    silent = not (args.svg or args.html or args.no_picture) and args.output == "human"
    page = Path(f"readiness-drill-{args.drill}-{args.ref.partition('/')[2]}.html")
    html = page if silent and timelines else args.html
    try:
        _draw(args, timelines, rows, html, console)
    except OSError as error:
        console.say(f"no picture: {error.filename} cannot be written: {error.strerror}")


def _draw(
    args: argparse.Namespace, timelines: Sequence[Timeline], rows: Iterable[Row], html: Path | None, console: Console,
) -> None:  # fmt: skip
    if not (args.svg or html):
        return
    from readiness.drills.picture import html_of, svg_of

    if args.svg and timelines:
        telling = max(reversed(timelines), key=lambda t: len(t.exchanges))
        args.svg.write_text(svg_of(telling), encoding="utf-8")
        console.say(f"the timeline of arm {telling.arm} is drawn in {args.svg}")
    if html:
        html.write_text(html_of(tuple(timelines), tuple(rows), args.ref), encoding="utf-8")
        console.say(f"all timelines and findings are in {html}")
