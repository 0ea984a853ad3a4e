"""Where a repository is and what restic must be told to reach it.

Secrets come in as the contents of mounted files and go out as the environment of one process; nothing here is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from readiness.api.backups import Destination

CREDENTIALS_DIR: Final = "/run/readiness/destination"
PASSWORD_DIR: Final = "/run/readiness/password"
PASSWORD_KEY: Final = "password"
VOLUME: Final = "/repository"
"""Where a destination that is a volume is mounted."""
AUTHORITY: Final = "ca.crt"
GOOGLE: Final = "credentials.json"
SSH_KEY: Final = "ssh-privatekey"
SSH_HOSTS: Final = "known_hosts"
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "gs": (GOOGLE,),
    "azure": ("AZURE_ACCOUNT_NAME",),
    "sftp": (SSH_KEY, SSH_HOSTS),
}
"""Keys that a destination's Secret must have, by the scheme of the repository."""
PASSED: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "azure": ("AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY", "AZURE_ACCOUNT_SAS"),
}
"""Keys that become variables; no other key of a Secret does."""


class CredentialsError(ValueError):
    """A Secret lacks what its destination needs; the text names keys, no values."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A restic repository: what `-r` takes, and what else is no secret."""

    url: str
    region: str = ""

    @property
    def scheme(self) -> str:
        """s3, gs, azure, sftp; empty for a directory."""
        head, colon, _ = self.url.partition(":")
        return head if colon else ""


def repository_of(destination: Destination, *store: str) -> Repository:
    """The repository of one store; its path is the namespace, the policy and the data service."""
    path = "/".join(store)
    if (s3 := destination.s3) is not None:
        return Repository(f"s3:{s3.endpoint.rstrip('/')}/{_below(s3.bucket, s3.prefix, path)}", s3.region or "")  # fmt: skip
    if (gcs := destination.gcs) is not None:
        return Repository(f"gs:{gcs.bucket}:/{_below(gcs.prefix, path)}")
    if (azure := destination.azure) is not None:
        return Repository(f"azure:{azure.container}:/{_below(azure.prefix, path)}")
    if (sftp := destination.sftp) is not None:
        return Repository(
            f"sftp://{sftp.user}@{sftp.host}:{sftp.port}/{_below(sftp.directory, path)}"
        )
    return Repository(f"{VOLUME}/{path}")


def secret_of(destination: Destination) -> str:
    """Name of the Secret with a destination's credentials; a volume has none."""
    found = destination.s3 or destination.gcs or destination.azure or destination.sftp
    return found.secret_ref.name if found else ""


def host_of(destination: Destination) -> str:
    """Name of the server; a volume has none."""
    if destination.s3 is not None:
        return urlsplit(destination.s3.endpoint).hostname or ""
    if destination.sftp is not None:
        return destination.sftp.host
    if destination.gcs is not None:
        return "storage.googleapis.com"
    return "blob.core.windows.net" if destination.azure is not None else ""


def port_of(destination: Destination) -> int:
    """Where the server listens."""
    if destination.sftp is not None:
        return int(destination.sftp.port)
    address = urlsplit(destination.s3.endpoint if destination.s3 else "https:")
    return address.port or {"http": 80, "https": 443}[address.scheme]


def is_inside(host: str) -> bool:
    """Whether a name leads to a Service of this cluster: as far as names tell, a short one or one of the cluster's domain."""
    return ("." not in host and ":" not in host) or host.endswith((".svc", ".cluster.local"))


def _below(*parts: str | None) -> str:
    return "/".join(filter(None, parts))


def environment_of(
    repository: Repository, secret: Mapping[str, str], credentials: str, password: str
) -> dict[str, str]:
    """The variables of restic's process. `secret` is what the directory `credentials` holds, `password` a file.

    Raises CredentialsError.
    """
    scheme = repository.scheme
    lacking = [key for key in REQUIRED.get(scheme, ()) if not secret.get(key)]
    if lacking:
        raise CredentialsError(f"the destination's Secret lacks {', '.join(lacking)}")
    found = {"RESTIC_REPOSITORY": repository.url, "RESTIC_PASSWORD_FILE": password}
    found |= {key: secret[key].strip() for key in PASSED.get(scheme, ()) if key in secret}
    if scheme == "gs":
        found["GOOGLE_APPLICATION_CREDENTIALS"] = f"{credentials}/{GOOGLE}"
    if AUTHORITY in secret:
        found["RESTIC_CACERT"] = f"{credentials}/{AUTHORITY}"
    if repository.region:
        found["AWS_DEFAULT_REGION"] = repository.region
    return found


def options_of(repository: Repository, credentials: str, log: str) -> tuple[str, ...]:
    """What restic is told on its command line: how ssh logs in, with this key only and to the server of that key only; where it says why not."""
    if repository.scheme != "sftp":
        return ()
    said = {
        "BatchMode": "yes", "IdentitiesOnly": "yes", "StrictHostKeyChecking": "yes", "GlobalKnownHostsFile": "/dev/null",
        "UserKnownHostsFile": f"{credentials}/{SSH_HOSTS}", "ConnectTimeout": "20", "ServerAliveInterval": "15",
    }  # fmt: skip
    words = " ".join(f"-o {key}={value}" for key, value in said.items())
    return ("-o", f"sftp.args=-F /dev/null -E {log} -i {credentials}/{SSH_KEY} {words}")
