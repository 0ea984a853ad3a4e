"""Defects of the start, of what is logged and of how bodies are read: what a process does wrong beside its answers.

Each changes one of the parts that `main` is made of. They show on clones only: a process that runs has started.
"""

import os
import sys
import tempfile
import threading
import time
from asyncio import StreamReader
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from specimen.config import Config, ConfigError
from specimen.ending import End
from specimen.http import MAX_BODY, Application, BadRequestError, Take, chunks, take_body
from specimen.log import Log
from specimen.upstream import Manners

Environment = Mapping[str, str]
Entry = dict[str, object]
Pod = dict[str, Any]
POLITE = Manners()


@dataclass(frozen=True)
class Parts:
    """How settings are read, how wrong ones are refused, how things are told; how dependencies are treated; who answers;
    how bodies are read; how it ends."""

    read: Callable[[Environment], Config]
    refuse: Callable[[ConfigError], None]
    log: Log
    manners: Manners = POLITE
    wrap: Callable[[Application], Application] = lambda application: application
    take: Take = take_body
    end: End = field(default_factory=End)


@dataclass(frozen=True)
class StartDefect:
    """One broken clause, as Defect is one of an answer. `template` breaks the spec of its pod, where that is what is wrong."""

    id: str
    clause: str
    fails: Mapping[str, str]
    plant: Callable[[Parts], Parts] = lambda parts: parts
    unproven: Mapping[str, str] = field(default_factory=dict)
    template: Callable[[Pod], Pod] = lambda pod: pod


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


def container(change: Callable[[Pod], Pod]) -> Callable[[Pod], Pod]:
    """A pod whose application's container is another one."""
    return lambda pod: {**pod, "containers": [change(pod["containers"][0]), *pod["containers"][1:]]}


def kept_at(value: str) -> Callable[[Pod], Pod]:
    """Keeps its data elsewhere; nowhere for an empty value."""

    def change(app: Pod) -> Pod:
        env = [each for each in app["env"] if each["name"] != "DATA_DIR"]
        return {**app, "env": [*env, {"name": "DATA_DIR", "value": value}] if value else env}

    return container(change)


def passing(pod: Pod) -> Pod:
    """Its volumes come and go with it."""
    return {**pod, "volumes": [{"name": each["name"], "emptyDir": {}} for each in pod["volumes"]]}


def taking(take: Take) -> Callable[[Parts], Parts]:
    """Reads bodies otherwise; a large one is refused all the same."""
    return lambda parts: replace(parts, take=take)


async def _parts(reader: StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """A body piece by piece, whatever its framing."""
    if length is None:
        async for part in chunks(reader):
            yield part
    while length:
        yield (part := await reader.read(min(length, 1 << 16)))
        length = length - len(part) if part else 0


def judged_late(body: bytes) -> bytes:
    """Looks at the size of a body when it has all of it."""
    if len(body) > MAX_BODY:
        raise BadRequestError(413)
    return body


async def keep_all(reader: StreamReader, length: int | None) -> bytes:
    """Keeps a body before it looks at its size."""
    return judged_late(b"".join([part async for part in _parts(reader, length)]))


async def keep_chunks(reader: StreamReader, length: int | None) -> bytes:
    """Knows the size of what is announced, and believes that all is."""
    return await (keep_all if length is None else take_body)(reader, length)


async def keep_announced(reader: StreamReader, length: int | None) -> bytes:
    """Counts chunks as they come, and nothing else."""
    return await (take_body if length is None else keep_all)(reader, length)


async def keep_in_memory_volume(reader: StreamReader, length: int | None) -> bytes:
    """Writes a body to a file that is memory, too."""
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        async for part in _parts(reader, length):
            file.write(part)
        file.seek(0)
        return judged_late(file.read(MAX_BODY + 1))


async def end_on_large(reader: StreamReader, length: int | None) -> bytes:
    """Ends, as a process does that runs into its limit."""
    try:
        return await take_body(reader, length)
    except BadRequestError:
        os._exit(os.EX_OSERR)


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
        StartDefect("CFG-006/no-path", "what it keeps has a place", {"CFG-006": "PathUnset"}, template=kept_at("")),
        StartDefect("CFG-006/in-memory", "that is none in memory", {"CFG-006": "PathEphemeral"}, template=kept_at("sqlite:///:memory:")),
        StartDefect("CFG-006/elsewhere", "but one on a volume", {"CFG-006": "PathNotKept"}, template=kept_at("/tmp")),
        StartDefect("CFG-006/passing-volume", "that outlives the pod", {"CFG-006": "PathNotKept"}, template=passing),
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
        StartDefect("LIM-007/keeps-all", "bodies are not kept in memory", {"LIM-007": "MemoryGrows"}, taking(keep_all)),
        StartDefect("LIM-007/keeps-announced", "nor those announced by Content-Length", {"LIM-007": "MemoryGrows"}, taking(keep_announced)),
        StartDefect("LIM-007/keeps-chunks", "nor those in chunks", {"LIM-007": "MemoryGrows"}, taking(keep_chunks)),
        StartDefect("LIM-007/memory-volume", "nor in a tmpfs", {"LIM-007": "MemoryGrows"}, taking(keep_in_memory_volume)),
        StartDefect("LIM-007/ends", "nothing ends", {"LIM-007": "EndsUnderLoad"}, taking(end_on_large)),
        StartDefect("ERR-002/no-message", "each field has a value", {"ERR-002": "FieldsMissing"}, of_error(wordless)),
    )
}  # fmt: skip
