"""Loading manifests from files, directories and standard input, each object with its file and line.

The only module that reads manifests from disk; everything wrong with them is reported at once. It
knows no control and no policy: what an object means is decided elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from readiness.model import Manifest
from readiness.parsing import Document, documents

MAX_BYTES: Final = 32 * 1024 * 1024
SUFFIXES: Final = (".yaml", ".yml", ".json")
STDIN: Final = "-"
CLIENT: Final = "kustomize.config.k8s.io/"  # read by kubectl, never applied
RENDER_FIRST: Final = (
    "a Helm template, not a manifest; render it first: helm template … | readiness check -"
)


class InputError(Exception):
    """Files that cannot be read as manifests: one sentence each, with file, line and remedy."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Located:
    """An object and where it stands."""

    manifest: Manifest
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything that was found. Of an object that stands twice the last one is kept, as by apply."""

    objects: tuple[Located, ...]
    files: int = 0
    foreign: int = 0
    repeated: tuple[str, ...] = ()


Identity = tuple[str, str, str, str]


def identity_of(manifest: Manifest) -> Identity:
    """(API group, kind, namespace, name): what makes two manifests the same object."""
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    meta = manifest["metadata"]
    return group, manifest["kind"], meta.get("namespace") or "", meta.get("name") or ""


def load(paths: Sequence[str], stdin: Callable[[int], bytes]) -> Manifests:
    """The manifests of files, directories and `-`. Raises InputError with every problem at once."""
    found: dict[Identity | int, Located] = {}
    problems: list[str] = []
    repeated: list[str] = []
    files = foreign = 0
    for name in _names(paths, problems):
        files += 1
        try:
            for item in _objects(name, stdin):
                if item is None:
                    foreign += 1
                    continue
                key = identity_of(item.manifest)
                if key in found:
                    repeated.append(
                        f"{item}: {key[1]}/{key[3]} stands already in {found[key]}; the last one counts"
                    )
                found[key if key[3] else id(item)] = item
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return Manifests(tuple(found.values()), files, foreign, tuple(repeated))


def _names(paths: Iterable[str], problems: list[str]) -> Iterator[str]:
    for path in paths:
        if path == STDIN or not Path(path).is_dir():
            yield path
            continue
        before = len(problems)
        names = list(_walk(path, problems))
        if not names and len(problems) == before:
            problems.append(f"{path}: no {', '.join(SUFFIXES)} file in this directory")
        yield from names


def _walk(top: str, problems: list[str]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        problems.append(f"{error.filename}: cannot be listed: {error.strerror}")

    for folder, folders, names in os.walk(top, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield f"{folder.rstrip('/')}/{name}"


def _objects(name: str, stdin: Callable[[int], bytes]) -> Iterator[Located | None]:
    """The objects of one file; None for a document that is not a Kubernetes object."""
    shown = "<stdin>" if name == STDIN else name
    data = _read(name, shown, stdin)
    for found in _documents(data, shown):
        document, line = found.content, found.line
        if document is None:
            continue
        kind = document.get("kind") if isinstance(document, dict) else None
        version = document.get("apiVersion") if isinstance(document, dict) else None
        if not isinstance(kind, str) or not isinstance(version, str) or version.startswith(CLIENT):
            yield None
            continue
        items = document.get("items")
        if not kind.endswith("List") or not isinstance(items, list):
            yield _located(document, shown, line)
            continue
        starts = found.item_lines
        lines = starts if len(starts) == len(items) else (line,) * len(items)
        for item, start in zip(items, lines, strict=True):
            yield _located(item, shown, start)


def _located(manifest: Any, file: str, line: int) -> Located:
    ok = isinstance(manifest, dict) and isinstance(manifest.get("kind"), str)
    if not ok or not isinstance(manifest.get("metadata"), dict):
        raise InputError(
            f"{file}:{line}: an object needs kind and metadata, both are expected here"
        )
    return Located(manifest, file, line)


def _read(name: str, shown: str, stdin: Callable[[int], bytes]) -> bytes:
    try:
        if name == STDIN:
            data = stdin(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{shown}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{shown}: larger than {MAX_BYTES >> 20} MiB; split it")
    return data


def _documents(data: bytes, shown: str) -> list[Document]:
    try:
        if data.lstrip()[:1] == b"{" and b"\t" in data:  # JSON may be indented with tabs
            return [Document(json.loads(data))]
        return list(documents(data))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise _invalid(data, f"{shown}{where}", error.problem or str(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _invalid(data, shown, str(error)) from None


def _invalid(data: bytes, where: str, problem: str) -> InputError:
    text = " ".join(problem.split())
    return InputError(f"{where}: {RENDER_FIRST if b'{{' in data else f'not valid YAML: {text}'}")
