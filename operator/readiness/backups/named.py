"""The Secrets that backups of a policy name, or of a service of others take, and the command that makes one that is not there. Pure; it sees no contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

PASSWORD: Final = "spec.backups.passwordSecretRef"
PRUNER: Final = "spec.backups.pruneSecretRef"
_RANDOM: Final = (
    '--from-literal=password="$(openssl rand -base64 32)", and keep a copy outside the cluster'
)
_COMMON: Final = "spec.backups."
_LOGIN: Final = "--from-literal=username=… --from-literal=password=…"
_KEYS: Final = {
    "s3": "--from-literal=AWS_ACCESS_KEY_ID=… --from-literal=AWS_SECRET_ACCESS_KEY=…",
    "gcs": "--from-file=credentials.json",
    "sftp": "--from-file=ssh-privatekey --from-file=known_hosts",
    "azure": "--from-literal=AZURE_ACCOUNT_NAME=… --from-literal=AZURE_ACCOUNT_KEY=…",
}


@dataclass(frozen=True, slots=True)
class Named:
    """A Secret, the field that names it, and how its keys are given to kubectl."""

    field: str
    name: str
    keys: str

    def absence(self, namespace: str) -> str:
        """What is told while it is not there."""
        command = f"kubectl -n {namespace} create secret generic {self.name} {self.keys}"
        return f"Secret {self.name}, which {self.field} names, is not there: {command}"


def named_secrets(policy: Mapping[str, Any]) -> tuple[Named, ...]:
    """All of them. Never raises: a spec may be older than its schema."""
    spec = _dict(policy.get("spec"))
    backups = _dict(spec.get("backups"))
    found = (*_named(backups), *(_logins(spec) if backups else ()))
    return tuple(Named(field, name, keys) for field, name, keys in found if isinstance(name, str))


def _named(backups: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    yield PASSWORD, _dict(backups.get("passwordSecretRef")).get("name"), _RANDOM
    for kind, where in _dict(backups.get("destination")).items():
        name, keys = _dict(_dict(where).get("secretRef")).get("name"), _KEYS.get(kind, "")
        yield f"spec.backups.destination.{kind}.secretRef", name, keys
        yield PRUNER, _dict(backups.get("pruneSecretRef")).get("name"), keys


def _logins(spec: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    """By which services of others are dumped."""
    services = spec.get("dataServices")
    for service in map(_dict, services if isinstance(services, list) else ()):
        field, own = f"spec.dataServices[{service.get('name')}]", _dict(service.get("backup"))
        stores = _dict(service.get("external")) if own.get("enabled", True) else {}
        for kind, store in stores.items():
            asked = f"{field}.external.{kind}.secretRef", _dict(_dict(store).get("secretRef"))
            if own.get("secretRef"):
                asked = f"{field}.backup.secretRef", _dict(own["secretRef"])
            yield asked[0], asked[1].get("name"), _LOGIN


def holds_up(absent: Mapping[str, str]) -> bool:
    """Whether nothing can be saved without them, by field: retention alone may wait, and so may one service of others."""
    return any(field.startswith(_COMMON) and field != PRUNER for field in absent)


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
