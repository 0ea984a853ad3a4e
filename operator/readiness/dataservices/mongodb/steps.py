"""What may be done to a replica set: one step per pass, each a value that names its reason.

Pure. A step is carried out by `engines/stores/mongodb.py` and judged by what is seen in the next
pass; none of them forces anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readiness.dataservices.mongodb.members import Config, User

QUORUM_LOST: Final = "QuorumLost"
NOT_FOUNDED: Final = "NotFounded"
LOGIN_REFUSED: Final = "LoginRefused"
ELECTING: Final = "Electing"
TOO_FEW: Final = "TooFewMembers"
SYNCING: Final = "MemberSyncing"
SILENT: Final = "MemberSilent"
FOREIGN: Final = "ForeignMember"
LAGGING: Final = "MemberLagging"


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """Make this the configuration. Precondition: the primary has the version before it."""

    config: Config
    why: str


@dataclass(frozen=True, slots=True)
class StepDown:
    """Let the primary at `host` hand over to a member that has caught up."""

    host: str
    why: str


@dataclass(frozen=True, slots=True)
class WaitForMajority:
    """Make writes wait for a majority, whatever a client says or forgets."""


@dataclass(frozen=True, slots=True)
class Enrol:
    """Create users, give users the roles they should have. Passwords are added at the rim."""

    create: tuple[User, ...] = ()
    update: tuple[User, ...] = ()


@dataclass(frozen=True, slots=True)
class Replace:
    """Delete the pod of a member, so that it comes back as it should be now."""

    host: str


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Give a user the password under `key` of the credentials; `create` it where it is missing."""

    user: User
    key: str
    create: bool = False


@dataclass(frozen=True, slots=True)
class DropUser:
    """Take away a user whom no session uses any more."""

    name: str


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing can be done now. The message holds only what does not move while the reason stands."""

    reason: str
    message: str
    fix: str = ""


Step = Reconfigure | StepDown | WaitForMajority | Enrol
