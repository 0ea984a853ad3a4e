"""The tables of this directory as values, and how both judges are asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from readiness.api.errors import explain
from readiness.crd import KINDS

HERE = Path(__file__).parent
BY_NAME = {kind.name: kind for kind in KINDS}
Manifest = dict[str, Any]
Problems = list[tuple[str, str]]


@dataclass(frozen=True)
class Row:
    name: str
    kind: str
    part: str
    body: Any
    old: Any = None
    path: str = ""
    message: str = ""
    server: str = ""
    only: str = ""

    @property
    def manifest(self) -> Manifest:
        return manifest(self.kind, self.part, self.body)


def manifest(kind: str, part: str, body: Any) -> Manifest:
    return {
        "apiVersion": "readiness.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "row"},
        part: body,
    }


def rows() -> Iterator[Row]:
    for given in yaml.safe_load((HERE / "objects.yaml").read_text()):
        row = dict(given)
        kind = row.pop("kind", "ReadinessPolicy")
        part = "report" if "report" in row else "spec"
        target = row.pop("target", None)
        body = row.pop(part, None)
        if target is not None:
            standing = {"name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}}
            body = {"targets": [standing | target]}
        yield Row(kind=kind, part=part, body=body, **row)


def documents() -> dict[str, Manifest]:
    """The full object of each kind."""
    found = yaml.safe_load_all((HERE / "full.yaml").read_text())
    return {document["kind"]: document for document in found}


def full(kind: str) -> tuple[str, Any]:
    """The part of a kind that people or the operator write, with every field set."""
    document = documents()[kind]
    part = "report" if "report" in document else "spec"
    return part, document[part]


def asked_of_pydantic(kind: str, part: str, body: Any) -> Problems:
    try:
        BY_NAME[kind].parts[part].model_validate(body, extra="forbid")
    except ValidationError as error:
        return explain(error, part)
    return []


def collection(kind: str) -> str:
    scope = "namespaces/default/" if BY_NAME[kind].namespaced else ""
    return f"/apis/readiness.dev/v1alpha1/{scope}{BY_NAME[kind].plural}"


def problems_of(answer: Manifest) -> Problems:
    """(path, message) of a refusal; nothing for an accepted object."""
    if answer["kind"] != "Status":
        return []
    unknown = re.findall(r'unknown field "([^"]*)"', answer["message"])
    causes = (answer.get("details") or {}).get("causes") or []
    found = [(path, "unknown field") for path in unknown]
    found += [(cause["field"], cause["message"]) for cause in causes]
    assert found, answer
    return found
