"""`python -m standin` as `mongod`: the same file and signals, as far as the tests use them."""

import argparse
import asyncio
import contextlib
import hashlib
import os
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from standin import wire  # noqa: E402 (the path must be set first)
from standin.commands import Connection, Server  # noqa: E402
from standin.replica import Refusal, Replica  # noqa: E402


def settings_of(path: Path) -> dict[str, Any]:
    """The few keys it reads of a mongod.conf."""
    told: dict[str, Any] = yaml.safe_load(path.read_text())
    return {
        "port": told["net"]["port"],
        "bind": "0.0.0.0" if told["net"].get("bindIpAll") else told["net"]["bindIp"],
        "keyfile": told["security"]["keyFile"],
        "path": Path(told["storage"]["dbPath"]),
    }


def key_of(path: str) -> str:
    """The keyfile, on the terms of a real server: nobody else may read it."""
    file = Path(path)
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        sys.exit(f"permissions on {path} are too open")
    text = "".join(file.read_text().split())
    if not 6 <= len(text) <= 1024:
        sys.exit("security key in keyfile has length outside of 6 and 1024")
    return hashlib.sha256(text.encode()).hexdigest()


async def main() -> None:
    """Serve until SIGTERM, then hand over and end."""
    parser = argparse.ArgumentParser(prog="mongod", description=__doc__)
    parser.add_argument("--config", required=True, type=Path)
    given = settings_of(parser.parse_args().config)
    names = ("127.0.0.1", "localhost", socket.gethostname())

    def mine(host: str) -> bool:
        name, _, port = host.rpartition(":")
        return int(port) == given["port"] and (
            name in names or name.startswith(f"{socket.gethostname()}.")
        )

    pace = float(os.environ.get("STANDIN_PACE", "1"))
    replica = Replica(given["path"], key_of(given["keyfile"]), pace, mine)
    server = Server(replica)
    replica.load()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loopback = writer.get_extra_info("peername")[0] in ("127.0.0.1", "::1")
        client = Connection(server, loopback=loopback)
        server.connections.add(client)
        try:
            await wire.serve(reader, writer, client.answer)
        finally:
            server.connections.discard(client)

    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    listening = await asyncio.start_server(serve, given["bind"], given["port"])
    replica.start()
    print(f"stand-in for mongod: waiting for connections on port {given['port']}", flush=True)
    await ended.wait()
    with contextlib.suppress(Refusal):
        await replica.step_down(60, 10)
    listening.close()
    os._exit(0)  # clients that stay are of no interest


if __name__ == "__main__":
    asyncio.run(main())
