"""YAML: the same object as JSON. Knows no terminal."""

from __future__ import annotations

import yaml

from readiness.output.sheet import Sheet, Style, data_of


def render(sheet: Sheet, style: Style) -> str:
    """The sheet as one YAML document."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(
        yaml.dump(
            data_of(sheet), Dumper=dumper, sort_keys=False, allow_unicode=True, width=style.width
        )
    )
