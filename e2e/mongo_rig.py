"""Members of a replica set as processes on loopback, each with its resident: mongod where it can be had, and the stand-in.

`mongod` is $MONGOD, else the program of that name, else the image mongo:8 in a container engine. The operator's part
is played by its own code: `settle` looks, plans and carries out until nothing is left to do.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from clusters import ENGINES, answers, pull, quiet
from readiness.api.dataservice import DataService
from readiness.dataservices.mongodb import MONGODB
from readiness.dataservices.mongodb.build import RESIDENT_PORT
from readiness.dataservices.mongodb.members import Observed
from readiness.dataservices.mongodb.reconfigure import Wanted, plan_of
from readiness.dataservices.mongodb.settings import DATA, KEYFILE, PORT
from readiness.dataservices.mongodb.steps import Held, Step
from readiness.dataservices.mongodb.users import app_user, users_of
from readiness.dataservices.order import Order
from readiness.engines.stores.mongodb import apply_step, read_set

HERE: Final = Path(__file__).resolve().parent
IMAGE: Final = os.environ.get("MONGO_IMAGE", "mongo:8")
STANDIN: Final = "stand-in"
REAL: Final = "mongod"
PACE: Final = 0.1
DATABASE: Final = "orders"
KEY: Final = "k3yf1le" * 100


def mongod_command() -> tuple[list[str], str]:
    """What runs a real mongod; why there is none."""
    given = os.environ.get("MONGOD") or shutil.which("mongod")
    if given:
        return [given], ""
    engine = next(filter(answers, ENGINES), "")
    if not engine:
        return [], f"no program mongod ($MONGOD), and no container engine for the image {IMAGE}"
    if not quiet(engine, "image", "inspect", IMAGE) and not pull(engine, IMAGE):
        return [], f"{engine} could not pull {IMAGE}"
    return [engine, "run", "--rm", "--network=host", f"--user={os.getuid()}:{os.getgid()}"], ""


def command_of(server: str) -> list[str]:
    """What runs this server; a real one that cannot be had is told of as not run."""
    command, missing = ([], "") if server == STANDIN else mongod_command()
    if missing:
        pytest.skip(f"needs_mongod: {missing}")
    return command


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


@dataclass
class Ledger:
    """Writes, each of which was acknowledged or was not."""

    acked: list[int] = field(default_factory=list)
    gap: float = 0.0


@dataclass
class Rig:
    """Up to `size` members; `hosts` are their names, whether they run or not."""

    kind: str
    command: list[str]
    path: Path
    size: int
    ports: list[int] = field(default_factory=list)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ports = free_ports(2 * self.size)
        names = ("operator", "app", "monitor", "backup", "inspector")
        self.credentials = {name: f"{name}-s3cret" for name in names}
        service = DataService.model_validate({"name": DATABASE, "mongodb": {"replicas": self.size}})
        given = {**self.credentials, "keyfile": KEY}
        order = Order("shop", "checkout", service, IMAGE, "operator", "readiness-system", 3, given)
        self.built = {child["kind"]: child for child in MONGODB.build(order)}
        self.pod = self.built["StatefulSet"]["spec"]["template"]["spec"]
        self.keyfile = self.path / "keyfile"
        self.secret = self.path / "secret"
        self.secret.write_text(KEY)
        keyfile, _ = self.pod["initContainers"]
        command = self.placed(keyfile["command"], {"/secret/keyfile": str(self.secret)})
        subprocess.run(command, check=True)
        self.password = self.path / "operator"
        self.password.write_text(self.credentials["operator"])

    def placed(self, words: Sequence[str], places: dict[str, str]) -> list[str]:
        """What the pod says, with the places of this machine instead of the pod's."""
        found = {KEYFILE: str(self.keyfile), **places}
        return [found.get(word, word) for word in words]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(f"127.0.0.1:{port}" for port in self.ports[: self.size])

    @property
    def pace(self) -> float:
        """By how much every time is multiplied."""
        return PACE if self.kind == STANDIN else 1.0

    def wanted(self, size: int) -> Wanted:
        return Wanted(self.hosts[:size], users_of(DATABASE, self.credentials))

    def uri(self, size: int, user: str = "") -> str:
        name = user or app_user(self.credentials)
        password = self.credentials["app" if name.startswith("app") else name]
        return f"mongodb://{name}:{password}@{','.join(self.hosts[:size])}/{DATABASE}?replicaSet=rs0&authSource=admin&w=majority"

    # --- processes

    def start(self, number: int, members: int = 0) -> None:
        """A member and its resident; `members` is how many the resident knows."""
        self.start_server(number)
        self.start_resident(number, members or self.size)

    def start_server(self, number: int, config: Path | None = None) -> None:
        directory = self.path / f"db{number}"
        directory.mkdir(exist_ok=True)
        flags = ["--config", str(config or self.config(number))]
        if self.kind == STANDIN:
            command = [sys.executable, str(HERE / "standin"), *flags]
        elif self.command[1:2] == ["run"]:
            self.engine("rm", "-f", self.container(number))
            place = ["--name", self.container(number), "-v", f"{self.path}:{self.path}", IMAGE, "mongod"]  # fmt: skip
            command = [*self.command, *place, *flags]
        else:
            command = [*self.command, *flags]
        self.spawn(f"db{number}", command, STANDIN_PACE=str(PACE))

    def config(self, number: int) -> Path:
        """mongod.conf as it is rendered, with the places of this machine."""
        file = self.path / f"mongod{number}.conf"
        text = str(self.built["ConfigMap"]["data"]["mongod.conf"])
        for there, here in ((f'"{DATA}"', f'"{self.path}/db{number}"'), (KEYFILE, str(self.keyfile)), (f"port: {PORT}", f"port: {self.ports[number]}"),
                            ("bindIpAll: true", 'bindIp: "127.0.0.1"')):  # fmt: skip
            assert there in text
            text = text.replace(there, here)
        file.write_text(text)
        return file

    def start_resident(self, number: int, members: int) -> None:
        listed = self.path / f"members{number}"
        listed.write_text("\n".join(self.hosts[:members]))
        _, resident = self.pod["initContainers"]
        args = self.placed(resident["args"], {
            "$(POD_NAME)": f"orders-{number}", "/config/members": str(listed),
            "/password/operator": str(self.password), str(RESIDENT_PORT): str(self.ports[self.size + number]),
        })  # fmt: skip
        here = ["--mongod", self.hosts[number], "--every", "0.4"]
        command = [sys.executable, "-m", "readiness", *args, *here]
        self.spawn(f"resident{number}", command, PYTHONPATH=str(HERE.parent / "operator"))

    def spawn(self, name: str, command: Sequence[str], **environ: str) -> None:
        with (self.path / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env={**os.environ, **environ}, stdout=log, stderr=log
            )

    def end(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal; wait unless the process goes on."""
        child = self.running[name]
        if self.kind == REAL and self.command[1:2] == ["run"] and name.startswith("db"):
            self.engine("kill", "--signal", str(int(number)), self.container(int(name[2:])))
        else:
            child.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            child.wait(timeout=60)
            del self.running[name]

    def wipe(self, number: int) -> None:
        """The volume is lost."""
        shutil.rmtree(self.path / f"db{number}")

    def engine(self, *arguments: str) -> None:
        subprocess.run([self.command[0], *arguments], check=False, capture_output=True)

    def container(self, number: int) -> str:
        return f"readiness-mongod-{self.ports[number]}"

    def close(self) -> None:
        for name in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                self.end(name)

    # --- the operator's part

    async def seen(self, size: int) -> Observed:
        return await read_set(self.hosts[:size], self.credentials)

    async def plan(self, size: int) -> Step | Held | None:
        return plan_of(self.wanted(size), await self.seen(size))

    async def settle(self, size: int, within: float = 120.0) -> Observed:
        """Step by step until the set is as wanted."""
        wanted, deadline, last = self.wanted(size), time.monotonic() + within, None
        while time.monotonic() < deadline:
            seen = await self.seen(size)
            last = plan_of(wanted, seen)
            if last is None:
                return seen
            if isinstance(last, Held):
                await asyncio.sleep(0.1)
            else:
                self.steps.append(last)
                await apply_step(last, seen.primary, self.credentials)
        raise AssertionError(f"not settled in {within} s: {last}\n{self.logs()}")

    async def held(self, size: int, reason: str, within: float = 60.0) -> Held:
        """Wait until nothing can be done, for this reason."""
        deadline, found = time.monotonic() + within, None
        while time.monotonic() < deadline:
            found = await self.plan(size)
            if isinstance(found, Held) and found.reason == reason:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{found} is not {reason}\n{self.logs()}")

    async def probed(self, number: int, answer: tuple[int, str], within: float = 60.0) -> None:
        """Wait until a member's readiness probe is answered so."""
        (mongod,) = self.pod["containers"]
        deadline, found = time.monotonic() + within, (0, "")
        while found != answer:
            assert time.monotonic() < deadline, f"{found}\n{self.logs()}"
            await asyncio.sleep(0.2)
            with contextlib.suppress(OSError):
                found = await self.page(number, mongod["readinessProbe"]["httpGet"]["path"])

    async def before_stop(self, number: int) -> tuple[int, str]:
        """What the hook before a member's stop is answered."""
        (mongod,) = self.pod["containers"]
        return await self.page(number, mongod["lifecycle"]["preStop"]["httpGet"]["path"])

    async def page(self, number: int, path: str) -> tuple[int, str]:
        """What a resident answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[self.size + number])
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return int(head.split()[1]), body.strip()

    def logs(self) -> str:
        return "\n".join(f"== {p.name}\n{p.read_text()[-2000:]}" for p in sorted(self.path.glob("*.log")))  # fmt: skip

    # --- clients

    @contextlib.asynccontextmanager
    async def writing(self, size: int) -> AsyncIterator[Ledger]:
        """A client of the binding's kind that writes all the time; after the block every write is looked for."""
        ledger, over = Ledger(), asyncio.Event()
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            self.uri(size), timeoutMS=30_000
        )
        rows = client[DATABASE]["ledger"]
        start = int(time.time() * 1000)

        async def write() -> None:
            number, last = start, time.monotonic()
            while not over.is_set():
                number += 1
                with contextlib.suppress(PyMongoError):
                    await rows.insert_one({"_id": number})
                    ledger.acked.append(number)
                    ledger.gap, last = max(ledger.gap, time.monotonic() - last), time.monotonic()
                await asyncio.sleep(0.005)

        writer = asyncio.create_task(write())
        try:
            await self.until(lambda: len(ledger.acked) > 5)
            yield ledger
            count = len(ledger.acked)
            await self.until(lambda: len(ledger.acked) > count + 5)
        finally:
            over.set()
            await writer
        found = {row["_id"] async for row in rows.find({})}
        await client.close()
        lost = [number for number in ledger.acked if number not in found]
        print(json.dumps({"server": self.kind, "acked": len(ledger.acked), "lost": len(lost), "gap": round(ledger.gap, 2)}))  # fmt: skip
        assert not lost, f"{len(lost)} acknowledged writes are gone"

    async def until(self, true: Any, within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        while not true():
            assert time.monotonic() < deadline, self.logs()
            await asyncio.sleep(0.05)
