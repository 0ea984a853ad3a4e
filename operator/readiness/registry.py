"""Discovery of plug-ins: values in a module's `PLUGINS` tuple, found by one readable loop.

Nothing registers itself on import and nothing is swallowed: a broken plug-in is an error.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Protocol, TypeVar


class Plugin(Protocol):
    """Anything with an id can be discovered."""

    @property
    def id(self) -> str:
        """What it is found by."""


P = TypeVar("P", bound=Plugin)


def discover(package: ModuleType, kind: type[P]) -> dict[str, P]:
    """Every plug-in of `package`, by id, in module then declaration order.

    Raises TypeError for a foreign value or a duplicate id and AttributeError for a module
    without `PLUGINS`; both name the module.
    """
    found: dict[str, P] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for plugin in module.PLUGINS:
            if not isinstance(plugin, kind) or plugin.id in found:
                raise TypeError(f"{module.__name__}: not a {kind}, or a duplicate: {plugin!r}")
            found[plugin.id] = plugin
    return found
