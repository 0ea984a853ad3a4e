"""The process of a drill's Job: puts the parts together, prints what was seen, and how it ended.

The composition root of `readiness drill-job`. Its log is the answer: moments as they happen, then a
timeline per arm; its termination message holds the run's id and the digest of those lines, so that
a cut or foreign log is not believed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from readiness.cluster.connection import Connection, connect
from readiness.cluster.members import Members
from readiness.cluster.pods import Pods
from readiness.cluster.project import projected
from readiness.drills.clone import Place, build_clone
from readiness.drills.codec import dump_timeline, load_script
from readiness.drills.isolation import NOT_ISOLATED, build_isolation
from readiness.drills.job import BINDING
from readiness.drills.sink import FIRST, build_sink, with_gate
from readiness.drills.stores import build_store
from readiness.engines import Clock, Dialer, Egress, Guard, Resolver, build_trust
from readiness.engines.drill import CAPS, Build, Drill, Props, Reports
from readiness.engines.failover import Failover, Means, asker, build_client
from readiness.failover import AnyScript, FailoverScript
from readiness.model import Manifest
from readiness.script import Arm, DrillSubject, Script, Store
from readiness.step import Fault
from readiness.timeline import Moment, Problem, Timeline
from readiness.workload import template_hash

TERMINATION: Final = Path("/dev/termination-log")
LONGEST_LOG: Final = 256 * 1024
DONE, FAILED = 0, 1


@dataclass(slots=True)
class Log:
    """What has been printed. Moments are for people who watch; only timelines count."""

    run: str
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    lines: int = 0
    size: int = 0

    def moment(self, arm: str, moment: Moment) -> None:
        """Something that just happened."""
        self._print(json.dumps({"run": self.run, "arm": arm, "moment": asdict(moment)}))

    def timeline(self, seen: Timeline) -> None:
        """What was seen in an arm; too long a one is replaced by the statement that it was."""
        line = dump_timeline(self.run, seen)
        if self.size + len(line) > LONGEST_LOG:
            words = f"the timeline of {len(line)} bytes does not fit the log of {LONGEST_LOG}"
            line = dump_timeline(self.run, Timeline(seen.arm, problem=Problem("Aborted", words)))
        self.digest.update(line.encode())
        self.lines += 1
        self._print(line)

    def closing(self) -> str:
        """The termination message."""
        return json.dumps({"run": self.run, "lines": self.lines, "sha256": self.digest.hexdigest()})

    def _print(self, line: str) -> None:
        self.size += len(line)
        print(line, flush=True)


async def run_job(environ: Mapping[str, str]) -> int:
    """Runs the script in READINESS_DRILL. SIGTERM ends it early and still clears away."""
    script = load_script(environ["READINESS_DRILL"])
    log = Log(script.run)
    connection = await connect("", _unobserved)
    try:
        drill = _drill(script, connection, environ, Reports(log.moment, log.timeline))
        task = asyncio.ensure_future(drill.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await task
    except (TimeoutError, asyncio.CancelledError):
        return FAILED
    finally:
        await connection.close()
        _close(log, script)
    return DONE


def _drill(
    script: AnyScript, connection: Connection, environ: Mapping[str, str], reports: Reports
) -> Drill | Failover:
    """The drill that a script asks for."""
    dialer = Dialer(Guard(Egress(), Resolver()), build_trust(), caps=CAPS)
    if isinstance(script, FailoverScript):
        hands = Members(connection, script.subject.namespace)
        binding = {p.name: p.read_text() for p in Path(BINDING).iterdir() if p.is_file()}
        means = Means(build_client(script, binding), hands, asker(dialer, script.run))
        return Failover(script, means, reports, Clock())
    pods = Pods(connection, script.subject.namespace, script.run, environ["READINESS_IMAGE"])
    place = Place(
        script.run, environ["POD_NAME"], environ["POD_UID"],
        deadline=script.deadline, labels=script.labels,
    )  # fmt: skip
    crew = build_crew(script, place, environ["READINESS_IMAGE"])
    return Drill(script, pods, dialer, crew, reports)


def build_crew(script: Script, place: Place, image: str) -> tuple[Build, Props]:
    """How clones of this script are made, and what stands beside them; `image` is the operator's own."""
    stores = {s.name: _store(script, s, place, image) for s in script.subject.stores}
    ports = {u.name: FIRST + nth for nth, u in enumerate(script.subject.upstreams)}
    sink = build_sink(place, image, len(ports)) if any(map(script.calls, script.arms)) else None

    def build(workload: Manifest, arm: Arm, nth: int, props: Props) -> Manifest | Problem:
        sinks: dict[str, str] = {}
        if props.exposed and not script.subject.unisolated:
            return NOT_ISOLATED
        if script.calls(arm):
            if isinstance(props.sink, Problem):
                return props.sink
            sinks = props.sinks()
        avoid = tuple(node for name, node in script.avoid if name == arm.name)
        seen = replace(
            place,
            index=nth,
            stores=props.addresses,
            configs=props.configs,
            sinks=sinks,
            avoid=avoid,
            image="" if props.exposed else image,
        )
        if (changed := _changed(workload, script.subject)) is not None:
            return changed
        return build_clone(workload, script.subject, arm, seen)

    return build, Props((build_isolation(place),), stores, sink, ports)


def _store(script: Script, store: Store, place: Place, image: str) -> Manifest | Problem:
    """A throw-away store; where an arm cuts it off, behind a gate."""
    made = build_store(store, dict(script.images).get(store.kind, ""), place)
    cut = any(isinstance(s, Fault) and s.of == store.name for a in script.arms for s in a.steps)
    return with_gate(made, image) if cut and isinstance(made, dict) else made


def _changed(workload: Manifest, subject: DrillSubject) -> Problem | None:
    """Whether the template is another than the plan saw: it hashes what its watch kept of it."""
    found = template_hash(projected(workload))
    if subject.template in ("", found):
        return None
    words = f"the template of {subject.kind}/{subject.name} is {found}, not {subject.template}"
    return Problem("TemplateChanged", words)


def _close(log: Log, script: AnyScript) -> None:
    if log.lines < len(script.arms):
        print(f"ended after {log.lines} of {len(script.arms)} arms", file=sys.stderr)
    with suppress(OSError):  # not in a pod
        TERMINATION.write_text(log.closing(), encoding="utf-8")


def _unobserved(method: str, status: int) -> None:
    """A drill's Job serves no metrics."""
