"""`python front.py`: a member of a set, with its users, before a server that only has documents.

What a dump needs of a mongod and FerretDB is not: it says what it is in the set, lets in one user, who may read and no more,
and has an oplog, of one entry that does nothing. What is written while a dump is taken is in no dump of it.
"""

import argparse
import asyncio
import contextlib
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bson import Int64
from bson.timestamp import Timestamp

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from standin import wire  # noqa: E402 (the path must be set first)
from standin.replica import Refusal  # noqa: E402
from standin.scram import Exchange, Kept, keep  # noqa: E402
from standin.wire import Document  # noqa: E402

READS = {
    "aggregate", "buildInfo", "buildinfo", "collStats", "connectionStatus", "count", "dbStats", "endSessions", "find", "getMore", "getParameter",
    "killCursors", "listCollections", "listDatabases", "listIndexes", "ping", "serverStatus", "usersInfo",
}  # fmt: skip
FOR_ANYBODY = {"buildInfo", "buildinfo", "endSessions", "ping"}
NOTHING = {"ts": Timestamp(int(time.time()), 1), "t": 1, "v": 2, "op": "n", "ns": "", "o": {"msg": "nothing"}, "wall": datetime.now(UTC)}  # fmt: skip


class Connection:
    """One client, and the connection to the documents that is made for it."""

    def __init__(self, told: argparse.Namespace, kept: Kept) -> None:
        self.told, self.kept = told, kept
        self._exchange: Exchange | None = None
        self._known = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            behind, before = await asyncio.open_connection("127.0.0.1", self.told.backend)
            with contextlib.closing(before):
                await self._pass(reader, writer, behind, before)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: asyncio.StreamReader, before: asyncio.StreamWriter) -> None:  # fmt: skip
        while True:
            number, op, body = await wire.read(reader)
            command, _ = wire.parse(op, body)
            answer = self.own(command)
            if answer is not None:
                writer.write(wire.build(op, number, answer))
            else:
                before.write(wire.HEADER.pack(16 + len(body), number, 0, op) + body)
                there, kind, found = await wire.read(behind)
                writer.write(wire.HEADER.pack(16 + len(found), there, number, kind) + found)
            await writer.drain()

    def own(self, command: Document) -> Document | None:
        """The answer, where it is not for the documents' server to give."""
        name = next(iter(command))
        try:
            match name:
                case "hello" | "isMaster" | "ismaster":
                    return self.hello()
                case "saslStart":
                    self._exchange = Exchange(bytes(command["payload"]))
                    self._check_name()
                    return {"conversationId": 1, "done": False, "payload": self._exchange.first(self.kept), "ok": 1.0}  # fmt: skip
                case "saslContinue":
                    return self.enter(command)
            if name not in READS or not (self._known or name in FOR_ANYBODY):
                raise Refusal(13, "Unauthorized", f"not authorized to execute {name}")
        except Refusal as refused:
            return refused.answer
        if command["$db"] == "local" and command.get("find") == "oplog.rs":
            return {
                "cursor": {"id": Int64(0), "ns": "local.oplog.rs", "firstBatch": [NOTHING]},
                "ok": 1.0,
            }
        return None

    def hello(self) -> Document:
        now = datetime.now(UTC)
        return {
            "helloOk": True, "isWritablePrimary": not self.told.secondary, "ismaster": not self.told.secondary, "secondary": self.told.secondary,
            "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "localTime": now, "minWireVersion": 0,
            "maxWireVersion": 21, "readOnly": False, "setName": "rs0", "hosts": [f"127.0.0.1:{self.told.port}"], "me": f"127.0.0.1:{self.told.port}",
            "lastWrite": {"lastWriteDate": datetime.fromtimestamp(time.time() - self.told.behind, UTC)},
            "saslSupportedMechs": ["SCRAM-SHA-256"], "ok": 1.0,
        }  # fmt: skip

    def enter(self, command: Document) -> Document:
        if not command["payload"]:
            return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}
        self._check_name()
        final = self._exchange.final(bytes(command["payload"]), self.kept) if self._exchange else None  # fmt: skip
        if final is None:
            raise Refusal(18, "AuthenticationFailed", "Authentication failed.")
        self._known = True
        return {"conversationId": 1, "done": True, "payload": final, "ok": 1.0}

    def _check_name(self) -> None:
        if self._exchange is None or self._exchange.user != "backup":
            raise Refusal(18, "AuthenticationFailed", "Authentication failed.")


async def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--backend", type=int, required=True, help="port of the documents' server")
    parser.add_argument("--password", required=True, help="of the user backup")
    parser.add_argument("--secondary", action="store_true")
    parser.add_argument("--behind", type=float, default=0, help="seconds")
    told = parser.parse_args()
    kept = keep(told.password)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(told, kept).serve(reader, writer)

    listening = await asyncio.start_server(serve, "127.0.0.1", told.port)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
