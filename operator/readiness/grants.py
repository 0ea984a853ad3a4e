"""Who may read Secrets, from roles and bindings. Pure: the operator and `readiness check` share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from readiness.model import Manifest
from readiness.snapshot import Grant

READING: Final = ("get", "list", "watch", "*")
Roles = Mapping[tuple[str, str], Manifest]
"""Roles that read Secrets, by (kind, name)."""


def secret_rules(role: Manifest) -> list[Manifest]:
    """The rules of a role that let somebody read Secrets, reduced to verbs and names."""
    return [
        {
            "verbs": [verb for verb in rule["verbs"] if verb in READING],
            "resourceNames": rule.get("resourceNames") or [],
        }
        for rule in role.get("rules") or ()
        if _reads_secrets(rule)
    ]


def grants_of(bindings: Iterable[Manifest], roles: Roles, namespace: str) -> tuple[Grant, ...]:
    """The grants that these bindings make in `namespace`, in a stable order."""
    found = {grant for binding in bindings for grant in _of(binding, roles, namespace)}
    return tuple(sorted(found, key=lambda g: (g.subject, g.via, g.verbs, g.names)))


def _of(binding: Manifest, roles: Roles, namespace: str) -> Iterator[Grant]:
    ref = binding.get("roleRef") or {}
    role = roles.get((ref.get("kind", ""), ref.get("name", "")))
    if role is None:
        return
    via = f"{binding['kind']}/{binding['metadata']['name']} to {ref['kind']}/{ref['name']}"
    for subject in binding.get("subjects") or ():
        for rule in role["rules"]:
            yield Grant(
                subject=_subject(subject, namespace),
                via=via,
                verbs=tuple(sorted(rule["verbs"])),
                names=tuple(sorted(rule["resourceNames"])),
                cluster=binding["kind"] == "ClusterRoleBinding",
            )


def _subject(subject: Manifest, namespace: str) -> str:
    """`<Kind>/<name>`; a service account of another namespace is `<namespace>:<name>`."""
    home = subject.get("namespace") or namespace
    foreign = subject.get("kind") == "ServiceAccount" and home != namespace
    name = f"{home}:{subject.get('name', '')}" if foreign else subject.get("name", "")
    return f"{subject.get('kind', '')}/{name}"


def _reads_secrets(rule: Manifest) -> bool:
    return (
        any(group in ("", "*") for group in rule.get("apiGroups") or ())
        and any(name in ("secrets", "*", "*/*") for name in rule.get("resources") or ())
        and any(verb in READING for verb in rule.get("verbs") or ())
    )
