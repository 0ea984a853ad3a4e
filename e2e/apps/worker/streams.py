"""The same service built differently: threads, blocking sockets, a stream with a consumer group.

At SIGTERM a job that is not done within the drain stays unacknowledged; whoever finds it idle for long enough claims it.
A worker that lives touches its own.
"""

import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from worker.redis import encoded

STREAM, GROUP, IDLE_MS = "work", "workers", 4000
ONCE = """
if redis.call('sadd', 'effects', KEYS[1]) == 1 then redis.call('hincrby', KEYS[1], 'effects', 1) end
redis.call('hset', KEYS[1], 'state', 'done')
return redis.call('xack', 'work', 'workers', ARGV[1])
"""


class Connection:
    """One for each thread: commands in, answers out."""

    def __init__(self) -> None:
        host, _, port = os.environ.get("QUEUE", "queue:6379").rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._lines = self._socket.makefile("rb")

    def ask(self, *words: object) -> Any:
        self._socket.sendall(encoded(*words))
        return self._read()

    def _read(self) -> Any:
        line = self._lines.readline()[:-2]
        kind, rest = chr(line[0]), line[1:].decode()
        if kind == "*":
            return None if rest == "-1" else [self._read() for _ in range(int(rest))]
        if kind == "$":
            return None if rest == "-1" else self._lines.read(int(rest) + 2)[:-2].decode()
        return int(rest) if kind == ":" else f"-{rest}" if kind == "-" else rest


class Work(threading.Thread):
    """Takes a job, or claims one whose worker has gone; works in slices, and says at each that it lives."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.cut = threading.Event()
        self.active = 0
        self._name = secrets.token_hex(4)

    def run(self) -> None:
        redis = Connection()
        while not self.stop.is_set():
            claimed = redis.ask("XAUTOCLAIM", STREAM, GROUP, self._name, IDLE_MS, "0", "COUNT", 1)[
                1
            ]
            fresh = (
                None
                if claimed
                else redis.ask(
                    "XREADGROUP",
                    "GROUP",
                    GROUP,
                    self._name,
                    "COUNT",
                    1,
                    "BLOCK",
                    300,
                    "STREAMS",
                    STREAM,
                    ">",
                )
            )
            for entry, fields in claimed or (fresh[0][1] if fresh else ()):
                self.active = 1
                self._do(redis, entry, fields[1])
                self.active = 0

    def _do(self, redis: Connection, entry: str, id_: str) -> None:
        redis.ask("HSET", f"job:{id_}", "state", "working")
        until = time.monotonic() + int(redis.ask("HGET", f"job:{id_}", "seconds"))
        while time.monotonic() < until:
            if self.cut.wait(min(1.0, max(0.0, until - time.monotonic()))):
                return
            redis.ask("XCLAIM", STREAM, GROUP, self._name, 0, entry, "JUSTID")
        redis.ask("EVAL", ONCE, 1, f"job:{id_}", entry)


class Handler(BaseHTTPRequestHandler):
    """POST /jobs?seconds=n, GET /jobs/<id>, GET /health."""

    def do_POST(self) -> None:
        redis, id_ = Connection(), secrets.token_hex(4)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        seconds = int((json.loads(body) if body else query)["seconds"])
        redis.ask("HSET", f"job:{id_}", "seconds", seconds, "state", "queued", "effects", 0)
        redis.ask("XADD", STREAM, "*", "id", id_)
        self._tell(202, {"id": id_})

    def do_GET(self) -> None:
        if self.path == "/health":
            self._tell(200, {"status": "ok"})
            return
        id_ = self.path.rpartition("/")[2]
        state, effects = Connection().ask("HMGET", f"job:{id_}", "state", "effects")
        self._tell(200 if state else 404, {"id": id_, "state": state, "effects": int(effects or 0)})

    def _tell(self, status: int, told: dict[str, object]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Not every request is worth a line."""


def tell(text: str, **fields: object) -> None:
    """As JSON with other keys than the other worker's."""
    print(json.dumps({"msg": text, "pid": os.getpid(), **fields}), file=sys.stderr, flush=True)


def main() -> None:
    """Until SIGTERM."""
    redis, stopping = Connection(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    if redis.ask("SET", "account:admin", secrets.token_hex(32), "NX"):
        tell("created the first account")
    redis.ask("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM")  # refused where it is there
    work, server = (
        Work(),
        ThreadingHTTPServer(
            (os.environ.get("HOST", ""), int(os.environ.get("PORT", "8080"))), Handler
        ),
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    work.start()
    stopping.wait()
    tell("draining: no new jobs", jobs=work.active)
    work.stop.set()
    work.join(float(os.environ.get("DRAIN", "15")))
    work.cut.set()
    work.join(2)
    server.shutdown()
    sys.exit(0)
