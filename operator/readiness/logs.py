"""Log records: one line each, JSON for machines or text for people, through the redactor.

Every record of a pass carries its run id. Only `setup` touches the logging of the process.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from readiness.redact import Redactor

LIMIT: Final = 4096
TRACE_LIMIT: Final = 8192
run: ContextVar[str] = ContextVar("run", default="")
"""The run id of the pass or batch under way, empty outside of one."""


class Lines(logging.Formatter):
    """A record as one line."""

    def __init__(self, redactor: Redactor, *, as_json: bool) -> None:
        super().__init__()
        self._redactor, self._as_json = redactor, as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redactor.text(record.getMessage(), LIMIT),
        }
        if run.get():
            said["run"] = run.get()
        if record.exc_info:
            trace = self._redactor.hide(self.formatException(record.exc_info))
            said["trace"] = trace[-TRACE_LIMIT:]
        if self._as_json:
            return json.dumps(said, ensure_ascii=False)
        trace = f" | {self._redactor.text(said['trace'], TRACE_LIMIT)}" if "trace" in said else ""
        tag = f" [{said['run']}]" if "run" in said else ""
        return f"{said['time']} {said['level']:<7} {said['logger']}{tag}: {said['message']}{trace}"


def setup(level: str, format_: str, redactor: Redactor) -> None:
    """Sends every record of the process to standard error, formatted by us."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(redactor, as_json=format_ == "json"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("asyncio", "aiohttp", "kopf", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.root.level))
    logging.getLogger("kopf").setLevel(logging.ERROR)
