"""The vocabulary the kinds are written in: the base model, CEL rules with their twins, keyed lists.

A rule that the CRD states in CEL is stated here once, with its Python twin and one text, so that
the API server and the command line refuse the same object with the same words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function

VALIDATIONS: Final = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of the CRD with its Python twin. `message` is what both say.

    In `Annotated` it rules a scalar, in `Schema.rules` an object, blaming `field` when given.
    `holds` is None for a transition rule (`oldSelf`): only the API server knows the old object.
    `shown` is a CEL string naming the refused value, which the API server would not do itself.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None
    field: str = ""
    shown: str = ""

    def check(self, value: Any) -> Any:
        """The value, or the error that the API server would give."""
        if self.holds is not None and not self.holds(value):
            context: dict[str, Any] = {"message": self.message}
            if self.field:
                context |= {"at": (to_camel(self.field),), "value": getattr(value, self.field)}
            raise PydanticCustomError("rule", "{message}", context)
        return value

    def as_validation(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        found = {"rule": self.cel, "message": self.message}
        if self.shown:
            found["messageExpression"] = f"{self.shown} + {json.dumps(': ' + self.message)}"
        if self.field:
            found["fieldPath"] = f".{to_camel(self.field)}"
        return found

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler(schema)
        found[VALIDATIONS] = [*found.get(VALIDATIONS, ()), self.as_validation()]
        return found


class Schema(BaseModel):
    """Base of everything in the API: frozen, camelCase outside, unknown fields ignored on reading.

    The command line validates with `extra="forbid"` at its call site instead of a second model.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, given: Any) -> Any:
        """As the API server does: a field that is null is a field that is absent."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _obey(self) -> Schema:
        for rule in type(self).rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler(schema)
        if cls.rules:
            target = handler.resolve_ref_schema(found)
            target[VALIDATIONS] = [rule.as_validation() for rule in cls.rules]
        return found


T = TypeVar("T")


def _unique(key: Callable[[Any], Hashable]) -> Callable[[tuple[T, ...]], tuple[T, ...]]:
    def check(items: tuple[T, ...]) -> tuple[T, ...]:
        seen: set[Hashable] = set()
        for at, item in enumerate(items):
            if (name := key(item)) in seen:
                raise PydanticCustomError("duplicate", "{name}", {"name": str(name), "at": (at,)})
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


Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict()]
