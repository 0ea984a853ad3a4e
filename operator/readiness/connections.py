"""Connection strings that a workload's manifest shows: which stores they lead to, and with what options.

Passwords and whole strings are never kept, only hosts and options. What a Secret holds is not shown
and not looked for. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from readiness.model import Manifest
from readiness.snapshot import Snapshot
from readiness.workload import all_containers

_SCHEMES: Final = {
    "redis": "rediss?(?:\\+sentinel)?|redis-sentinel", "mongodb": "mongodb(?:\\+srv)?", "rabbitmq": "amqps?",
}  # fmt: skip
_URL: Final = r"(?i)^\s*(%s)://(?:[^@/?#]*@)?([^/?#\s]+)([^?#\s]*)(?:\?([^#\s]*))?"
_NOWHERE: Final = re.compile(
    r"localhost|.*\.localhost|127\..*|::1|0\.0\.0\.0|(.*\.)?example(\.(com|org|net))?|.*\.(test|invalid)|"
    r".*<.*>.*|.*\$\{.*\}.*|.*(changeme|change-me|placeholder|your[-_]).*|(todo|xxx+|host|hostname)"
)


@dataclass(frozen=True, slots=True)
class Url:
    """One connection string without user and password. `where` names its variable."""

    where: str
    scheme: str
    hosts: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A variable whose value comes from a Secret."""

    where: str
    secret: str
    key: str


def is_placeholder(host: str) -> bool:
    """Whether nobody can mean this host in production."""
    return _NOWHERE.fullmatch(host.strip("[]").lower()) is not None


def urls_of(workload: Manifest, snapshot: Snapshot, kind: str) -> Iterator[Url]:
    """Every visible connection string of a kind of store."""
    for where, text in _visible(workload, snapshot):
        if (found := url_of(where, text, kind)) is not None:
            yield found


def url_of(where: str, text: str, kind: str) -> Url | None:
    """A text as a connection string of this kind; None when it is none."""
    found = re.match(_URL % _SCHEMES[kind], text)
    if found is None:
        return None
    hosts = tuple(_host(each) for each in found[2].split(",") if each)
    options = {key.lower(): value for key, value in parse_qsl(found[4] or "")}
    return Url(where, found[1].lower(), hosts, options)


def hidden_of(workload: Manifest) -> Iterator[Hidden]:
    """Every variable that a Secret fills."""
    for container in all_containers(workload):
        for entry in container.get("env") or ():
            ref = (entry.get("valueFrom") or {}).get("secretKeyRef")
            if ref:
                yield Hidden(str(entry.get("name", "")), str(ref.get("name", "")), str(ref.get("key", "")))  # fmt: skip
        for source in container.get("envFrom") or ():
            if ref := source.get("secretRef"):
                yield Hidden("envFrom", str(ref.get("name", "")), "")


def _host(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _visible(workload: Manifest, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for container in all_containers(workload):
        for entry in container.get("env") or ():
            name, ref = str(entry.get("name", "")), (entry.get("valueFrom") or {}).get("configMapKeyRef")  # fmt: skip
            if ref:
                yield name, snapshot.configs.get(ref.get("name", ""), {}).get(ref.get("key", ""), "")  # fmt: skip
            elif "value" in entry:
                yield name, str(entry["value"])
        for source in container.get("envFrom") or ():
            config = (source.get("configMapRef") or {}).get("name", "")
            yield from snapshot.configs.get(config, {}).items()
