"""Every constraint of a schema, broken once: values that just miss it, and values that just meet it.

The walk follows the schema and a full object side by side. What it yields is data: where, what to
put there, and whether the constraint at hand then holds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT = object()
FORMATTED = ("x-kubernetes-validations", "pattern", "format")


@dataclass(frozen=True)
class Mutation:
    constraint: str
    at: tuple[str | int, ...]
    value: Any
    blamed: tuple[str | int, ...]
    holds: bool = False

    def __str__(self) -> str:
        return f"{dotted(self.at)}:{self.constraint}:{'meets' if self.holds else 'misses'}"

    def applied(self, body: Any) -> Any:
        """A copy of the full object with the value put in its place."""
        changed = copy.deepcopy(body)
        if not self.at:
            return self.value
        *above, last = self.at
        parent = changed
        for step in above:
            parent = parent[step]
        if self.value is ABSENT:
            del parent[last]
        else:
            parent[last] = self.value
        return changed


def dotted(at: tuple[str | int, ...]) -> str:
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in at).lstrip(".")


def mutations(schema: Any, value: Any, at: tuple[str | int, ...] = ()) -> Iterator[Mutation]:
    yield from _typed(schema, at)
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        yield from _object(schema, value, at)
    elif kind == "object":
        yield from _map(schema, at)
    elif kind == "array":
        yield from _array(schema, value, at)
    else:
        yield from _scalar(schema, value, at)


def _typed(schema: Any, at: tuple[str | int, ...]) -> Iterator[Mutation]:
    wrong = {"string": 5, "integer": "5", "boolean": "true", "array": "a", "object": "a"}
    yield Mutation("type", at, wrong.get(schema.get("type"), True), at)


def _object(schema: Any, value: Any, at: tuple[str | int, ...]) -> Iterator[Mutation]:
    yield Mutation("unknown", (*at, "nobody"), 1, (*at, "nobody"))
    for name in schema.get("required", ()):
        yield Mutation("required", (*at, name), ABSENT, (*at, name))
    for name, child in schema["properties"].items():
        if name not in value:  # another item of the list has it instead
            continue
        yield from mutations(child, value[name], (*at, name))
        optional = name not in schema.get("required", ())
        if not (optional and "x-kubernetes-validations" in schema):  # a rule may need the field
            yield Mutation("null", (*at, name), None, (*at, name), optional)


def _map(schema: Any, at: tuple[str | int, ...]) -> Iterator[Mutation]:
    most = schema["maxProperties"]
    for count in (most, most + 1):
        entries = {f"k{n}": "v" for n in range(count)}
        yield Mutation("maxProperties", at, entries, at, count <= most)


def _array(schema: Any, value: Any, at: tuple[str | int, ...]) -> Iterator[Mutation]:
    most, least = schema["maxItems"], schema.get("minItems", 0)
    kind = schema["x-kubernetes-list-type"]
    yield Mutation("maxItems", at, [value[0]] * (most + 1), at)
    if least:
        yield Mutation("minItems", at, [value[0]] * (least - 1), at)
    if kind != "atomic":
        yield Mutation(f"list-{kind}", at, [value[0], value[0]], (*at, 1))
    one = "properties" not in schema["items"]  # objects may differ in what they have
    for nth, item in enumerate(value[:1] if one else value):
        yield from mutations(schema["items"], item, (*at, nth))


def _scalar(schema: Any, value: Any, at: tuple[str | int, ...]) -> Iterator[Mutation]:
    if "enum" in schema:
        yield Mutation("enum", at, "Nonsense", at)
    if "format" in schema:
        yield Mutation("format", at, "soon", at)
    plain = not any(key in schema for key in FORMATTED)
    for bound, beyond in (("minLength", -1), ("maxLength", 1)):
        if bound in schema:
            yield Mutation(bound, at, "a" * (schema[bound] + beyond), at)
        if bound in schema and plain:
            yield Mutation(bound, at, "ü" * schema[bound], at, holds=True)
    for bound, beyond in (("minimum", -1), ("maximum", 1)):
        if bound in schema:
            yield Mutation(bound, at, schema[bound] + beyond, at)
            yield Mutation(bound, at, schema[bound], at, holds=True)
