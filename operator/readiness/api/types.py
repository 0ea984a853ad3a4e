"""The vocabulary the kinds are written in: the base model, CEL twins, durations and keyed lists.

A rule that the CRD states in CEL is stated here once, with its Python twin and one text, so that
the API server and the command line refuse the same object with the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
CONTROL_PATTERN: Final = r"^[A-Z]{2,4}-[0-9]{3}[a-z]?$"
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
HOST_PATTERN: Final = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?$"
_UNIT: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of the CRD with its Python twin. `message` is what both say."""

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field: str = ""


class Schema(BaseModel):
    """Base of everything in the API: frozen, camelCase outside, unknown fields ignored on reading.

    The command line validates with `extra="forbid"` at its call site instead of a second model.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey(self) -> Schema:
        for rule in type(self).rules:
            if not rule.holds(self):
                raise PydanticCustomError(
                    "rule", rule.message.replace("{", "{{").replace("}", "}}")
                )
        return self


def seconds(duration: str) -> float:
    """`1m30s` → 90.0. The text must match DURATION_PATTERN."""
    return sum(float(n) * _UNIT[u] for n, u in re.findall(r"([0-9.]+)(ms|s|m|h)", duration))


T = TypeVar("T")


def _unique(key: Callable[[Any], Hashable]) -> Callable[[tuple[T, ...]], tuple[T, ...]]:
    def check(items: tuple[T, ...]) -> tuple[T, ...]:
        seen: set[Hashable] = set()
        for item in items:
            if (name := key(item)) in seen:
                raise PydanticCustomError(
                    "duplicate", "Duplicate value: {name}", {"name": repr(name)}
                )
            seen.add(name)
        return items

    return check


def keyed(key: str) -> tuple[Any, ...]:
    """Annotations of a list-map: the API server merges by `key` and refuses duplicates."""
    extra: JsonDict = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return (
        AfterValidator(_unique(lambda item: getattr(item, key))),
        Field(json_schema_extra=extra),
    )


def atomic() -> tuple[Any, ...]:
    """Annotations of a list that is replaced whole (rows of results)."""
    return (Field(json_schema_extra={"x-kubernetes-list-type": "atomic"}),)


def scalar_set() -> tuple[Any, ...]:
    """Annotations of a list of distinct scalars."""
    return (
        AfterValidator(_unique(lambda item: item)),
        Field(json_schema_extra={"x-kubernetes-list-type": "set"}),
    )


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=63)]
ObjectName = Annotated[
    str, StringConstraints(pattern=OBJECT_NAME_PATTERN, min_length=1, max_length=253)
]
ControlId = Annotated[str, StringConstraints(pattern=CONTROL_PATTERN, max_length=9)]
Duration = Annotated[str, StringConstraints(pattern=DURATION_PATTERN, max_length=32)]
Path = Annotated[str, StringConstraints(pattern=r"^/[^\s#]*$", min_length=1, max_length=512)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
