"""Secrets that backups name, and what is told of those that are not there."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.backups.named import PRUNER, holds_up, named_secrets

PASSWORD = {"passwordSecretRef": {"name": "p"}}


@pytest.mark.parametrize(
    ("backups", "expected"),
    [
        (None, {}),
        ("soon", {}),
        (PASSWORD, {"passwordSecretRef": "--from-literal=password="}),
        (PASSWORD | {"destination": {"volume": {"claimName": "c"}}}, {"passwordSecretRef": "--from-literal=password="}),
        ({"destination": {"gcs": {"secretRef": {"name": "g"}}}}, {"destination.gcs.secretRef": "generic g --from-file=credentials.json"}),
        ({"destination": {"azure": {"secretRef": {"name": "a"}}}, "pruneSecretRef": {"name": "q"}},
         {"destination.azure.secretRef": "generic a --from-literal=AZURE_ACCOUNT_NAME", "pruneSecretRef": "generic q --from-literal=AZURE_ACCOUNT_NAME"}),
        ({"destination": {"s3": "here"}, "passwordSecretRef": {"name": 7}}, {}),
    ],
)  # fmt: skip
def test_every_secret_is_named_with_its_command(backups: Any, expected: dict[str, str]):
    found = {each.field: each.absence("shop") for each in named_secrets({"spec": {"backups": backups}})}  # fmt: skip

    assert found.keys() == {f"spec.backups.{field}" for field in expected}
    for field, words in expected.items():
        told = found[f"spec.backups.{field}"]
        assert words in told
        assert "kubectl -n shop create secret generic" in told


@pytest.mark.parametrize(
    ("absent", "expected"), [({}, False), ({PRUNER: "…"}, False), ({"spec.backups.passwordSecretRef": "…"}, True)]
)  # fmt: skip
def test_retention_alone_may_wait(absent: dict[str, str], expected: bool):
    assert holds_up(absent) is expected
