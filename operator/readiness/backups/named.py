"""The Secrets that backups of a policy name, and the command that makes one that is not there. Pure; it sees no contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

PASSWORD: Final = "spec.backups.passwordSecretRef"
PRUNER: Final = "spec.backups.pruneSecretRef"
_RANDOM: Final = (
    '--from-literal=password="$(openssl rand -base64 32)", and keep a copy outside the cluster'
)
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
    backups = _dict(_dict(policy.get("spec")).get("backups"))
    return tuple(Named(field, name, keys) for field, name, keys in _named(backups) if isinstance(name, str))  # fmt: skip


def _named(backups: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    yield PASSWORD, _dict(backups.get("passwordSecretRef")).get("name"), _RANDOM
    for kind, where in _dict(backups.get("destination")).items():
        name, keys = _dict(_dict(where).get("secretRef")).get("name"), _KEYS.get(kind, "")
        yield f"spec.backups.destination.{kind}.secretRef", name, keys
        yield PRUNER, _dict(backups.get("pruneSecretRef")).get("name"), keys


def holds_up(absent: Mapping[str, str]) -> bool:
    """Whether nothing can be saved without them, by field: retention alone may wait."""
    return bool(absent.keys() - {PRUNER})


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
