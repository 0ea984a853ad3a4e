"""CRDs from the models: one walk that inlines, drops what a CRD may not say, and adds the frame.

pydantic emits JSON Schema; an API server wants a *structural* schema. Keywords that are neither
kept nor knowingly dropped are an error here, not a surprise in the cluster. Pure: manifests and
text come out, who writes them to `crds/` is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from readiness.api.policy import PolicySpec
from readiness.api.profile import ProfileSpec
from readiness.api.status import PolicyStatus, ReportBody
from readiness.api.types import Schema
from readiness.api.waiver import WaiverSpec
from readiness.model import Manifest
from readiness.naming import GROUP, VERSION

HEADER: Final = "# Generated from operator/readiness/api by `readiness crd`. Do not edit.\n"
_KEPT: Final = frozenset(
    ("description", "type", "enum", "format", "pattern", "required", "properties", "items")
) | {f"{bound}{of}" for bound in ("min", "max") for of in ("imum", "Length", "Items", "Properties")}
_DROPPED: Final = frozenset(("title", "default", "additionalProperties", "anyOf", "const", "$defs"))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; `wide` ones only with `-o wide`."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False

    def as_manifest(self) -> Manifest:
        """The entry of `additionalPrinterColumns`."""
        return {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
            **({"priority": 1} if self.wide else {}),
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of the API: its names, scope, and the models of its parts."""

    name: str
    plural: str
    short: str
    description: str
    parts: Mapping[str, type[Schema]]
    columns: tuple[Column, ...]
    namespaced: bool = True

    @property
    def filename(self) -> str:
        """The file below `crds/`."""
        return f"{GROUP}_{self.plural}.yaml"


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


_AGE: Final = Column("AGE", ".metadata.creationTimestamp", "Time since creation.", "date")
KINDS: Final = (
    Kind(
        "ReadinessPolicy",
        "readinesspolicies",
        "rdy",
        "What must hold for the workloads of an application before, and while, it serves users; "
        "the operator writes the verdict into its status.",
        {"spec": PolicySpec, "status": PolicyStatus},
        (
            Column("READY", _condition("Ready", "status"), "Accepted and evaluated."),
            Column("COMPLIANT", _condition("Compliant", "status"), "The verdict."),
            Column("LEVEL", ".status.level", "Highest severity that holds with all above."),
            Column("FAIL", ".status.summary.fail", "Findings that fail.", "integer"),
            Column("COVERAGE", ".status.coverage", "Judged of applicable findings."),
            Column("REASON", _condition("Compliant", "reason"), "Why the verdict is what it is."),
            Column("ENFORCEMENT", ".spec.enforcement", "Who follows the verdict.", wide=True),
            Column("VALID-UNTIL", ".status.validUntil", "End of the verdict's life.", wide=True),
            Column(
                "MESSAGE", _condition("Compliant", "message"), "The verdict in words.", wide=True
            ),
            _AGE,
        ),
    ),
    Kind(
        "ReadinessReport",
        "readinessreports",
        "rdr",
        "Every finding on one target of a policy with its evidence; written by the operator.",
        {"report": ReportBody},
        (
            Column("TARGET", ".report.target", "Target of the policy."),
            Column("COMPLIANT", ".report.compliant", "The verdict on the target."),
            Column("FAIL", ".report.fail", "Findings that fail.", "integer"),
            Column("UNKNOWN", ".report.unknown", "Findings that are unproven.", "integer"),
            Column("POLICY", ".report.policy", "The policy.", wide=True),
            Column("WORKLOAD", ".report.workload", "The workload.", wide=True),
            _AGE,
        ),
    ),
    Kind(
        "ReadinessWaiver",
        "readinesswaivers",
        "rdw",
        "An approved, expiring exception from exact controls for exact targets; whoever may create "
        "one approves it. The controls still run.",
        {"spec": WaiverSpec},
        (
            Column("POLICY", ".spec.policyRef", "The policy it belongs to."),
            Column("CONTROLS", ".spec.controls", "The excused controls."),
            Column("OWNER", ".spec.owner", "Who answers for it."),
            Column("EXPIRES", ".spec.expires", "When it ends."),
            Column("REASON", ".spec.reason", "Why it is acceptable.", wide=True),
            _AGE,
        ),
    ),
    Kind(
        "ReadinessProfile",
        "readinessprofiles",
        "rdp",
        "An organisation's own list of controls, and the floor that no policy may weaken.",
        {"spec": ProfileSpec},
        (Column("DESCRIPTION", ".spec.description", "What it is for."), _AGE),
        namespaced=False,
    ),
)


