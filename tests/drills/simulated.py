"""What the drill's runner would see of a server that behaves as described: arms in, timelines out.

A small event simulation with the runner's own rules (how many knocks are open, when the flow stops)
and the kubelet's habits: a signal some time after the preStop hook, SIGKILL at grace, whole seconds.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from readiness.model import Outcome
from readiness.script import Arm
from readiness.step import Boot, Exit, Flow, Hold, Knock, Meter, Pause, Send, Stop
from readiness.timeline import NEVER, Ending, Exchange, Moment, Problem, Timeline

WIRE = 0.001
QUICK = 0.003
FOREVER = math.inf
Work = Generator["float | Wait", None, None]


@dataclass(frozen=True, slots=True)
class Server:
    """`on_term`: drain, exit, ignore. `listener`, once it drains: close, backlog (open, but nobody
    accepts), open, away (503 and close). `keepalive`: close, tell (answers with close), serve (answers
    without), wait (the end waits for idle connections, at most `keep`). `limit` is how long it drains,
    `timeout` when it gives up a request by itself, `export` how long a slow one takes whatever it was asked, `longest`
    the most that it can be asked.
    """

    on_term: str = "drain"
    on_int: str = ""
    slots: int = 50
    listener: str = "close"
    keepalive: str = "close"
    keep: float = FOREVER
    lame: float = 0.0
    flips: bool = False
    limit: float = FOREVER
    edited_limit: float = 0.0
    idle: float = 0.1
    code: int = 0
    cut_code: int = 0
    timeout: float = FOREVER
    stream: bool = False
    export: float = 0.0
    longest: float = FOREVER
    status: int = 200
    slow_status: int = 0
    cuts_body: bool = False
    oom: bool = False
    always_close: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """`hook` is how long preStop takes, `shown` whether its manifest says so; `lag` how late the
    kubelet's signal is, `skew` how far the node's clock is ahead, `beside` how long it takes to
    signal from an ephemeral container, `lingers` how long its address outlives the container."""

    grace: float = 30.0
    hook: float = 0.0
    shown: bool = True
    lag: float = 0.15
    skew: float = 0.0
    epoch: float = 1_000_000_000.37
    told: float = 0.4
    startup: float = 2.0
    sidecar: float = 0.0
    beside: float = 1.2
    lingers: float = 0.4
    reason: str = ""


class Wait:
    """Something a step waits for."""

    def __init__(self) -> None:
        self.done = False
        self.after: list[Callable[[], None]] = []

    def finish(self) -> None:
        if not self.done:
            self.done = True
            for each in self.after:
                each()


@dataclass(eq=False)
class Call(Wait):
    """One request on its way."""

    label: str
    nth: int = 0
    wave: int = 0
    seconds: float = 0.0
    held: bool = False
    start: float = 0.0
    connected: float = NEVER
    first: float = NEVER
    seen: Exchange | None = None

    def __post_init__(self) -> None:
        super().__init__()


@dataclass(eq=False)
class Simulation:
    server: Server
    pod: Pod
    arm: Arm
    now: float = 0.0
    heap: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    order: Any = field(default_factory=itertools.count)
    calls: list[Call] = field(default_factory=list)
    running: list[Call] = field(default_factory=list)
    queue: list[Call] = field(default_factory=list)
    idle: list[tuple[int, Wait]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    stopped: float = NEVER
    parallel: int = 1
    knows: bool = False
    draining: bool = False
    ended: float = FOREVER
    over: bool = False
    open_slow: int = 0
    told: Wait = field(default_factory=Wait)
    problem: Problem | None = None

    def run(self) -> Timeline:
        main = self.steps()
        self.advance(main)
        while self.heap and not self.over:
            self.now, _, act = heapq.heappop(self.heap)
            act()
        for call in self.calls:
            if call.seen is None:
                self.conclude(call, Outcome.ABORTED)
        p = self.pod
        return Timeline(
            self.arm.name, p.epoch, self.stopped, p.grace, p.hook if p.shown else None, self.parallel,
            container="app", exchanges=tuple(sorted((c.seen for c in self.calls if c.seen), key=lambda x: x.start)),
            moments=tuple(sorted(self.moments, key=lambda m: m.at)), endings=tuple(self.endings),
            problem=self.problem,
        )  # fmt: skip

    def at(self, delay: float, act: Callable[[], None]) -> None:
        if delay < FOREVER:
            heapq.heappush(self.heap, (self.now + delay, next(self.order), act))

    def advance(self, work: Work) -> None:
        try:
            asked = next(work)
        except StopIteration:
            return
        if isinstance(asked, Wait):
            asked.after.append(lambda: self.at(0, lambda: self.advance(work)))
            if asked.done:
                self.at(0, lambda: self.advance(work))
        else:
            self.at(asked, lambda: self.advance(work))

    def note(self, name: str, detail: str = "") -> None:
        self.moments.append(Moment(self.now, name, detail))

    # what the runner does

    def steps(self) -> Work:
        takes: dict[type[Any], Callable[[Any], Work]] = {
            Boot: self.boot, Pause: self.pause, Send: self.send, Hold: self.hold, Stop: self.stop,
            Exit: self.wait_exit, Flow: self.flow, Knock: self.knock, Meter: self.meter,
        }  # fmt: skip
        for step in self.arm.steps:
            work = takes[type(step)](step)
            if isinstance(step, Flow | Knock | Hold):
                self.advance(work)
            else:
                yield from work
        self.over = True

    def boot(self, step: Boot) -> Work:
        self.note("created")
        yield self.pod.startup
        self.note("ready")

    def meter(self, step: Meter) -> Work:
        yield 0

    def pause(self, step: Pause) -> Work:
        yield step.seconds

    def send(self, step: Send) -> Work:
        for nth in range(step.times):
            sent = [
                self.call(Call(step.label, nth * step.parallel + n, nth, step.seconds))
                for n in range(step.parallel)
            ]
            yield from sent
            if step.measure:
                whole = [c.seen for c in sent if c.seen and c.seen.answered]
                wall = max((x.end for x in whole), default=0) - sent[0].start
                full = wall <= 1.5 * step.seconds
                self.parallel = (
                    len(whole) if full else max(1, int(len(whole) * step.seconds / wall))
                )

    def hold(self, step: Hold) -> Work:
        for nth in range(step.count):
            first = self.call(Call(step.label, nth))
            yield first
            if first.seen is None or not first.seen.answered:
                continue
            closed = Wait()
            self.idle.append((nth, closed))
            if self.server.always_close:
                closed.finish()
            self.advance(self.held(step, nth, closed))

    def held(self, step: Hold, nth: int, closed: Wait) -> Work:
        while not closed.done and not self.told.done:
            yield 0.05
        delay = step.reuse_after[nth % len(step.reuse_after)]
        due = self.stopped + (self.pod.hook if self.pod.shown else 0) + delay
        while not closed.done and self.now < due:
            yield min(0.01, due - self.now)
        if closed.done:
            self.note("closed", f"{step.label} {nth}")
        else:
            self.call(Call(step.label, nth, 1, held=True))

    def flow(self, step: Flow) -> Work:
        limit, nth = self.parallel - 1 if self.parallel > 1 else 1, 0
        for wave in range(600):
            for _ in range(step.size):
                if self.open_slow < limit:
                    self.open_slow += 1
                    call = Call(step.label, nth, wave, step.paths[nth % len(step.paths)][0])
                    call.after.append(lambda: setattr(self, "open_slow", self.open_slow - 1))
                    self.call(call)
                    nth += 1
            yield step.every
            late = [
                c for c in self.calls if c.label == step.label and c.start > self.stopped != NEVER
            ]
            if any(c.done and c.first == NEVER for c in late):
                return

    def knock(self, step: Knock) -> Work:
        nth = 0
        while nth < step.most:
            if sum(c.label == step.label and not c.done for c in self.calls) < 3:
                self.call(Call(step.label, nth))
                nth += 1
            yield step.every

    def stop(self, step: Stop) -> Work:
        signal = step.signal
        self.note("stopping")
        yield 1.5 if signal else 0.02
        self.stopped = self.now
        self.told.finish()
        self.note("stopped")
        if signal:  # by a container beside the application's
            yield self.pod.beside
            self.signalled(self.server.on_int or self.server.on_term)
            yield 0.6
            self.note("sent")
            return
        self.at(self.pod.hook + self.pod.lag, lambda: self.signalled(self.server.on_term))
        self.at(self.pod.grace, lambda: self.end(137))

    def wait_exit(self, step: Exit) -> Work:
        until = self.now + step.within
        while not any(e.container == "app" for e in self.endings) and self.now < until:
            yield 0.01
        if self.now >= until:
            words = f"still running {step.within:g} s after it was told to stop"
            self.problem = Problem("Aborted", words)
            return
        yield max(0.0, self.stopped + step.watched - self.now)
        if not all(call.done for call in self.calls):
            yield 0.4

    # what the server does

    def call(self, call: Call) -> Call:
        call.start = self.now
        self.calls.append(call)
        if self.now >= self.ended + self.pod.lingers and not call.held:
            self.at(3.0, lambda: self.conclude(call, Outcome.TIMEOUT))
        elif self.now >= self.ended or (
            self.draining and self.server.listener == "close" and not call.held
        ):
            outcome = Outcome.RESET if call.held else Outcome.REFUSED
            self.at(WIRE, lambda: self.conclude(call, outcome))
        else:
            call.connected = self.now + WIRE
            self.at(call.seconds + 10, lambda: self.conclude(call, Outcome.TIMEOUT))
            self.accept(call)
        return call

    def accept(self, call: Call) -> None:
        if self.draining and self.server.listener == "away" and not call.held:
            self.at(QUICK, lambda: self.answer(call, 503, close=True))
        elif (self.draining and self.server.listener == "backlog" and not call.held) or len(
            self.running
        ) >= self.server.slots:
            self.queue.append(call)
        else:
            self.running.append(call)
            if self.server.stream and call.seconds:
                call.first = self.now + QUICK
            asked = min(self.server.export or call.seconds, self.server.longest)
            took = min(asked, self.server.timeout) if call.seconds else QUICK
            usual = self.server.slow_status if call.seconds else 0
            late = call.seconds > 0 and asked > self.server.timeout
            self.at(took, lambda: self.answer(call, 504 if late else usual or self.server.status))

    def answer(self, call: Call, status: int, *, close: bool = False) -> None:
        if call in self.running:  # also when its client has given up: the server works on
            self.running.remove(call)
        if call.done:
            self.leave()
            return
        call.first = self.now if call.first == NEVER else call.first
        late = self.stopped != NEVER and self.draining
        if self.server.flips and self.knows and not call.seconds:
            status = 503
        close = close or self.server.always_close or (late and self.server.keepalive == "tell")
        self.conclude(call, Outcome.RESPONSE, status, close=close)
        if call.held:
            self.idle = (
                [(nth, w) for nth, w in self.idle if nth != call.nth] if close else self.idle
            )
        accepts = not self.draining or self.server.listener == "open"
        if self.queue and accepts:
            self.accept(self.queue.pop(0))
        self.leave()

    def conclude(
        self, call: Call, outcome: Outcome, status: int = 0, *, close: bool = False
    ) -> None:
        if call.done:
            return
        self.queue = [c for c in self.queue if c is not call]
        whole = outcome is Outcome.RESPONSE
        size = (10 if self.server.cuts_body and self.draining else 100) if whole else 0
        call.seen = Exchange(
            call.label, call.nth, call.wave, call.start, call.connected, call.first, self.now, outcome,
            status, size, whole, close, call.held, call.seconds,
        )  # fmt: skip
        call.finish()

    def signalled(self, how: str) -> None:
        self.knows = True
        if how == "exit":
            self.at(0.02, lambda: self.end(self.server.code))
        elif how == "drain":
            self.at(self.server.lame, self.drain)
            limit = self.server.limit
            if any(e.value for e in self.arm.edits):
                limit = self.server.edited_limit or limit
            self.at(limit, lambda: self.end(self.server.cut_code))

    def drain(self) -> None:
        self.draining = True
        if self.server.keepalive == "close":
            self.close_idle()
        elif self.server.keepalive == "wait":
            self.at(self.server.keep, self.close_idle)
        self.leave()

    def close_idle(self) -> None:
        for _, closed in self.idle:
            closed.finish()
        self.idle = []
        self.leave()

    def leave(self) -> None:
        if self.free():
            self.at(self.server.idle, lambda: self.end(self.server.code) if self.free() else None)

    def free(self) -> bool:
        waits = self.idle if self.server.keepalive == "wait" else []
        return self.draining and not self.running and not waits

    def end(self, code: int) -> None:
        if self.ended < FOREVER:
            return
        self.ended = self.now
        for call in (*self.running, *self.queue):
            self.conclude(call, Outcome.RESET)
        for _, closed in self.idle:
            closed.finish()
        if self.server.oom and code != 137:
            code = 137
        ending = self.ending("app", code)
        self.at(self.pod.told, lambda: self.endings.append(ending))
        if self.pod.sidecar:
            late = self.stopped + self.pod.sidecar - self.now
            self.at(late, lambda: self.endings.append(self.ending("proxy", 137)))

    def ending(self, container: str, code: int) -> Ending:
        p, told = self.pod, self.pod.told if container == "app" else 0.0
        reason = "OOMKilled" if self.server.oom and container == "app" else p.reason
        began = math.floor(p.epoch + p.startup / 2 + p.skew)
        finished = math.floor(p.epoch + self.now + p.skew)
        return Ending(self.now + told, container, code, 0, reason, float(began), float(finished))


def simulate(server: Server, pod: Pod, arm: Arm) -> Timeline:
    """The timeline of one arm."""
    return Simulation(server, pod, arm).run()
