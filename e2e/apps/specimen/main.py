"""Starts the server and ends it in order: SIGTERM drains, then the process exits with 0. Logs are JSON lines."""

import asyncio
import json
import signal
import ssl
import sys
import time

from specimen.app import Shop
from specimen.config import Config, ConfigError
from specimen.defects import planted
from specimen.http import Server


def log(level: str, message: str, **fields: object) -> None:
    """One JSON line on standard output. Nothing secret is ever passed to it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(json.dumps({"time": stamp, "level": level, "message": message, **fields}), flush=True)


async def serve(config: Config) -> None:
    """Listen until SIGTERM or SIGINT, then drain."""
    application = planted(Shop(config), config.defects)
    server, stopping = Server(application), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    port = await server.listen("", config.port)
    if config.tls_port:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config.tls_cert, config.tls_key)
        await server.listen("", config.tls_port, context)
    log("info", "listening", port=port, tlsPort=config.tls_port, defects=config.defects)
    await stopping.wait()
    log("info", "draining", seconds=config.drain)
    clean = await server.drain(config.drain)
    log("info" if clean else "warning", "stopped" if clean else "stopped with requests under way")


def main() -> None:
    """Run until told to stop; exit code 2 for settings that cannot be used."""
    try:
        config = Config.read()
        planted(Shop(config), config.defects)
    except ConfigError as error:
        log("error", f"cannot start: {error}")
        sys.exit(2)
    asyncio.run(serve(config))
