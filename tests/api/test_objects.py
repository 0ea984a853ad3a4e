"""One table, two judges: what the API server refuses, pydantic refuses, in the same words."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver import ApiServer
from judges import Row, asked_of_pydantic, collection, problems_of, rows

from readiness.api.types import VALIDATIONS
from readiness.crd import KINDS, build_crds

ROWS = list(rows())


def ids(row: Row) -> str:
    return row.name


@pytest.mark.parametrize("row", [r for r in ROWS if r.old is None], ids=ids)
def test_pydantic(row: Row):
    expect(row, asked_of_pydantic(row.kind, row.part, row.body), row.message, by="pydantic")


@pytest.mark.api
@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_the_api_server(row: Row, api_server: ApiServer):
    expect(row, problems_of(submit(api_server, row)), row.server or row.message, by="server")


@pytest.mark.api
@pytest.mark.parametrize("row", [r for r in ROWS if not r.path and r.old is None], ids=ids)
def test_a_defaulted_object_means_what_the_written_one_means(row: Row, api_server: ApiServer):
    model = {kind.name: kind for kind in KINDS}[row.kind].parts[row.part]
    defaulted = submit(api_server, row)[row.part]

    assert model.model_validate(defaulted) == model.model_validate(row.body)


def submit(server: ApiServer, row: Row) -> dict[str, Any]:
    path, strict = collection(row.kind), {"fieldValidation": "Strict"}
    if row.old is None:
        return server.request("POST", path, row.manifest, dryRun="All", **strict)
    made = server.request("POST", path, row.manifest | {"spec": row.old}, **strict)
    try:
        new = row.manifest | {"metadata": made["metadata"]}
        return server.request("PUT", f"{path}/row", new, dryRun="All", **strict)
    finally:
        server.request("DELETE", f"{path}/row")


def expect(row: Row, problems: list[tuple[str, str]], message: str, *, by: str) -> None:
    if not row.path or row.only not in ("", by):
        assert problems == []
        return
    said = [text for path, text in problems if path == row.path]
    assert said, f"nothing about {row.path}: {problems}"
    assert any(message in text for text in said), said


def test_every_rule_refuses_a_row():
    """The rules of the written parts; what refuses nothing here is not known to work."""
    messages = [row.message for row in ROWS]
    silent = [
        rule
        for crd in build_crds().values()
        for rule in texts(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        if not any(rule.startswith(m.partition('": ')[2] or m) or m in rule for m in messages if m)
    ]

    assert silent == []


def texts(node: Any) -> list[str]:
    if isinstance(node, list):
        return [text for item in node for text in texts(item)]
    if not isinstance(node, dict):
        return []
    own = [rule["message"] for rule in node.get(VALIDATIONS, ())]
    return own + [text for value in node.values() for text in texts(value)]
