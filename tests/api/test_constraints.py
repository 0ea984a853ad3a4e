"""Every constraint of every kind, just met and just missed: both judges agree, and on the place."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver import ApiServer
from judges import asked_of_pydantic, collection, documents, full, manifest, problems_of
from mutations import Mutation, dotted, mutations

from readiness.crd import KINDS, build_crds

SCHEMAS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in build_crds().values()
}
WRITTEN = [(kind.name, *full(kind.name)) for kind in KINDS]
STATUS = ("ReadinessPolicy", "status", documents()["ReadinessPolicy"]["status"])
ALTERNATIVES = {f".backups.destination.{name}" for name in ("gcs", "azure", "sftp", "volume")}
"""Of these exactly one may be set, and the full object has another; rows of objects.yaml set them."""
CASES = [
    pytest.param(kind, part, mutation, id=f"{kind}.{part}.{mutation}")
    for kind, part, body in WRITTEN
    for mutation in mutations(SCHEMAS[kind]["properties"][part], body)
]


@pytest.mark.parametrize(("kind", "part", "body"), [*WRITTEN, STATUS])
def test_the_full_object_sets_every_field(kind: str, part: str, body: Any):
    assert set(unset(SCHEMAS[kind]["properties"][part], body)) - ALTERNATIVES == set()
    assert asked_of_pydantic(kind, part, body) == []


@pytest.mark.parametrize(("kind", "part", "mutation"), CASES)
def test_pydantic(kind: str, part: str, mutation: Mutation):
    expect(mutation, part, asked_of_pydantic(kind, part, mutation.applied(full(kind)[1])))


@pytest.mark.api
@pytest.mark.parametrize(("kind", "part", "mutation"), CASES)
def test_the_api_server(kind: str, part: str, mutation: Mutation, api_server: ApiServer):
    body = manifest(kind, part, mutation.applied(full(kind)[1]))
    answer = api_server.request(
        "POST", collection(kind), body, dryRun="All", fieldValidation="Strict"
    )

    expect(mutation, part, problems_of(answer))


def expect(mutation: Mutation, part: str, problems: list[tuple[str, str]]) -> None:
    if mutation.holds:
        assert problems == []
    else:
        assert dotted((part, *mutation.blamed)) in [path for path, _ in problems], problems


def unset(schema: Any, value: Any, at: str = "") -> list[str]:
    """Fields of the schema that the value leaves out; of a list's items, each in one is enough."""
    if "items" in schema:
        left = [unset(schema["items"], item, f"{at}[]") for item in value]
        return sorted(set(left[0]).intersection(*left[1:])) if left else [at]
    found = []
    for name, child in schema.get("properties", {}).items():
        found += unset(child, value[name], f"{at}.{name}") if name in value else [f"{at}.{name}"]
    return found
