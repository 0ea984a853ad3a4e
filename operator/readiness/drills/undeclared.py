"""Store addresses that a clone would be given and the policy does not declare: no such clone runs.

A cloned worker would take production's jobs. Looked at are the environment, the command line and
the files of ConfigMaps. What a Secret holds cannot be seen, so the name of a variable or file decides,
and where not even names can be seen, whether the owner said anything about stores. Texts name
places and hosts, never values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from readiness.drills.addresses import (
    hosts_named,
    hosts_within,
    is_store_name,
    may_hold_address,
)
from readiness.drills.hosts import is_local, known_hosts
from readiness.drills.place import Place
from readiness.model import Manifest
from readiness.script import DrillSubject
from readiness.timeline import Problem
from readiness.workload import all_containers, pod_spec

SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """Something an application is told. `value` None: it cannot be seen."""

    where: str
    name: str
    value: str | None
    key: str = ""
    source: str = ""


def undeclared_store(pod: Manifest, subject: DrillSubject, place: Place) -> Problem | None:
    """The refusal of a clone that would know a store which the policy does not declare.

    The owner's word that it needs none may be wrong: it counts only where the network holds it to that.
    """
    if subject.standalone and not subject.unisolated:
        return None
    known = known_hosts(subject) | {
        _host(a) for a in (*place.sinks.values(), *place.stores.values())
    }
    for setting in _settings(pod, subject, place):
        for host in _hosts(setting):
            if not (is_local(host) or host in known):
                return _refused(subject, f"{setting.where} leads to {host[:SHOWN]}", host[:SHOWN])
        if setting.value is None and (is_store_name(setting.name) or is_store_name(setting.key)):
            words = f"{setting.where} comes from {setting.source}, so that its host cannot be seen"
            return _refused(subject, words, "its host", secret=setting.source)
    return None


def _refused(subject: DrillSubject, words: str, host: str, secret: str = "") -> Problem:
    of = f", with {secret} as its secretRef" if secret.startswith("Secret/") else ""
    return Problem(
        "Refused",
        f"UndeclaredStore: {words}, and the policy declares no such store",
        f"name a data service in spec.targets[{subject.target}].uses that has {host} among its hosts{of}, "
        + ("or drill where NetworkPolicies hold" if subject.unisolated
           else f"or state spec.targets[{subject.target}].shutdown.standalone: true if none is needed"),
    )  # fmt: skip


def _hosts(setting: Setting) -> Iterator[str]:
    if setting.value is not None:
        yield from hosts_within(setting.value)
        yield from hosts_named(setting.name, setting.value)


def _host(address: str) -> str:
    """`10.0.0.7` of `10.0.0.7:80` and of itself."""
    return address.rpartition(":")[0] if address.count(":") == 1 else address


def _settings(pod: Manifest, subject: DrillSubject, place: Place) -> Iterator[Setting]:
    for container in all_containers(pod):
        yield from _Reading(container, subject, place).all()
    for volume in pod_spec(pod).get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            name = (source.get("configMap") or {}).get("name")
            for key, text in place.configs.get(name or "", {}).items():
                yield from _lines(f"ConfigMap/{name} {key}", text)
            secret = source.get("secret") or {}
            yield from _files(pod, subject, volume["name"], secret)


def _files(
    pod: Manifest, subject: DrillSubject, volume: str, secret: Manifest
) -> Iterator[Setting]:
    """Files of a Secret, by their names where the template tells them, else all as one."""
    of = str(secret.get("secretName") or secret.get("name") or "")
    mounts = [
        str(mount["mountPath"])
        for container in all_containers(pod)
        for mount in container.get("volumeMounts") or ()
        if mount["name"] == volume
    ]
    if not (of and mounts) or _trusted(subject, of) is not None:
        return
    items = [(str(each["path"]), str(each["key"])) for each in secret.get("items") or ()]
    names: list[tuple[str, ...]] = [*items] or [(volume, of, *mounts)]
    for path, key in items:
        yield Setting(f"file {path} of volume {volume}", path, None, key, f"Secret/{of}")
    if not subject.stores and any(map(may_hold_address, names)):
        yield Setting(f"volume {volume}", "DATABASE", None, source=f"Secret/{of}")


def _trusted(subject: DrillSubject, secret: str) -> str | None:
    """What a store's own Secret gives, the store's host at most; None for any other Secret."""
    return next((s.hosts[0] for s in subject.stores if s.secret == secret and s.hosts), None)


def _lines(where: str, text: str) -> Iterator[Setting]:
    """Lines of a file, as `name: value` or `name = value` where they look like it."""
    for line in text.splitlines():
        if line.lstrip()[:1] not in ("#", ";"):
            name, _, value = line.replace("=", ":", 1).partition(":")
            yield Setting(where, "", line)
            yield Setting(where, name.strip(), value.strip(" \t\"',"))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one container is told."""

    container: Manifest
    subject: DrillSubject
    place: Place

    def all(self) -> Iterator[Setting]:
        seen: dict[str, str] = {}
        yield from self._sources(seen)
        for entry in self.container.get("env") or ():
            setting = self._variable(entry)
            if setting.value is not None:
                value = seen[setting.name] = _expanded(setting.value, seen)
                yield Setting(setting.where, setting.name, value)
            else:
                yield setting
        yield from self._words(seen)

    def _variable(self, entry: Manifest) -> Setting:
        name, origin = entry["name"], entry.get("valueFrom") or {}
        where = f"{name} of container {self.container['name']}"
        if config := origin.get("configMapKeyRef"):
            of, key = config.get("name", ""), config["key"]
            data = self.place.configs.get(of)
            return Setting(where, name, None if data is None else data.get(key, ""), key, f"ConfigMap/{of}")  # fmt: skip
        if secret := origin.get("secretKeyRef"):
            value = _trusted(self.subject, secret.get("name", ""))
            return Setting(where, name, value, secret["key"], f"Secret/{secret.get('name', '')}")
        if origin:  # what the pod knows of itself: its address, its limits
            return Setting(where, name, "localhost")
        return Setting(where, name, entry.get("value") or "")

    def _sources(self, seen: dict[str, str]) -> Iterator[Setting]:
        name = self.container["name"]
        explained = {entry["name"] for entry in self.container.get("env") or ()}
        for source in self.container.get("envFrom") or ():
            config = (source.get("configMapRef") or {}).get("name", "")
            secret = (source.get("secretRef") or {}).get("name", "")
            if config in self.place.configs:
                for key, value in self.place.configs[config].items():
                    variable = (source.get("prefix") or "") + key
                    seen[variable] = value
                    yield Setting(f"{variable} of container {name}", variable, value)
            elif _trusted(self.subject, secret) is None:
                origin = f"Secret/{secret}" if secret else f"ConfigMap/{config}"
                hidden = [n for n in self.subject.declared if n not in explained]
                for each in hidden if self.subject.stores else ("DATABASE", *hidden):
                    where = f"envFrom of container {name}"
                    yield Setting(where, each, None, source=origin)

    def _words(self, seen: dict[str, str]) -> Iterator[Setting]:
        """A command line: each word by itself, and flags with their values in either form."""
        where, flag = f"the command line of container {self.container['name']}", ""
        for word in (*(self.container.get("command") or ()), *(self.container.get("args") or ())):
            text = _expanded(str(word), seen)
            name, equals, value = text.partition("=")
            named = name.startswith("-") and equals
            yield Setting(where, name if named else flag, value if named else text)
            flag = text if text.startswith("-") and not equals else ""


def _expanded(text: str, seen: dict[str, str]) -> str:
    """`$(NAME)` as the kubelet expands it, for names that can be seen."""
    for name, value in seen.items():
        text = text.replace(f"$({name})", value)
    return text
