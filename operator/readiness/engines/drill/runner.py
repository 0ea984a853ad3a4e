"""A whole drill: its arms side by side, each on a clone of its own, everything cleared away after.

Runs inside the drill's Job. What it is told is a Script, what it says are timelines; how clones are
built is given to it, and so is everything that touches the cluster.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from readiness.drills.sink import control_of
from readiness.engines.dialer import Caps, Dialer
from readiness.engines.drill.act import World
from readiness.engines.drill.arm import build_act, run_arm
from readiness.engines.drill.clone import Clone
from readiness.engines.drill.crowd import Crowd
from readiness.engines.drill.props import Prop
from readiness.engines.drill.stage import Stage
from readiness.engines.drill.traffic import Line
from readiness.model import Manifest
from readiness.naming import drill
from readiness.request import Hop, HopKind
from readiness.script import STORE_SECONDS, Arm, Script, seconds_of
from readiness.step import Boot
from readiness.timeline import NEVER, Moment, Problem, ProblemError, Timeline
from readiness.workload import config_maps

CAPS: Final = Caps(connect=3.0)
BEAT: Final = 0.05
SINK: Final = ""
_PORT: Final = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+(?=->)")

Build = Callable[[Manifest, Arm, int, "Props"], Manifest | Problem]
"""The clone of a workload for an arm, the how-manieth it is; or why there can be none."""


@dataclass(frozen=True, slots=True)
class Props:
    """What stands on the stage beside the clones. `made` is created first; pods of `stores`, by name, and the
    `sink` must become Ready. `ports` are those of upstreams on the sink. `configs` holds the data of
    ConfigMaps, `addresses` those of stores and, as SINK, of the sink. `exposed`: no policy isolates clones here."""

    made: tuple[Manifest, ...] = ()
    stores: Mapping[str, Manifest | Problem] = field(default_factory=dict)
    sink: Manifest | Problem | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    exposed: bool = False

    def sinks(self) -> dict[str, str]:
        """`address:port` of what plays each upstream."""
        address = self.addresses.get(SINK, "")
        host = f"[{address}]" if ":" in address else address
        return {name: f"{host}:{port}" for name, port in self.ports.items()} if address else {}


@dataclass(frozen=True, slots=True)
class Reports:
    """Who is told: of moments as they happen, of a timeline when its arm has ended."""

    moment: Callable[[str, Moment], None]
    timeline: Callable[[Timeline], None]


class Drill:
    """`await Drill(script, stage, dialer, crew, reports).run()` reports one timeline per arm."""

    def __init__(
        self,
        script: Script,
        stage: Stage,
        dialer: Dialer,
        crew: tuple[Build, Props],
        reports: Reports,
    ) -> None:
        self._script = script
        self._stage = stage
        self._dialer = dialer
        self._build, self._props = crew
        self._reports = reports
        self._zero = dialer.clock.steady()
        self._epoch = dialer.clock.wall()
        self._clones: dict[str, Clone] = {}
        self._late: list[tuple[float, float]] = []
        self._crowd = Crowd()

    def now(self) -> float:
        """Seconds since the drill began."""
        return self._dialer.clock.steady() - self._zero

    async def run(self) -> None:
        """Carry out every arm within the script's deadline; clears away whatever happens."""
        beside = [asyncio.create_task(each) for each in (self._follow(), self._beat())]
        try:
            async with asyncio.timeout(self._script.deadline):
                await self._arms()
        finally:
            for task in beside:
                task.cancel()
            await self._stage.clear()

    async def _arms(self) -> None:
        subject = self._script.subject
        found = await self._stage.workload(subject.api_version, subject.kind, subject.name)
        problem = found if isinstance(found, Problem) else await self._prepare(found)
        if isinstance(found, Problem) or problem is not None:
            for arm in self._script.arms:
                self._report(Timeline(arm.name, problem=problem))
            return
        places = asyncio.Semaphore(self._script.clones)
        async with asyncio.TaskGroup() as group:
            longest_first = sorted(self._script.arms, key=seconds_of, reverse=True)
            for nth, arm in enumerate(longest_first):
                group.create_task(self._arm(found, arm, nth, places))

    async def _prepare(self, workload: Manifest) -> Problem | None:
        """What must stand before the first clone: isolation, then stores and sink, with their addresses.

        Without its sink a drill still answers what needs none.
        """
        for each in self._props.made:
            if isinstance(made := await self._stage.create(each), Problem):
                return made
        configs = {}
        for name in config_maps(workload):
            config = await self._stage.config(name)
            configs[name] = {} if isinstance(config, Problem) else dict(config.get("data") or {})
        sink, addresses = self._props.sink, {}
        if isinstance(sink, dict):
            address = await self._open(sink)
            if isinstance(address, str):
                addresses[SINK] = address
            else:
                sink = address
        self._props = replace(self._props, sink=sink, addresses=addresses, configs=configs)
        if all(arm.apart for arm in self._script.arms):
            return None
        opened = await self._with_stores(self._props)
        if isinstance(opened, Problem):
            return opened
        self._props = opened
        return None

    async def _with_stores(self, props: Props) -> Props | Problem:
        """The props once every store is Ready, with their addresses."""
        addresses = dict(props.addresses)
        for name, store in props.stores.items():
            address = store if isinstance(store, Problem) else await self._open(store)
            if isinstance(address, Problem):
                return address
            addresses[name] = address
        return replace(props, addresses=addresses)

    async def _apart(self, arm: Arm) -> Props | Problem:
        """The props of one arm: stores of its own where it asks for them, the drill's otherwise."""
        if not arm.apart:
            return self._props
        stores = {
            name: s if isinstance(s, Problem) else _renamed(s, drill(self._script.run, "store", name, arm.name))
            for name, s in self._props.stores.items()
        }  # fmt: skip
        return await self._with_stores(replace(self._props, stores=stores))

    async def _open(self, manifest: Manifest) -> str | Problem:
        """The address of a store or sink, once it is Ready."""
        store = Clone(manifest["spec"]["containers"][0]["name"], self.now)
        self._clones[manifest["metadata"]["name"]] = store
        if isinstance(made := await self._stage.create(manifest), Problem):
            return made
        await store.until(lambda s: s.moment("ready") or s.ending is not None, STORE_SECONDS)
        if store.moment("ready"):
            return str(store.pod["status"]["podIP"])
        words = f"the drill's own pod of {store.container} is not Ready"
        return store.obstacle(patient=False) or Problem("StoreUnavailable", words)

    def _prop(self, props: Props, name: str) -> Prop:
        """What plays an upstream, or the gate of a store, of an arm's own or the drill's."""
        pod = props.sink if name in props.ports else props.stores.get(name)
        address = props.addresses.get(SINK if name in props.ports else name)
        if not isinstance(pod, dict) or address is None:
            raise ProblemError(Problem("SinkUnavailable", f"there is no fault sink for {name}"))
        hop = Hop(HopKind.POD, pod["metadata"]["name"], "", control_of(pod), address)

        def line() -> Line:
            return Line(self._dialer, hop, self._script.run, self._zero)

        return Prop(hop.name, line, props.ports.get(name, 0))

    async def _arm(self, workload: Manifest, arm: Arm, nth: int, places: asyncio.Semaphore) -> None:
        async with places:
            props = await self._apart(arm)
            if isinstance(props, Problem):
                self._report(Timeline(arm.name, problem=props))
                return
            manifests = self._manifests(workload, arm, nth, props)
            if isinstance(manifests, Problem):
                self._report(Timeline(arm.name, problem=manifests))
            else:
                await self._run(arm, manifests, props)
            if arm.apart:
                await self._close(each for each in props.stores.values() if isinstance(each, dict))

    async def _run(self, arm: Arm, manifests: tuple[Manifest, ...], props: Props) -> None:
        known = self._script.subject.stores
        stores = {
            s.name: (props.addresses[s.name], s.port) for s in known if s.name in props.addresses
        }
        world = World(
            self._stage,
            self.now,
            self._line,
            partial(self._prop, props),
            self._reports.moment,
            self._epoch,
            stores,
        )
        act = build_act(world, arm, manifests, self._script.subject.container)
        names = [manifest["metadata"]["name"] for manifest in manifests]
        self._clones |= {name: clone for name, (_, clone) in zip(names, act.clones, strict=True)}
        seen = await run_arm(act, arm)
        ready = seen.moment("ready")
        since = ready if ready != NEVER else seen.moment("created")
        lag = max((late for at, late in self._late if at >= since), default=0.0)
        problem, unmeasured = seen.problem, _plain(seen.unmeasured, names)
        if problem is not None:
            problem = replace(problem, words=_plain(problem.words, names))
        crowded = self._crowd.share(since)
        seen = replace(seen, lag=lag, crowded=crowded, unmeasured=unmeasured, problem=problem)
        self._report(seen)
        await self._close(manifests)

    def _manifests(
        self, workload: Manifest, arm: Arm, nth: int, props: Props
    ) -> tuple[Manifest, ...] | Problem:
        """A clone for each Boot, numbered apart from those of other arms."""
        boots = sum(isinstance(step, Boot) for step in arm.steps)
        made = []
        for number in range(
            nth, nth + max(boots, 1) * len(self._script.arms), len(self._script.arms)
        ):
            manifest = self._build(workload, arm, number, props)
            if isinstance(manifest, Problem):
                return manifest
            made.append(manifest)
        return tuple(made)

    async def _close(self, manifests: Iterable[Manifest]) -> None:
        """End what of these pods is still there."""
        for manifest in manifests:
            clone = self._clones[manifest["metadata"]["name"]]
            if not clone.gone and clone.pod:
                await self._stage.end(clone.pod)

    def _report(self, timeline: Timeline) -> None:
        self._reports.timeline(replace(timeline, epoch=self._epoch))

    def _line(self, pod: Manifest) -> Line:
        subject = self._script.subject
        address = pod["status"]["podIP"]
        hop = Hop(
            HopKind.POD, pod["metadata"]["name"], subject.host, subject.port, address, subject.tls,
            subject.namespace,
        )  # fmt: skip
        return Line(self._dialer, hop, self._script.run, self._zero)

    async def _follow(self) -> None:
        async for event, pod in self._stage.follow():
            clone = self._clones.get(pod["metadata"]["name"])
            if clone is not None:
                clone.saw(event, pod)
                if clone.moment("exposed") and not self._props.exposed:
                    self._props = replace(self._props, exposed=True)  # no other waits in vain

    async def _beat(self) -> None:
        """How late our own loop is: a prober that lags must not blame the application."""
        while True:
            before = self.now()
            await asyncio.sleep(BEAT)
            self._crowd.look(before)
            if (late := self.now() - before - BEAT) > BEAT:
                self._late.append((before, late))


def _plain(words: str, names: Iterable[str]) -> str:
    """Words without what is another at every look: the clones' names, ports of connections."""
    for name in names:
        words = words.replace(name, "clone")
    return _PORT.sub(r"\1", words)


def _renamed(manifest: Manifest, name: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}
