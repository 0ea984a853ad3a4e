"""What the throw-away server of a restore runs: a script for each kind of store, given its directory and its port."""

from __future__ import annotations

from pathlib import Path
from typing import Final

RESTORED: Final = "/restore"
"""The volume that drill and server share."""
_HERE: Final = Path(__file__).parent
SCRIPTS: Final = {each.stem: each.read_text() for each in sorted(_HERE.glob("*.sh"))}
"""By kind."""
LOOK: Final = (_HERE / "mongodb.js").read_text()
"""What a MongoDB holds, said by its own shell."""
COUNT: Final = (_HERE / "rabbitmq.erl").read_text()
"""How a RabbitMQ that boots with definitions counts what it holds."""
