"""Starts the server and ends it in order: SIGTERM drains, then the process exits with 0. Logs are JSON lines."""

import asyncio
import os
import signal
import ssl
import sys

from specimen.app import Shop
from specimen.config import Config, ConfigError, words
from specimen.defects import DRILL_DEFECTS, planted
from specimen.defects.starting import Parts, prepared
from specimen.http import Server
from specimen.log import log


async def serve(config: Config, parts: Parts) -> None:
    """Listen until SIGTERM or SIGINT, then drain."""
    application = planted(Shop(config, parts.log, parts.manners), config.defects)
    stopping, tell, end = asyncio.Event(), parts.log, parts.end
    server = Server(end.under(parts.wrap(application), stopping), parts.take)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set if number in end.signals else int)
    port = await server.listen("", config.port)
    if config.tls_port:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config.tls_cert, config.tls_key)
        await server.listen("", config.tls_port, context)
    tell("info", "listening", port=port, tlsPort=config.tls_port, defects=config.defects)
    await stopping.wait()
    seconds, began, open_ = end.drain(config.drain), loop.time(), server.open
    tell("info", "draining", seconds=seconds)
    clean = await server.drain(seconds, accepts=end.accepts, keeps=end.keeps)
    await asyncio.sleep(began + end.lasts(open_) - loop.time() if clean else 0)
    tell("info" if clean else "warning", "stopped" if clean else "stopped with requests under way")


def refuse(error: ConfigError) -> None:
    """Say every mistake, and end with an error."""
    log("error", f"cannot start: {error}")
    sys.exit(2)


def main() -> None:
    """Run until told to stop; exit code 2 for settings that cannot be used."""
    defects = words(os.environ.get("DEFECTS", ""))
    parts = prepared(
        Parts(Config.read, refuse, log), (DRILL_DEFECTS[d] for d in defects if d in DRILL_DEFECTS)
    )
    try:
        config = parts.read(os.environ)
        planted(Shop(config), config.defects)
    except ConfigError as error:
        parts.refuse(error)
        return
    if config.production and not config.data_dir:
        parts.log("warning", "DATA_DIR is not set: orders are kept in memory and lost at the end")
    asyncio.run(serve(config, parts))
    sys.exit(parts.end.code)
