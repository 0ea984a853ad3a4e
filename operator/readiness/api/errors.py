"""Validation errors for people: where in the object, which value, what would be accepted.

The words are the API server's own where it has some, so that `readiness check`, a condition
`Accepted=False` and a refused `kubectl apply` read alike. A value is shown up to 80 characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from readiness.api import InvalidSpecError

M = TypeVar("M", bound=BaseModel)
SHOWN: Final = 80
_TYPES: Final = {
    "string_type": "string",
    "bool_type": "boolean",
    "int_type": "integer",
    "tuple_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "int_or_string": "integer or string",
}


def validated(model: type[M], spec: Any, *, strict: bool) -> M:
    """The spec as a model. Raises InvalidSpecError; `strict` also for unknown fields."""
    try:
        return model.model_validate(spec, extra="forbid" if strict else None)
    except ValidationError as error:
        raise InvalidSpecError(explain(error, "spec")) from None


def explain(error: ValidationError, root: str = "") -> list[tuple[str, str]]:
    """(path, message) of every error: `spec.targets[0].name`, `Required value`."""
    errors = error.errors(include_url=False)
    return [(_path(root, e), _message(e)) for e in errors if not _follows(e, errors)]


def _follows(error: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Whether a list only counts as too short because pydantic left out its refused items."""
    at = error["loc"]
    return error["type"] == "too_short" and any(
        other["loc"][: len(at)] == at and len(other["loc"]) > len(at) for other in errors
    )


def _path(root: str, error: ErrorDetails) -> str:
    """A rule or a duplicate may blame a place below the one that was validated."""
    path = root
    for part in (*error["loc"], *error.get("ctx", {}).get("at", ())):
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")


def _message(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _TYPES:
        return f"{_invalid(error)}: must be of type {_TYPES[kind]}"
    if kind in _TEXTS:
        return _TEXTS[kind](error, context)
    return f"{_invalid(error)}: {error['msg']}"


def _invalid(error: ErrorDetails) -> str:
    return f"Invalid value: {_shown(error.get('ctx', {}).get('value', error['input']))}"


def _shown(value: Any) -> str:
    """The value as JSON, cut, without the user of an address; of an object only that it is one."""
    if isinstance(value, dict | list | tuple) or hasattr(value, "model_fields_set"):
        return '"array"' if isinstance(value, list | tuple) else '"object"'
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = re.sub(r"//[^/@]*@", "//…@", text)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _unsupported(error: ErrorDetails, context: dict[str, Any]) -> str:
    values = ", ".join(f'"{v}"' for v in re.findall(r"'([^']*)'", context["expected"]))
    return f"Unsupported value: {_shown(error['input'])}: supported values: {values}"


_TEXTS: Final[dict[str, Callable[[ErrorDetails, dict[str, Any]], str]]] = {
    "missing": lambda _e, _c: "Required value",
    "extra_forbidden": lambda _e, _c: "unknown field: remove it or correct its name",
    "literal_error": _unsupported,
    "duplicate": lambda _e, c: f"Duplicate value: {_shown(c['name'])}",
    "string_too_long": lambda _e, c: f"Too long: may not be more than {c['max_length']} characters",
    "string_too_short": lambda e, c: (
        f"{_invalid(e)}: should be at least {c['min_length']} chars long"
    ),
    "too_long": lambda _e, c: (
        f"Too many: {c['actual_length']}: must have at most {c['max_length']} items"
    ),
    "too_short": lambda _e, c: f"Invalid value: 0: should have at least {c['min_length']} items",
    "less_than_equal": lambda e, c: f"{_invalid(e)}: should be less than or equal to {c['le']}",
    "greater_than_equal": lambda e, c: (
        f"{_invalid(e)}: should be greater than or equal to {c['ge']}"
    ),
}
