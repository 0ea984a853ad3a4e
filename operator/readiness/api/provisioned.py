"""What is declared for every data service that the operator provides, whatever its kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from readiness.api.external import SecretRef
from readiness.api.formats import ObjectName, matching
from readiness.api.types import Count, Flag, Schema, keyed, scalar_set

Bytes = Annotated[
    str,
    StringConstraints(max_length=16),
    matching(
        r"^[1-9][0-9]{0,11}(Mi|Gi|Ti)$", "must be a whole number of Mi, Gi or Ti, such as 10Gi"
    ),
]
Cpu = Annotated[
    str,
    StringConstraints(max_length=16),
    matching(
        r"^[1-9][0-9]{0,11}m?$", "must be a number of CPUs or of thousandths, such as 2 or 500m"
    ),
]
Image = Annotated[
    str,
    StringConstraints(max_length=512),
    matching(
        r"^[a-z0-9]([A-Za-z0-9._:/@-]*[A-Za-z0-9])?$",
        "must be an image such as registry.example.com/redis:7.4 or …@sha256:…",
    ),
]
Directive = Annotated[
    str,
    StringConstraints(max_length=128),
    matching(
        r"^[A-Za-z][A-Za-z0-9._-]*$",
        "must be the name of a setting of the server, such as maxmemory-policy",
    ),
]
OneLine = Annotated[
    str, StringConstraints(max_length=512), matching(r"^[ -~]*$", "must be one line of ASCII")
]  # fmt: skip
Unsafe = Literal["FewerThanThree", "EvenMembers", "Shrink", "UnknownSetting"]


class Amounts(Schema):
    """CPU and memory."""

    cpu: Cpu | None = Field(None, description="CPUs, such as 500m.")
    memory: Bytes | None = Field(None, description="Memory, such as 512Mi.")


class Resources(Schema):
    """What one member is given."""

    requests: Amounts = Field(
        Amounts(), description="What the scheduler reserves. Default: the kind's own."
    )
    limits: Amounts = Field(
        Amounts(),
        description="What it may not exceed. Default: the kind's own memory limit, no CPU limit.",
    )


class Override(Schema):
    """One setting of the server."""

    name: Directive = Field(description="Name, as the server's own configuration file has it.")
    value: OneLine = Field(description="Value, likewise.")


class Tls(Schema):
    """Encryption of everything that a data service says: to applications, and among its members."""

    secret_ref: SecretRef = Field(
        description="Secret with `tls.crt`, `tls.key` and `ca.crt`, as cert-manager makes it. Its certificate is for "
        "every name of the service; `Provisioned` says which, if one is missing. A renewed one is taken up by itself."
    )


class Monitoring(Schema):
    """How Prometheus finds what a data service measures of itself."""

    service_monitor: Flag = Field(
        False,
        description="Make a ServiceMonitor, for a Prometheus operator. Where its CRD is not installed, the row says "
        "`MonitorNotServed`, and nothing waits for it.",
    )


class Provisioned(Schema):
    """A data service that the operator provides: the fields that every kind has."""

    replicas: Annotated[Count, Field(ge=1, le=7)] = Field(3, description="Members that hold data.")
    storage: Bytes = Field(
        "1Gi", description="Size of each member's volume. It can grow, never shrink."
    )
    storage_class: ObjectName | None = Field(
        None, description="StorageClass of the volumes. Default: the cluster's default class."
    )
    resources: Resources = Field(Resources(), description="What one member is given.")
    image: Image | None = Field(
        None, description="Image of the server. Default: the operator's setting for this kind."
    )
    config: Annotated[tuple[Override, ...], *keyed("name")] = Field(
        (),
        max_length=50,
        description="Settings of the server on top of the operator's. One that the operator has to set itself is "
        "refused by name.",
    )
    metrics: Monitoring = Field(
        Monitoring(), description="How Prometheus finds what it measures of itself."
    )
    unsafe: Annotated[tuple[Unsafe, ...], *scalar_set()] = Field(
        (),
        max_length=8,
        description="What would be refused and is wanted all the same, by the reason of the refusal. FewerThanThree: "
        "fewer members than survive the loss of one. EvenMembers: a number of votes that can tie. Shrink: removing "
        "members. UnknownSetting: a setting that the operator has not heard of.",
    )


class Encryptable(Provisioned):
    """One that can be told to speak TLS only."""

    tls: Tls | None = Field(
        None,
        description="TLS, and nothing else, on every port. It is decided when the service is created. Default: "
        "no TLS.",
    )
