"""Defects of the start and of what is logged: what a process does wrong beside its answers.

Each changes one of the parts that `main` is made of. They show on clones only: a process that runs has started.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from specimen.config import Config, ConfigError
from specimen.http import Application
from specimen.log import Log
from specimen.upstream import Manners

Environment = Mapping[str, str]
Entry = dict[str, object]
POLITE = Manners()


@dataclass(frozen=True)
class Parts:
    """How settings are read, how wrong ones are refused, how things are told; how dependencies are treated; who answers."""

    read: Callable[[Environment], Config]
    refuse: Callable[[ConfigError], None]
    log: Log
    manners: Manners = POLITE
    wrap: Callable[[Application], Application] = lambda application: application


@dataclass(frozen=True)
class StartDefect:
    """One broken clause, as Defect is one of an answer."""

    id: str
    clause: str
    fails: Mapping[str, str]
    plant: Callable[[Parts], Parts]
    unproven: Mapping[str, str] = field(default_factory=dict)


def prepared(parts: Parts, defects: Iterable[StartDefect]) -> Parts:
    """The parts with these defects."""
    for defect in defects:
        parts = defect.plant(parts)
    return parts


def lenient(name: str, value: str) -> Callable[[Parts], Parts]:
    """Puts a silent default in the place of a wrong or missing setting."""

    def plant(parts: Parts) -> Parts:
        def read(environ: Environment) -> Config:
            try:
                return parts.read(environ)
            except ConfigError as error:
                if name not in str(error):
                    raise
                return parts.read({**environ, name: value})

        return replace(parts, read=read)

    return plant


def refusing(name: str, act: Callable[[], None]) -> Callable[[Parts], Parts]:
    """Does something else than refusing when this setting is wrong."""

    def plant(parts: Parts) -> Parts:
        def refuse(error: ConfigError) -> None:
            if name in str(error):
                act()
            parts.refuse(error)

        return replace(parts, refuse=refuse)

    return plant


def saying(name: str, text: str) -> Callable[[Parts], Parts]:
    """Refuses this setting in other words."""

    def plant(parts: Parts) -> Parts:
        def refuse(error: ConfigError) -> None:
            parts.refuse(ConfigError(text) if name in str(error) else error)

        return replace(parts, refuse=refuse)

    return plant


def logging(
    change: Callable[[Log, str, str, Entry], None], about: Callable[[str, Entry], bool]
) -> Callable[[Parts], Parts]:
    """Tells some things otherwise."""

    def plant(parts: Parts) -> Parts:
        def log(level: str, message: str, **fields: object) -> None:
            if about(level, fields):
                change(parts.log, level, message, fields)
            else:
                parts.log(level, message, **fields)

        return replace(parts, log=log)

    return plant


def of_error(change: Callable[[Log, str, str, Entry], None]) -> Callable[[Parts], Parts]:
    """Tells errors of requests otherwise."""
    return logging(change, lambda level, fields: "status" in fields)


def lacking(name: str) -> Callable[[Parts], Parts]:
    """Leaves a field out."""

    def change(log: Log, level: str, message: str, fields: Entry) -> None:
        log(level, message, **{key: value for key, value in fields.items() if key != name})

    return of_error(change)


def nothing(log: Log, level: str, message: str, fields: Entry) -> None:
    """Tells it to nobody."""


def plain(log: Log, level: str, message: str, fields: Entry) -> None:
    """Tells it as people write."""
    print(f"{level}: {fields['method']} {fields['path']} {fields['status']} {message}", flush=True)


def twice(log: Log, level: str, message: str, fields: Entry) -> None:
    """Tells it again."""
    log(level, message, **fields)
    log(level, message, **fields)


def wordless(log: Log, level: str, message: str, fields: Entry) -> None:
    """Tells it without what happened."""
    log(level, "", **fields)


def late(log: Log, level: str, message: str, fields: Entry) -> None:
    """Tells it when nobody looks any more."""
    threading.Timer(30, lambda: log(level, message, **fields)).start()


def hang() -> None:
    """Waits for what never comes."""
    time.sleep(3600)


def dawdle() -> None:
    """Ends later than it promised; the matrix declares 30 s."""
    time.sleep(38)


def succeed() -> None:
    """Ends as if all were well, and says what is wrong."""
    print("cannot start: API_TOKEN, DRAIN or STORE (pip install shop-store)", flush=True)
    sys.exit(os.EX_OK)


DEFECTS: dict[str, StartDefect] = {
    defect.id: defect
    for defect in (
        StartDefect("CFG-001/starts-without", "without a required variable it does not start", {"CFG-001": "StartsWithout"}, lenient("API_TOKEN", "insecure")),
        StartDefect("CFG-001/not-named", "its log names the variable", {"CFG-001": "NotNamed"}, saying("API_TOKEN", "wrong settings")),
        StartDefect("CFG-001/hangs", "it ends by itself", {"CFG-001": "HangsWithout"}, refusing("API_TOKEN", hang)),
        StartDefect("CFG-001/late", "it ends within config.startupFail", {"CFG-001": "HangsWithout"}, refusing("API_TOKEN", dawdle)),
        StartDefect("CFG-001/exit-code", "its exit code is not 0", {"CFG-001": "ExitCode"}, refusing("API_TOKEN", succeed)),
        StartDefect("CFG-002/accepts", "an invalid value is refused, or replaced and said", {"CFG-002": "AcceptsInvalid"}, lenient("DRAIN", "15s")),
        StartDefect("CFG-002/hangs", "with an invalid value it ends by itself", {"CFG-002": "HangsOnInvalid"}, refusing("DRAIN", hang)),
        StartDefect("CFG-002/exit-code", "with an invalid value its exit code is not 0", {"CFG-002": "ExitCode"}, refusing("DRAIN", succeed)),
        StartDefect("CFG-006/silent", "a fallback to memory is said", {"CFG-006": "SilentFallback"}, logging(nothing, lambda level, fields: level == "warning")),
        StartDefect("CFG-007/starts-anyway", "without its plugin it does not start", {"CFG-007": "StartsAnyway"}, lenient("STORE", "files")),
        StartDefect("CFG-007/no-hint", "it says what to install", {"CFG-007": "NoHint"}, saying("STORE", "STORE: unknown")),
        StartDefect("CFG-007/hangs", "without its plugin it ends by itself", {"CFG-007": "HangsAtStart"}, refusing("STORE", hang)),
        StartDefect("CFG-007/exit-code", "without its plugin its exit code is not 0", {"CFG-007": "ExitCode"}, refusing("STORE", succeed)),
        StartDefect("ERR-002/not-logged", "a server error is logged", {"ERR-002": "NotLogged"}, of_error(nothing)),
        StartDefect("ERR-002/late", "it is logged within 10 s", {"ERR-002": "NotLogged"}, of_error(late)),
        StartDefect("ERR-002/plain-text", "it is logged as JSON", {"ERR-002": "NotStructured"}, of_error(plain)),
        StartDefect("ERR-002/twice", "it is logged as one line", {"ERR-002": "LoggedTwice"}, of_error(twice)),
        StartDefect("ERR-002/no-path", "the line names the path", {"ERR-002": "NotLogged"}, lacking("path")),
        StartDefect("ERR-002/no-method", "the line has each field", {"ERR-002": "FieldsMissing"}, lacking("method")),
        StartDefect("ERR-002/no-status", "the line has each field", {"ERR-002": "FieldsMissing"}, lacking("status")),
        StartDefect("ERR-002/no-message", "each field has a value", {"ERR-002": "FieldsMissing"}, of_error(wordless)),
    )
}  # fmt: skip
