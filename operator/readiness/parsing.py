"""YAML to plain data with line numbers, as Kubernetes would read it. Pure: bytes in, documents out.

Objects are built straight from libyaml's events: twice as fast as PyYAML's constructor, with
lines, with Kubernetes' scalars (a date stays text, `12:30` is no number), duplicate keys refused,
and bounds on depth and alias expansion. It knows no file and no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from readiness.model import Manifest

MAX_NODES: Final = 2_000_000
MAX_DEPTH: Final = 100

_LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Final[Any] = Resolver()
_CONSTRUCTOR: Final[Any] = SafeConstructor()
_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = frozenset(_TAG + t for t in ("int", "float", "bool", "null"))
_NO_KEY: Final = object()
_ITEM_DEPTH: Final = 2


@dataclass(frozen=True, slots=True)
class Document:
    """One document, the line of its top, and the lines of the mappings in its top-level lists."""

    content: Any
    line: int = 1
    item_lines: tuple[int, ...] = ()


def documents(data: bytes) -> Iterator[Document]:
    """Every document of a YAML stream. Raises yaml.YAMLError."""
    loader = _LOADER(data)
    try:
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                yield _Builder().document(loader.get_event)
    finally:
        loader.dispose()


class _Builder:
    """The open containers of one document: a stack instead of recursion."""

    __slots__ = ("anchors", "current", "item_lines", "key", "line", "nodes", "root", "stack")

    def __init__(self) -> None:
        self.root: list[Any] = []
        self.current: Any = self.root
        self.key: Any = _NO_KEY
        self.stack: list[tuple[Any, Any, str | None, int]] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.item_lines: list[int] = []
        self.line = self.nodes = 0

    def document(self, next_event: Callable[[], Any]) -> Document:
        while (kind := type(event := next_event())) is not yaml.DocumentEndEvent:
            self.nodes += 1
            _STEPS[kind](self, event)
        return Document(self.root[0], self.line or 1, tuple(self.item_lines))

    def scalar(self, event: Any) -> None:
        value = event.value
        if event.implicit[0]:
            value = _plain(value)
        elif event.tag in _SCALARS:
            value = _tagged(event)
        if event.anchor:
            self.anchors[event.anchor] = value, 1
        self.put(value, event)

    def open(self, event: Any) -> None:
        mapping = type(event) is yaml.MappingStartEvent
        line = event.start_mark.line + 1
        self.line = self.line or line
        if mapping and len(self.stack) == _ITEM_DEPTH and type(self.current) is list:
            self.item_lines.append(line)
        self.stack.append((self.current, self.key, event.anchor, self.nodes))
        self.current, self.key = {} if mapping else [], _NO_KEY
        if len(self.stack) > MAX_DEPTH:
            raise _problem(f"more than {MAX_DEPTH} levels deep", event)

    def close(self, event: Any) -> None:
        value = self.current
        if type(value) is dict and "<<" in value:
            value = _merged(value, event)
        self.current, self.key, anchor, since = self.stack.pop()
        if anchor:
            self.anchors[anchor] = value, self.nodes - since
        self.put(value, event)

    def alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise _problem(f"undefined alias {event.anchor!r}", event)
        value, size = self.anchors[event.anchor]
        self.nodes += size
        if self.nodes > MAX_NODES:
            raise _problem("aliases expand without bound", event)
        self.put(value, event)

    def put(self, value: Any, event: Any) -> None:
        if type(self.current) is list:
            self.current.append(value)
        elif self.key is not _NO_KEY:
            self.current[self.key] = value
            self.key = _NO_KEY
        elif isinstance(value, dict | list):
            raise _problem("a key must be a scalar", event)
        elif value in self.current:
            raise _problem(f"key {value!r} stands twice", event)
        else:
            self.key = value


_STEPS: Final[dict[type, Callable[[_Builder, Any], None]]] = {
    yaml.ScalarEvent: _Builder.scalar,
    yaml.MappingStartEvent: _Builder.open,
    yaml.SequenceStartEvent: _Builder.open,
    yaml.MappingEndEvent: _Builder.close,
    yaml.SequenceEndEvent: _Builder.close,
    yaml.AliasEvent: _Builder.alias,
}


def _merged(mapping: Manifest, event: Any) -> Manifest:
    """YAML's merge key: what the mapping says itself wins, then the first source that says it."""
    sources = mapping.pop("<<")
    merged: Manifest = {}
    for source in reversed(sources if isinstance(sources, list) else [sources]):
        if not isinstance(source, dict):
            raise _problem("'<<' must name a mapping", event)
        merged.update(source)
    return {**merged, **mapping}


@lru_cache(maxsize=65536)
def _plain(text: str) -> Any:
    tag = _RESOLVER.resolve(ScalarNode, text, (True, False))
    if tag not in _SCALARS or ":" in text:
        return text
    return _CONSTRUCTOR.yaml_constructors[tag](_CONSTRUCTOR, ScalarNode(tag, text))


def _tagged(event: Any) -> Any:
    node = ScalarNode(event.tag, event.value)
    try:
        return _CONSTRUCTOR.yaml_constructors[event.tag](_CONSTRUCTOR, node)
    except (ValueError, KeyError):
        kind = event.tag.removeprefix(_TAG)
        raise _problem(f"{event.value!r} is not of type {kind}", event) from None


def _problem(text: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=event.start_mark)
