"""What a policy declares about backups: where to, how often, how long they are kept."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from readiness.api.external import Host, PortNumber, SecretRef
from readiness.api.formats import HOST_PATTERN, Name, ObjectName, Schedule, TimeZone, matching
from readiness.api.provisioned import Bytes, Image
from readiness.api.types import Count, Flag, Rule, Schema, keyed

Bucket = Annotated[
    str,
    StringConstraints(max_length=63),
    matching(
        r"^[a-z0-9][a-z0-9._-]*[a-z0-9]$",
        "must be the name of a bucket or container: lower-case letters, digits, '-', '.' and '_'",
    ),
]
Prefix = Annotated[
    str,
    StringConstraints(max_length=200),
    matching(
        r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$",
        "must be a path such as clusters/prod, without a '/' at either end",
    ),
]
Endpoint = Annotated[
    str,
    StringConstraints(max_length=253),
    matching(HOST_PATTERN, "must be an http or https address such as https://s3.example.com"),
]
Region = Annotated[
    str,
    StringConstraints(max_length=63),
    matching(r"^[A-Za-z0-9-]+$", "must be the name of a region, such as eu-west-1"),
]
Login = Annotated[
    str,
    StringConstraints(max_length=32),
    matching(r"^[a-z_][a-z0-9_-]*$", "must be the name of a user such as backup"),
]
Directory = Annotated[
    str,
    StringConstraints(max_length=200),
    matching(
        r"^/?[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$",
        "must be a directory such as /srv/backups, or backups below that of the login",
    ),
]
LabelValue = Annotated[str, StringConstraints(max_length=63)]
Id = Annotated[Count, Field(ge=1, le=2147483647)]
_READ_BY: Final = "The operator never reads it; only the Jobs are given it. A key `ca.crt` is the authority to trust."


class S3(Schema):
    """A bucket that speaks S3."""

    bucket: Bucket = Field(description="Name of the bucket.")
    endpoint: Endpoint = Field("https://s3.amazonaws.com", description="Address of the server.")
    region: Region | None = Field(
        None, description="Region of the bucket. Default: what the server says."
    )
    prefix: Prefix | None = Field(
        None, description="Path in the bucket under which repositories lie."
    )
    secret_ref: SecretRef = Field(
        description=f"Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. {_READ_BY}"
    )


class GCS(Schema):
    """A bucket of Google Cloud Storage."""

    bucket: Bucket = Field(description="Name of the bucket.")
    prefix: Prefix | None = Field(
        None, description="Path in the bucket under which repositories lie."
    )
    secret_ref: SecretRef = Field(
        description=f"Secret with the key `credentials.json` of a service account. {_READ_BY}"
    )


class Azure(Schema):
    """A container of Azure Blob Storage."""

    container: Bucket = Field(description="Name of the container.")
    prefix: Prefix | None = Field(
        None, description="Path in the container under which repositories lie."
    )
    secret_ref: SecretRef = Field(
        description="Secret with the keys AZURE_ACCOUNT_NAME, and AZURE_ACCOUNT_KEY or AZURE_ACCOUNT_SAS. "
        + _READ_BY
    )


class SFTP(Schema):
    """A directory of a server that speaks SFTP."""

    host: Host = Field(description="Name of the server.")
    port: PortNumber = Field(22, description="Its port.")
    user: Login = Field(description="Who logs in, with a key.")
    directory: Directory = Field(
        "backups",
        description="Directory under which repositories lie; one that does not begin with '/' is below that of the login.",
    )
    secret_ref: SecretRef = Field(
        description="Secret with the keys `ssh-privatekey`, without a passphrase, and `known_hosts`, which has the "
        "server's own key: no other server is spoken to. The operator never reads it; only the Jobs are given it."
    )


class Volume(Schema):
    """A volume of this cluster, for development: it goes when the cluster goes (BKP-003)."""

    claim_name: ObjectName = Field(
        description="PersistentVolumeClaim, which every Job has to be able to mount."
    )


class Destination(Schema):
    """Where repositories lie. Each data service has its own, `<prefix>/<namespace>/<policy>/<data service>`."""

    s3: S3 | None = Field(None, description="A bucket that speaks S3.")
    gcs: GCS | None = Field(None, description="A bucket of Google Cloud Storage.")
    azure: Azure | None = Field(None, description="A container of Azure Blob Storage.")
    sftp: SFTP | None = Field(None, description="A server that speaks SFTP.")
    volume: Volume | None = Field(None, description="A volume of this cluster, for development.")
    rules = (
        Rule(
            cel="[has(self.s3), has(self.gcs), has(self.azure), has(self.sftp), has(self.volume)].exists_one(x, x)",
            message="exactly one of s3, gcs, azure, sftp and volume must be set",
            holds=lambda d: (
                sum(x is not None for x in (d.s3, d.gcs, d.azure, d.sftp, d.volume)) == 1
            ),
        ),
    )


class SavedVolume(Schema):
    """A plain volume, of files or SQLite databases: what a workload writes by itself, and no server dumps (BKP-010)."""

    name: Name = Field(description="Name of it, in the repository and the status.")
    claim_name: ObjectName = Field(description="PersistentVolumeClaim. It is mounted read-only.")
    mounted_by: dict[str, LabelValue] = Field(
        {},
        max_length=10,
        description="Labels of the pods that mount it: the Job runs on their node, as a ReadWriteOnce volume needs.",
    )
    user: Id = Field(65532, description="User that the files belong to: runAsUser of those pods.")
    group: Id = Field(65532, description="Group that the files belong to: fsGroup of those pods.")
    scratch: Bytes = Field(
        "10Gi",
        description="Size of the volume that files are copied to: twice as large as they are.",
    )
    storage_class: ObjectName | None = Field(
        None, description="StorageClass of that one. Default: the cluster's."
    )


class Retention(Schema):
    """How many snapshots are kept; the union of all three."""

    daily: Annotated[Count, Field(ge=1, le=400)] = Field(
        30, description="Days of which the newest snapshot is kept, counted in UTC."
    )
    monthly: Annotated[Count, Field(ge=0, le=120)] = Field(
        12, description="Months of which the newest snapshot is kept."
    )
    keep_last: Annotated[Count, Field(ge=3, le=400)] = Field(
        3, description="How many of the newest are kept, whenever they were made."
    )


class RestoreDrill(Schema):
    """Snapshots restored into a throw-away server, on purpose and regularly."""

    schedule: Schedule = Field(
        "0 4 * * 0",
        description="When, as cron has it; the minute is moved as that of the backups. A success is valid for 8 days.",
    )


class Backups(Schema):
    """Backups of every data service that the operator provides, unless its `backup.enabled` is false."""

    destination: Destination = Field(description="Where to.")
    password_secret_ref: SecretRef | None = Field(
        None,
        description="Secret whose key `password` encrypts the repositories. Required. Whoever loses it has lost the "
        "backups: keep a copy outside the cluster.",
    )
    prune_secret_ref: SecretRef | None = Field(
        None,
        description="Secret, as the destination's, of another identity that may also delete: retention uses it. Default: "
        "the destination's own.",
    )
    schedule: Schedule = Field(
        "0 2 * * *",
        description="When, as cron has it. A plain minute is moved, by up to the rest of its hour, always by the same "
        "amount for a policy: so policies do not all start at once.",
    )
    time_zone: TimeZone = Field("Etc/UTC", description="Time zone of the schedules.")
    retention: Retention = Field(Retention(), description="How many snapshots are kept.")
    volumes: Annotated[tuple[SavedVolume, ...], *keyed("name")] = Field(
        (), max_length=16, description="Plain volumes that are saved, too."
    )
    restore_drill: RestoreDrill = Field(
        RestoreDrill(), description="How it is proved that backups can be restored."
    )
    rules = (
        Rule(
            cel="has(self.passwordSecretRef)",
            message="passwordSecretRef must name a Secret, and without one there are no backups: kubectl create secret "
            'generic backup-password --from-literal=password="$(openssl rand -base64 32)", and keep a copy outside '
            "the cluster",
            holds=lambda b: b.password_secret_ref is not None,
        ),
    )


class Backup(Schema):
    """What differs for one data service from what spec.backups says."""

    enabled: Flag = Field(True, description="false: it is meant to have no backups.")
    schedule: Schedule | None = Field(
        None, description="When, as cron has it. Default: that of spec.backups."
    )
    retention: Retention | None = Field(
        None, description="How many snapshots are kept. Default: as spec.backups says."
    )
    scratch: Bytes | None = Field(
        None,
        description="Size of the volume that a dump passes through. Default: that of a member's volume, of a MongoDB three times that; of an "
        "external service 10Gi.",
    )
    memory: Bytes | None = Field(
        None,
        description="Memory of the server that loads a dump to verify and to drill it. Default: that of a member, of an external service 1Gi.",
    )
    image: Image | None = Field(
        None,
        description="Only of an external service: image of its server, of the same or a newer release, whose own tools dump and load. Default: "
        "that of the operator's settings.",
    )
    secret_ref: SecretRef | None = Field(
        None,
        description="Only of an external service: Secret of a login of the backups' own, keys `username`, `password` and `ca.crt`; docs/backups.md "
        "says which rights it needs. Default: that of the service.",
    )
