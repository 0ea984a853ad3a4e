"""ReadinessPolicy: the one mandatory object, written by the application team."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from readiness.api.backups import Backups
from readiness.api.dataservice import DataService
from readiness.api.formats import ControlId, MaxAge, Name, ObjectName, Regex, matching
from readiness.api.safety import Environment, OptIn
from readiness.api.target import Target
from readiness.api.types import Flag, Rule, Schema, atomic, keyed, scalar_set

WorkloadKey = Annotated[
    str,
    StringConstraints(max_length=265),
    matching(
        r"^(Deployment|StatefulSet|DaemonSet|Rollout)/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "must be Deployment/, StatefulSet/, DaemonSet/ or Rollout/ and the name of the workload",
    ),
]
SubjectKey = Annotated[
    str,
    StringConstraints(max_length=320),
    matching(
        r"^(ServiceAccount|Group|User)/.+$",
        "must be ServiceAccount/, Group/ or User/ and the name of the subject",
    ),
]


class ControlSetting(Schema):
    """How this policy treats one control."""

    id: ControlId = Field(description="Stable id of the control, for example HDR-003.")
    mode: Literal["off", "audit", "enforce"] | None = Field(
        None,
        description="off: not looked at. audit: looked at and reported, does not count. "
        "enforce: counts in the verdict. Default: what the profiles say.",
    )
    severity: Literal["P0", "P1", "P2", "P3"] | None = Field(
        None, description="Overrides the severity the profiles give this control."
    )
    max_age: MaxAge | None = Field(
        None, description="How old evidence may grow before the result becomes Unknown/Stale."
    )
    params: dict[str, Any] | None = Field(
        None,
        max_length=20,
        description="Parameters of the control, as `readiness explain <id>` lists them.",
    )


class Exemption(Schema):
    """A workload of the namespace that this policy deliberately does not target."""

    ref: WorkloadKey = Field(description="`<Kind>/<name>` of the workload.")
    reason: Annotated[str, Field(min_length=10, max_length=500)] = Field(
        description="Why it needs no readiness verdict, in a sentence."
    )


class ForbiddenValue(Schema):
    """A name and value that must not stand in an environment variable."""

    name: Regex = Field(
        description="Simple regular expression for the variable's name, matched whole, case-insensitive."
    )
    pattern: Regex = Field(
        description="Simple regular expression searched in the variable's value, case-insensitive."
    )
    environments: Annotated[tuple[Environment, ...], *scalar_set()] = Field(
        ("prod",), max_length=3, description="Environments in which the value is forbidden."
    )


class Configuration(Schema):
    """What the policy says about configuration, for the CFG family."""

    forbidden: Annotated[tuple[ForbiddenValue, ...], *atomic()] = Field(
        (),
        max_length=50,
        description="Values forbidden in addition to the built-in list (wildcard CORS origins, test mode, debug).",
    )


class SecretAccess(Schema):
    """Who may read the Secrets of this namespace, for SEC-009."""

    readers: Annotated[tuple[SubjectKey, ...], *scalar_set()] = Field(
        (),
        max_length=50,
        description="Subjects that may read Secrets, as `<Kind>/<name>`: `ServiceAccount/checkout`, "
        "`Group/platform-team`. Cluster administrators need not be listed.",
    )


class PolicySpec(Schema):
    """What must hold for the targets, and what follows when it does not."""

    profiles: Annotated[tuple[ObjectName, ...], *scalar_set()] = Field(
        ("baseline",),
        max_length=16,
        description="Lists of controls to apply: built-in ones (`readiness controls`) or names of "
        "ReadinessProfiles. Later ones overlay earlier ones.",
    )
    enforcement: Literal["audit", "enforce"] = Field(
        "audit",
        description="audit: the verdict is reported. enforce: Argo CD health and `readiness gate` follow it.",
    )
    environment: Environment = Field(
        "prod", description="Which environment this is; some values are unsafe only in prod."
    )
    suspend: Flag = Field(
        False, description="Stop looking; the last verdict stands until validUntil."
    )
    targets: Annotated[tuple[Target, ...], *keyed("name")] = Field(
        (), max_length=50, description="The workloads to judge, each with what is known about it."
    )
    data_services: Annotated[tuple[DataService, ...], *keyed("name")] = Field(
        (), max_length=16, description="The data services that targets use."
    )
    backups: Backups | None = Field(
        None, description="Backups of the data services. Default: there are none."
    )
    deletion_policy: Literal["Retain", "Delete"] = Field(
        "Retain",
        description="What becomes of provided data services when this policy is deleted. Retain: they go on running, "
        "and the same policy applied again takes them back. Delete: they and their volumes are deleted.",
    )
    safety: OptIn = Field(OptIn(), description="What the policy opts in to.")
    controls: Annotated[tuple[ControlSetting, ...], *keyed("id")] = Field(
        (), max_length=300, description="Settings of single controls, on top of the profiles."
    )
    exempt: Annotated[tuple[Exemption, ...], *keyed("ref")] = Field(
        (), max_length=200, description="Workloads of this namespace that need no target (GAT-004)."
    )
    config: Configuration = Field(
        Configuration(), description="Rules for configuration values, read by CFG-003."
    )
    secrets: SecretAccess = Field(
        SecretAccess(), description="Rules for access to Secrets, read by SEC-009."
    )
    rules = (
        Rule(
            cel="!has(self.targets) || self.targets.all(a, self.targets.exists_one(b, "
            "has(a.workloadRef) == has(b.workloadRef) && "  # an older object may lack it
            "(!has(a.workloadRef) || a.workloadRef == b.workloadRef) && has(a.container) == has(b.container) && "
            "(!has(a.container) || a.container == b.container)))",
            message="two targets judge the same container of the same workload: remove one, "
            "or give each its own container",
            holds=lambda spec: (
                len({(t.workload_ref, t.container) for t in spec.targets}) == len(spec.targets)
            ),
            field="targets",
        ),
        Rule(
            cel="has(self.backups) || !has(self.dataServices) || "
            "self.dataServices.all(s, !has(s.backup) || (has(s.backup.enabled) && !s.backup.enabled))",
            message="a data service is to be backed up, and nothing says where to: declare spec.backups, or set its "
            "backup.enabled to false",
            holds=lambda spec: (
                spec.backups is not None
                or not any(s.backup is not None and s.backup.enabled for s in spec.data_services)
            ),
            field="data_services",
        ),
        Rule(
            cel="!has(self.backups) || !has(self.backups.volumes) || !has(self.dataServices) || "
            "!self.backups.volumes.exists(v, self.dataServices.exists(s, s.name == v.name))",
            message="a volume of spec.backups.volumes has the name of a data service: their backups would be one",
            holds=lambda spec: (
                spec.backups is None
                or not {v.name for v in spec.backups.volumes} & {s.name for s in spec.data_services}
            ),
            field="backups",
        ),
        Rule(
            cel="!has(self.targets) || self.targets.all(t, !has(t.uses) || t.uses.all(name, "
            "has(self.dataServices) && self.dataServices.exists(s, s.name == name)))",
            message="uses names a data service that spec.dataServices does not hold: declare it there",
            holds=lambda spec: (
                {name for t in spec.targets for name in t.uses}
                <= {service.name for service in spec.data_services}
            ),
            field="targets",
        ),
        Rule(
            cel="!has(self.targets) || !has(self.dataServices) || "
            "!self.dataServices.exists(s, self.targets.exists(t, t.name == s.name))",
            message="a data service has the name of a target: findings and waivers could not tell them apart",
            holds=lambda spec: (
                not {t.name for t in spec.targets}
                & {service.name for service in spec.data_services}
            ),
            field="data_services",
        ),
    )


class ReadinessPolicy(Schema):
    """A policy as it stands in a manifest file."""

    api_version: Literal["readiness.dev/v1alpha1"]
    kind: Literal["ReadinessPolicy"]
    metadata: dict[str, Any]
    spec: PolicySpec


__all__ = [
    "Configuration", "ControlSetting", "Environment", "Exemption", "ForbiddenValue", "Name", "OptIn",
    "PolicySpec", "ReadinessPolicy", "Rule", "SecretAccess",
]  # fmt: skip