def build_crds() -> dict[str, Manifest]:
    """File name below `crds/` → CustomResourceDefinition, for all kinds."""
    return {kind.filename: _build_crd(kind) for kind in KINDS}


class _Repeating(yaml.SafeDumper):
    """Writes a part that stands in several places there, instead of a reference to the first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render_crd(crd: Manifest) -> str:
    """The text of the committed file."""
    body = yaml.dump(crd, Dumper=_Repeating, sort_keys=False, allow_unicode=True, width=100)
    return f"{HEADER}---\n{body}"


def _build_crd(kind: Kind) -> Manifest:
    version: Manifest = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object_schema(kind)},
        **({"subresources": {"status": {}}} if "status" in kind.parts else {}),
        "additionalPrinterColumns": [column.as_manifest() for column in kind.columns],
    }
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": [kind.short],
        "categories": ["readiness"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
    }


def _object_schema(kind: Kind) -> Manifest:
    parts = {part: _part_schema(model, part) for part, model in kind.parts.items()}
    return {
        "description": kind.description,
        "type": "object",
        "required": [part for part in parts if part != "status"],
        "properties": {
            "apiVersion": {"description": f"{GROUP}/{VERSION}", "type": "string"},
            "kind": {"description": kind.name, "type": "string"},
            "metadata": {"type": "object"},
            **parts,
        },
    }


def _part_schema(model: type[Schema], part: str) -> Manifest:
    """Only a spec is defaulted by the API server: what we write must come back as it was."""
    raw = model.model_json_schema(by_alias=True)
    return _Structural(raw.get("$defs", {}), defaults=part == "spec").convert(raw)


def _words(default: Any) -> str:
    """`kubectl explain` shows no defaults: the description has to."""
    return ", ".join(map(str, default)) if isinstance(default, list) else str(default).lower()


@dataclass(frozen=True, slots=True)
class _Structural:
    """The walk from JSON Schema to a structural schema."""

    definitions: Mapping[str, Manifest]
    defaults: bool

    def convert(self, node: Manifest) -> Manifest:
        node = self._resolve(node)
        found: Manifest = dict(self._keywords(node))
        if "properties" in node:
            found["properties"] = {k: self.convert(v) for k, v in node["properties"].items()}
        if "items" in node:
            found["items"] = self.convert(node["items"])
        if isinstance(values := node.get("additionalProperties"), dict):
            found["additionalProperties"] = self.convert(values)
        elif values is True:
            found["x-kubernetes-preserve-unknown-fields"] = True
        return found | self._default(node, found)

    def _resolve(self, node: Manifest) -> Manifest:
        """Without `$ref` and null arm. What stands beside a reference wins."""
        beside = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
        if "$ref" in node:
            target = self.definitions[node["$ref"].rpartition("/")[2]]
            return self._resolve(target | beside)
        if "anyOf" not in node or "x-kubernetes-int-or-string" in node:
            return beside
        (arm,) = (arm for arm in node["anyOf"] if arm != {"type": "null"})
        return self._resolve(arm | beside)

    @staticmethod
    def _keywords(node: Manifest) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            if key in _KEPT or key.startswith("x-kubernetes-"):
                yield key, value
            elif key not in _DROPPED:
                raise ValueError(f"{key!r} cannot stand in a CRD")
        if "const" in node:
            yield "enum", [node["const"]]

    def _default(self, node: Manifest, found: Manifest) -> Manifest:
        """Leaf defaults; `{}` for an object that would gain one inside; nothing for emptiness."""
        default = node.get("default")
        if not self.defaults or default in (None, [], ""):
            return {}
        if not isinstance(default, dict):
            text = f"{found['description']} Default: {_words(default)}."
            return {"default": default, "description": text}
        inner = any("default" in child for child in found.get("properties", {}).values())
        return {"default": {}} if inner else {}
