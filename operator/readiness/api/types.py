"""The vocabulary the kinds are written in: the base model, CEL twins, durations and keyed lists.

A rule that the CRD states in CEL is stated here once, with its Python twin and one text, so that
the API server and the command line refuse the same object with the same words. Formats are rules
too, not `pattern`s: a pattern's message shows the expression and no remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function

VALIDATIONS: Final = "x-kubernetes-validations"
NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
CONTROL_PATTERN: Final = r"^[A-Z]{2,4}-[0-9]{3}[a-z]?$"
DURATION_PATTERN: Final = (
    r"^([0-9]{1,5}(ms|s|m|h)){1,4}$"  # Gateway API's: no fraction, no overflow
)
PATH_PATTERN: Final = r'^/([!"$-.0-~][!"$-~]*)?$'  # printable ASCII without blank and `#`
PORT_PATTERN: Final = r"^[a-z0-9-]*[a-z][a-z0-9-]*$"
PORT_DIGITS: Final = (
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
HOST_PATTERN: Final = rf"^https?://[A-Za-z0-9.-]+(:{PORT_DIGITS})?(/[!\"$->@-~]*)?$"
ORIGIN_PATTERN: Final = rf"^https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:{PORT_DIGITS})?$"
RISKY_REGEX: Final = r"\)[*+?{]|\(\?|\\[1-9]|([*+?{][^*+?{]*){3}|(\([^(]*){3}"
_UNIT: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of the CRD with its Python twin. `message` is what both say.

    In `Annotated` it rules a scalar, in `Schema.rules` an object, blaming `field` when given.
    `holds` is None for a transition rule (`oldSelf`): only the API server knows the old object.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None
    field: str = ""

    def check(self, value: Any) -> Any:
        """The value, or the error that the API server would give."""
        if self.holds is not None and not self.holds(value):
            at = (to_camel(self.field),) if self.field else ()
            raise PydanticCustomError("rule", "{message}", {"message": self.message, "at": at})
        return value

    def as_validation(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        path = {"fieldPath": f".{to_camel(self.field)}"} if self.field else {}
        return {"rule": self.cel, "message": self.message, **path}

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


def seconds(duration: str) -> float:
    """`1m30s` → 90.0. The text must match DURATION_PATTERN."""
    return sum(float(n) * _UNIT[u] for n, u in re.findall(r"([0-9.]+)(ms|s|m|h)", duration))


def matching(pattern: str, message: str) -> Rule:
    """The text matches `pattern`, which RE2 and `re` must read alike."""
    expression = re.compile(pattern)
    return Rule(
        cel=f"self.matches(r'{pattern}')",
        message=message,
        holds=lambda text: expression.fullmatch(text) is not None,
    )


def lasting(least: str, most: str) -> Rule:
    """The text is a duration between two others."""
    shape = matching(DURATION_PATTERN, "")
    return Rule(
        cel=f"{shape.cel} && duration(self) >= duration('{least}')"
        f" && duration(self) <= duration('{most}')",
        message=f"must be a duration between {least} and {most}, such as 90s, 15m or 1h30m "
        "(whole numbers with h, m, s or ms)",
        holds=lambda text: (
            re.fullmatch(DURATION_PATTERN, text) is not None
            and seconds(least) <= seconds(text) <= seconds(most)
        ),
    )


def _is_port(port: int | str) -> bool:
    if isinstance(port, int):
        return 1 <= port <= 65535
    return len(port) <= 15 and re.fullmatch(PORT_PATTERN, port) is not None


def _int_or_string(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("int_or_string", "must be of type integer or string")
    return value


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None and "T" in text
    except ValueError:
        return False


def _time(text: str) -> str:
    if not _is_time(text):
        raise PydanticCustomError(
            "time", "must be a time with zone as in RFC 3339, such as 2027-01-31T12:00:00Z"
        )
    return text


def _compiles(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise PydanticCustomError(
            "regex", "must be a regular expression: {error}", {"error": str(error)}
        ) from None
    return text


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


Name = Annotated[
    str,
    StringConstraints(max_length=63),
    matching(
        NAME_PATTERN,
        "must consist of lower-case letters, digits and '-', and start and end with a letter or digit",
    ),
]
ObjectName = Annotated[
    str,
    StringConstraints(max_length=253),
    matching(
        OBJECT_NAME_PATTERN,
        "must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.', "
        "starting and ending with a letter or digit",
    ),
]
ControlId = Annotated[
    str,
    StringConstraints(max_length=9),
    matching(
        CONTROL_PATTERN, "must be the id of a control, such as SHD-004: see `readiness controls`"
    ),
]
Duration = Annotated[str, StringConstraints(max_length=32), lasting("0s", "99999h")]
MaxAge = Annotated[str, StringConstraints(max_length=32), lasting("1m", "8784h")]
Path = Annotated[
    str,
    StringConstraints(max_length=512),
    matching(
        PATH_PATTERN,
        "must be a path such as /health?deep=true: one leading '/', no scheme or host, no blanks, "
        "no fragment, other characters percent-encoded",
    ),
]
Port = Annotated[
    int | str,
    # CEL's cost estimate takes such a string for unbounded: names are left to the schema.
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "pattern": PORT_PATTERN,
            "maxLength": 15,
        }
    ),
    BeforeValidator(_int_or_string),
    Rule(
        cel="type(self) != int || (self >= 1 && self <= 65535)",
        message="must be a port number from 1 to 65535 or the name of a port, such as http",
        holds=_is_port,
    ),
]
Regex = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Rule(
        cel=f"!self.matches(r'{RISKY_REGEX}')",
        message="must be a simple regular expression: at most two of * + ? {}, at most two groups, none "
        "of them repeated, no look-around or back-reference; write several entries instead",
        holds=lambda text: re.search(RISKY_REGEX, text) is None,
    ),
    AfterValidator(_compiles),  # CEL cannot ask this: InvalidSpec in the status instead
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Flag = Annotated[bool, Strict()]
Timestamp = Annotated[str, AfterValidator(_time), Field(json_schema_extra={"format": "date-time"})]
