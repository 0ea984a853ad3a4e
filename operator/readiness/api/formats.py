"""The formats of the API's texts: names, paths, ports, addresses, durations, times, expressions.

Formats are rules, not `pattern`s: what a pattern says when it does not match is no remedy. Every
expression means the same in RE2, which the API server uses, and in `re`: plain ASCII classes.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from readiness.api.durations import seconds
from readiness.api.types import Rule
from readiness.schedule import CronSimError, due_after

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
CRON_PATTERN: Final = r"^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$"
ZONE_PATTERN: Final = r"^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"
RISKY_REGEX: Final = r"\)[*+?{]|\(\?|\\[1-9]|([*+?{][^*+?{]*){3}|(\([^(]*){3}"
TIME_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
QUOTED: Final = """'"' + self + '"'"""


def matching(pattern: str, message: str) -> Rule:
    """The text matches `pattern`, which RE2 and `re` must read alike."""
    expression = re.compile(pattern)
    return Rule(
        cel=f"self.matches(r'{pattern}')",
        shown=QUOTED,
        message=message,
        holds=lambda text: expression.fullmatch(text) is not None,
    )


def lasting(least: str, most: str) -> Rule:
    """The text is a duration between two others."""
    shape = matching(DURATION_PATTERN, "")
    return Rule(
        cel=f"{shape.cel} && duration(self) >= duration('{least}')"
        f" && duration(self) <= duration('{most}')",
        shown=QUOTED,
        message=f"must be a duration between {least} and {most}: whole numbers with h, m, s or ms, "
        "as in 1m30s",
        holds=lambda text: (
            re.fullmatch(DURATION_PATTERN, text) is not None
            and seconds(least) <= seconds(text) <= seconds(most)
        ),
    )


def _is_port(port: int | str) -> bool:
    if isinstance(port, int):
        return 1 <= port <= 65535
    return len(port) <= 15 and re.fullmatch(PORT_PATTERN, port) is not None


def int_or_string(value: Any) -> Any:
    """The value, unless it is neither, as the API server says it."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("int_or_string", "must be of type integer or string")
    return value


def _time(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        valid = False
    else:
        valid = re.fullmatch(TIME_PATTERN, text) is not None
    if not valid:
        raise PydanticCustomError(
            "time", "must be of type date-time: RFC 3339, such as 2027-01-31T12:00:00Z"
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


def _falls_due(text: str) -> str:
    try:
        due_after(text, "UTC", 0.0)
    except (CronSimError, StopIteration) as error:
        raise PydanticCustomError(
            "cron", "must fall due some day: {error}", {"error": str(error)}
        ) from None
    return text


def _is_zone(text: str) -> str:
    if text not in available_timezones():
        raise PydanticCustomError("zone", "must be a time zone such as Etc/UTC or Europe/Berlin")
    return text


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
    BeforeValidator(int_or_string),
    Rule(
        cel="type(self) != int || (self >= 1 && self <= 65535)",
        shown="string(self)",
        message="must be a port number from 1 to 65535 or the name of a port, such as http",
        holds=_is_port,
    ),
]
Regex = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Rule(
        cel=f"!self.matches(r'{RISKY_REGEX}')",
        shown=QUOTED,
        message="must be a simple regular expression: at most two of * + ? {}, at most two groups, none "
        "of them repeated, no look-around or back-reference; write several entries instead",
        holds=lambda text: re.search(RISKY_REGEX, text) is None,
    ),
    AfterValidator(_compiles),  # CEL cannot ask this: InvalidSpec in the status instead
]
Schedule = Annotated[
    str,
    StringConstraints(max_length=100),
    matching(
        CRON_PATTERN,
        'must be five fields of cron, minute, hour, day, month and weekday, such as "0 3 * * 0"',
    ),
    AfterValidator(_falls_due),  # InvalidSpec in the status instead, as with Regex
]
TimeZone = Annotated[
    str,
    StringConstraints(max_length=64),
    matching(ZONE_PATTERN, "must be the name of a time zone, such as Etc/UTC or Europe/Berlin"),
    AfterValidator(_is_zone),
]
JsonKey = Annotated[
    str,
    StringConstraints(max_length=100),
    matching(
        r"^[A-Za-z0-9_@-]+(\.[A-Za-z0-9_@-]+)*$",
        "must be a key of a JSON object, such as status or http.status for one within another",
    ),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Timestamp = Annotated[
    str,
    AfterValidator(_time),
    Field(json_schema_extra={"format": "date-time", "pattern": TIME_PATTERN}),
]
