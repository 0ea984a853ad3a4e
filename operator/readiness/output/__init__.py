"""Renderings of findings, one module per format, found by name. Pure: values in, text out.

Nothing here knows where the findings come from (files, a URL, a report) or where the text goes.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from readiness.output.sheet import Sheet, Style

FORMATS: Final = ("human", "json", "yaml", "sarif", "junit", "markdown", "github")


def render(format_: str, sheet: Sheet, style: Style) -> str:
    """The sheet in one of FORMATS. Only the module of that format is imported."""
    module = import_module(f"readiness.output.{format_}")
    write: Callable[[Sheet, Style], str] = module.render
    return write(sheet, style)
