"""JSON: one object with `findings` and `summary`. Knows no terminal."""

from __future__ import annotations

import json

from readiness.output.sheet import Sheet, Style, data_of


def render(sheet: Sheet, style: Style) -> str:
    """The sheet as one JSON object."""
    return json.dumps(data_of(sheet), indent=2, ensure_ascii=False) + "\n"
