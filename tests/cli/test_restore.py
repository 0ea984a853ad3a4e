"""Where `readiness restore` finds the new instance that it is to fill."""

from __future__ import annotations

import pytest

from readiness.cli.restore import build_parser, target_of

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
