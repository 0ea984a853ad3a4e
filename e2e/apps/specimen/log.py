"""One JSON line on standard output per thing worth knowing."""

import json
import time
from typing import Protocol


class Log(Protocol):
    """How the application tells what happens."""

    def __call__(self, level: str, message: str, **fields: object) -> None:
        """Nothing secret is ever passed to it."""


def log(level: str, message: str, **fields: object) -> None:
    """As a line of JSON."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(json.dumps({"time": stamp, "level": level, "message": message, **fields}), flush=True)
