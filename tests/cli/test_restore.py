"""Where `readiness restore` finds the new instance that it is to fill."""

from __future__ import annotations

import pytest

from readiness.cli.console import UsageError
from readiness.cli.kube import declaring
from readiness.cli.restore import build_parser, target_of
from readiness.model import Manifest
from readiness.naming import RESTORED_FROM

STORE = ("--namespace=shop", "--policy=checkout", "--service=cache", "--repository=/repository")


@pytest.mark.parametrize(
    ("kind", "words", "found"),
    [
        ("redis", (), "cache:6379"),
        ("redis", ("--authority=ca.crt",), "cache:6379"),
        ("mongodb", (), "cache:27017"),
        ("rabbitmq", (), "cache:15672"),
        ("rabbitmq", ("--authority=ca.crt",), "cache:15671"),
        ("rabbitmq", ("--authority=ca.crt", "--into=cache:443"), "cache:443"),
    ],
)
def test_it_is_looked_for_where_its_kind_listens(kind: str, words: tuple[str, ...], found: str):
    args = build_parser("readiness restore", "Restore.").parse_args(
        [*STORE, f"--kind={kind}", "--into=cache", *words]
    )

    assert str(target_of(args)) == found


def declared_by(*policies: str) -> list[Manifest]:
    """Policies with a data service `cache`; the name of a copy that a restore has made begins so."""
    return [
        {
            "metadata": {"name": name, "labels": {RESTORED_FROM: "x"} if name.startswith("copy") else {}},
            "spec": {"dataServices": [{"name": "orders" if name == "other" else "cache"}]},
        }
        for name in policies
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("policies", "found"),
    [(("checkout",), "checkout"), (("checkout", "copy"), "checkout"), (("copy", "other"), "copy")],
)
def test_of_a_service_and_its_copy_the_original_is_meant(policies: tuple[str, ...], found: str):
    assert declaring(declared_by(*policies), "cache", "shop")["metadata"]["name"] == found


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        (("other",), "declares a data service 'cache'"),
        (("checkout", "twin", "copy"), "several policies declare 'cache': checkout, twin"),
        (("copy-1", "copy-2"), "several policies declare 'cache': copy-1, copy-2"),
    ],
)
def test_a_service_of_nobody_or_of_several_is_refused(policies: tuple[str, ...], says: str):
    with pytest.raises(UsageError, match=says):
        declaring(declared_by(*policies), "cache", "shop")
