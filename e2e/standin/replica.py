"""One member of a set: terms, elections, a replicated log, configurations. Knows no client and no user's rights.

As little as keeps the rules that a driver and an operator can see: votes need a majority and a log that is not
behind, a primary without a majority steps down, a returning one throws away what no majority has. `pace` multiplies
every time a real server would take, so that ten seconds may be one.
"""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
from bson import ObjectId
from bson.timestamp import Timestamp

from standin import wire
from standin.wire import Document

BEAT, ELECTION, SYNC = 2.0, 10.0, 2.0
NUMBERS = {"STARTUP": 0, "PRIMARY": 1, "SECONDARY": 2, "RECOVERING": 3, "STARTUP2": 5, "DOWN": 8, "ROLLBACK": 9, "REMOVED": 10}  # fmt: skip
Optime = tuple[int, int, int]
BEFORE: Optime = (-1, 0, 0)


class Refusal(Exception):  # noqa: N818 -- an answer, not a mistake
    """A command that fails, with the server's code and its name."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(text)
        self.answer = {"ok": 0.0, "errmsg": text, "code": code, "codeName": name}


def not_primary() -> Refusal:
    return Refusal(10107, "NotWritablePrimary", "not primary")


def told(optime: Optime) -> Document:
    return {"ts": Timestamp(optime[1], optime[2]), "t": optime[0]}


@dataclass
class Heard:
    """What another member said last."""

    at: float
    state: str
    optime: Optime
    config: tuple[int, int]


@dataclass(eq=False)
class Replica:
    """A member. `mine` tells whether a host of a configuration is this process."""

    path: Path
    key: str
    pace: float
    mine: Any
    state: str = "EMPTY"
    config: Document | None = None
    term: int = 0
    voted: int = 0
    me: str = ""
    leader: str = ""
    log: list[Document] = field(default_factory=list)
    heard: dict[str, Heard] = field(default_factory=dict)
    progress: dict[str, Optime] = field(default_factory=dict)
    election: ObjectId = field(default_factory=ObjectId)
    stepping: bool = False

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.changed = asyncio.Condition()
        self.beat_now = asyncio.Event()
        self.applied: Any = lambda _: None
        self.emptied: Any = lambda: None
        self._contact = time.monotonic()
        self._frozen = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what is kept

    def load(self) -> None:
        """Begin where it ended."""
        if (self.path / "meta.bson").exists():
            meta = bson.decode((self.path / "meta.bson").read_bytes())
            self.config, self.term, self.voted = meta["config"], meta["term"], meta["voted"]
            self.log = list(bson.decode_all((self.path / "log.bson").read_bytes()))
            for entry in self.log:
                self.applied(entry["op"])
            self._settle("SECONDARY")

    def save(self) -> None:
        meta = self.path / "meta.partial"
        meta.write_bytes(
            bson.encode({"config": self.config, "term": self.term, "voted": self.voted})
        )
        meta.replace(self.path / "meta.bson")
        (self.path / "log.bson").touch()

    def _settle(self, state: str) -> None:
        """Find itself in the configuration."""
        self.me = next((m["host"] for m in self.members if self.mine(m["host"])), "")
        self.state = state if self.me else "REMOVED"

    def _keep(self, entries: list[Document]) -> None:
        with (self.path / "log.bson").open("ab") as file:
            for entry in entries:
                self.log.append(entry)
                file.write(bson.encode(entry))
                self.applied(entry["op"])

    # --- what follows from it

    @property
    def members(self) -> list[Document]:
        return self.config["members"] if self.config else []

    @property
    def voters(self) -> list[str]:
        return [m["host"] for m in self.members if m.get("votes", 1)]

    @property
    def own(self) -> Document:
        return next((m for m in self.members if m["host"] == self.me), {})

    @property
    def version(self) -> tuple[int, int]:
        return (self.config["term"], self.config["version"]) if self.config else (-1, -1)

    @property
    def timeout(self) -> float:
        settings = (self.config or {}).get("settings", {})
        return float(settings.get("electionTimeoutMillis", ELECTION * 1000)) / 1000 * self.pace

    @property
    def optime(self) -> Optime:
        return self.position(self.log[-1]) if self.log else BEFORE

    @staticmethod
    def position(entry: Document) -> Optime:
        return entry["t"], entry["s"], entry["i"]

    def majority(self, hosts: list[str]) -> bool:
        return len(set(hosts) & set(self.voters)) > len(self.voters) // 2

    def committed(self, optime: Optime) -> bool:
        return self.majority([self.me, *(h for h, p in self.progress.items() if p >= optime)])

    def knowing(self) -> bool:
        """Whether a majority has this configuration."""
        return self.majority([self.me, *(h for h, s in self.heard.items() if s.config >= self.version)])  # fmt: skip

    def is_near(self, host: str) -> bool:
        return host in self.heard and time.monotonic() - self.heard[host].at < self.timeout

    # --- writing

    async def write(self, op: Document) -> Optime:
        """Append to the log of a primary."""
        if self.state != "PRIMARY" or self.stepping:
            raise not_primary()
        last, now = self.optime, int(time.time())
        seconds = max(now, last[1])
        entry = {"t": self.term, "s": seconds, "i": last[2] + 1 if seconds == last[1] else 1, "op": op}  # fmt: skip
        self._keep([entry])
        await self.notify()
        return self.position(entry)

    async def await_majority(self, optime: Optime, within: float | None) -> bool:
        """Whether a majority has it in time. Interrupted when it is primary no more."""

        def over() -> bool:
            return self.state != "PRIMARY" or self.committed(optime)

        done = await self.until(over, within)
        if self.state != "PRIMARY":
            raise Refusal(11602, "InterruptedDueToReplStateChange", "operation was interrupted")
        return done

    async def until(self, true: Any, within: float | None) -> bool:
        try:
            async with asyncio.timeout(within), self.changed:
                await self.changed.wait_for(true)
        except TimeoutError:
            return False
        return True

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    # --- configuring

    async def install(self, config: Document) -> None:
        known = self.config is not None
        self.config = config
        self._settle(self.state if known and self.state not in ("REMOVED", "EMPTY") else ("SECONDARY" if self.log else "STARTUP2"))  # fmt: skip
        self.save()
        self.beat_now.set()
        await self.notify()

    async def initiate(self, config: Document) -> None:
        if self.config is not None:
            raise Refusal(23, "AlreadyInitialized", "already initialized")
        await self.install({**config, "version": 1, "term": 1, "settings": {**config.get("settings", {}), "replicaSetId": ObjectId()}})  # fmt: skip
        if not self.me:
            self.config, self.state = None, "EMPTY"
            raise Refusal(
                74, "NodeNotFound", "no host described in new configuration maps to this node"
            )
        self.state = "SECONDARY"
        self._keep([{"t": 1, "s": int(time.time()), "i": 1, "op": {"kind": "noop"}}])
        self.term = self.voted = 1
        self._lead()

    # --- running

    def start(self) -> None:
        for loop in (self._beats, self._fetches):
            task = asyncio.create_task(loop())
            self._tasks.add(task)

    async def _beats(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT * self.pace):
                    await self.beat_now.wait()
            self.beat_now.clear()
            others = [m["host"] for m in self.members if m["host"] != self.me]
            await asyncio.gather(*map(self._beat, others))
            await self.notify()
            if self.state == "PRIMARY":
                if not self.majority([self.me, *filter(self.is_near, others)]):
                    self._follow("")
            elif self._may_run():
                await self._run(handoff=False)

    async def _beat(self, host: str) -> None:
        message = {"standin": "beat", "from": self.me, "to": host, "term": self.term, "state": self.state,
                   "optime": list(self.optime), "config": self.config, "key": self.key, "$db": "admin"}  # fmt: skip
        try:
            answer = await wire.call(host, message, max(0.5, BEAT * self.pace))
        except OSError:
            return
        if answer.get("ok"):
            await self._hear(host, answer)

    async def _hear(self, host: str, said: Document) -> None:
        config = said.get("config")
        if config and (config["term"], config["version"]) > self.version:
            await self.install(config)
        version = (config["term"], config["version"]) if config else (-1, -1)
        self.heard[host] = Heard(time.monotonic(), said["state"], tuple(said["optime"]), version)
        if said["term"] > self.term:
            self.term = said["term"]
            if self.state == "PRIMARY":
                self._follow("")
            self.save()
        if said["state"] == "PRIMARY" and said["term"] >= self.term and self.state != "PRIMARY":
            self.leader, self._contact = host, time.monotonic()

    def _follow(self, leader: str) -> None:
        self.state, self.leader, self._contact = "SECONDARY", leader, time.monotonic()

    def _lead(self) -> None:
        self.state, self.leader, self.election = "PRIMARY", self.me, ObjectId()
        self.stepping, self.progress = False, {}
        if self.config is not None:
            self.config = {**self.config, "term": self.term}
        self.save()
        self.beat_now.set()

    def _may_run(self) -> bool:
        own = self.own
        patience = self.timeout * random.uniform(1.0, 1.5)
        able = self.state == "SECONDARY" and own.get("votes", 1) and own.get("priority", 1) > 0
        now = time.monotonic()
        return bool(able) and now > self._frozen and now - self._contact > patience

    async def _run(self, *, handoff: bool) -> None:
        """Stand for election."""
        self.term += 1
        self.voted = term = self.term
        self.save()
        self._contact = time.monotonic()
        ask = {"standin": "vote", "from": self.me, "term": term, "optime": list(self.optime), "handoff": handoff,
               "key": self.key, "$db": "admin"}  # fmt: skip
        others = [host for host in self.voters if host != self.me]
        answers = await asyncio.gather(*(wire.call(h, ask, max(0.5, BEAT * self.pace)) for h in others), return_exceptions=True)  # fmt: skip
        yes = [
            h
            for h, a in zip(others, answers, strict=True)
            if isinstance(a, dict) and a.get("granted")
        ]
        if self.term == term and self.state == "SECONDARY" and self.majority([self.me, *yes]):
            self._lead()
            await self.write({"kind": "noop"})

    async def _fetches(self) -> None:
        while True:
            following = (
                self.state in ("SECONDARY", "STARTUP2") and self.leader and self.leader != self.me
            )
            if not following or not await self._fetch(self.leader):
                await asyncio.sleep(0.05)

    async def _fetch(self, leader: str) -> bool:
        ask = {"standin": "fetch", "from": self.me, "after": list(self.optime), "key": self.key, "$db": "admin"}  # fmt: skip
        try:
            answer = await wire.call(leader, ask, 5)
        except OSError:
            return False
        if not answer.get("ok") or self.state == "PRIMARY":
            return False
        if answer["anew"]:  # what it had and no majority did is thrown away
            self.log = []
            (self.path / "log.bson").write_bytes(b"")
            self.emptied()
        self._keep(answer["entries"])
        await self.notify()
        if self.state == "STARTUP2":
            await asyncio.sleep(SYNC * self.pace)
            self.state = "SECONDARY" if self.state == "STARTUP2" else self.state
            self.beat_now.set()
        return True

    # --- what other members ask

    async def answer(self, ask: Document) -> Document:
        if ask["key"] != self.key:
            raise Refusal(18, "AuthenticationFailed", "another keyfile")
        match ask["standin"]:
            case "beat":
                return await self._on_beat(ask)
            case "vote":
                return self._on_vote(ask)
            case "takeover":
                task = asyncio.create_task(self._run(handoff=True))
                self._tasks.add(task)
                return {"ok": 1.0}
        return await self._on_fetch(ask)

    async def _on_beat(self, ask: Document) -> Document:
        if self.config is not None or ask["config"]:
            if self.config is None and not any(
                m["host"] == ask["to"] for m in ask["config"]["members"]
            ):
                raise Refusal(93, "InvalidReplicaSetConfig", "not a member")
            await self._hear(ask["from"], ask)
        return {"ok": 1.0, "state": self.state, "optime": list(self.optime), "term": self.term, "config": self.config}  # fmt: skip

    def _on_vote(self, ask: Document) -> Document:
        leads = (
            self.leader
            and time.monotonic() - self._contact < self.timeout
            and self.state != "PRIMARY"
        )
        known = ask["from"] in self.voters and self.me in self.voters
        granted = known and ask["term"] > self.voted and tuple(ask["optime"]) >= self.optime and (ask["handoff"] or not leads)  # fmt: skip
        if ask["term"] > self.term:
            self.term = ask["term"]
            if self.state == "PRIMARY":
                self._follow("")
        if granted:
            self.voted, self._contact = ask["term"], time.monotonic()
        self.save()
        return {"ok": 1.0, "granted": bool(granted)}

    async def _on_fetch(self, ask: Document) -> Document:
        if self.state != "PRIMARY":
            raise not_primary()
        after = tuple(ask["after"])
        positions = [self.position(entry) for entry in self.log]
        if after != BEFORE and after not in positions:
            return {"ok": 1.0, "anew": True, "entries": self.log}
        self.progress[ask["from"]] = after
        await self.notify()
        start = positions.index(after) + 1 if after != BEFORE else 0
        if start == len(self.log):
            await self.until(lambda: len(self.log) > start or self.state != "PRIMARY", 0.5)
        return {"ok": 1.0, "anew": False, "entries": self.log[start:]}

    # --- handing over

    async def step_down(self, seconds: float, catch_up: float) -> None:
        """Hand over to a member that has everything; fail when none has in time."""
        if self.state != "PRIMARY":
            raise not_primary()
        self.stepping = True
        try:
            if not await self.until(self._heir, catch_up * self.pace):
                raise Refusal(262, "ExceededTimeLimit", "No electable secondaries caught up")
            heir = self._heir()
            self._follow(heir)
            self._frozen = time.monotonic() + seconds * self.pace
        finally:
            self.stepping = False
        await self.notify()
        with contextlib.suppress(OSError):
            await wire.call(heir, {"standin": "takeover", "key": self.key, "$db": "admin"}, 1)

    def _heir(self) -> str:
        able = {m["host"] for m in self.members if m.get("votes", 1) and m.get("priority", 1) > 0}
        return next((h for h, p in self.progress.items() if h in able and self.is_near(h) and p >= self.optime), "")  # fmt: skip
