"""Steps as the commands that a MongoDB understands. The only place where a password meets a document.

Pure. All of them go to the admin database; none is forced, and each says how long it may take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from readiness.dataservices.mongodb.members import SET, User
from readiness.dataservices.mongodb.reading import document_of
from readiness.dataservices.mongodb.steps import (
    DropUser,
    Enrol,
    Reconfigure,
    SetPassword,
    StepDown,
    WaitForMajority,
)
from readiness.dataservices.mongodb.users import OPERATOR, key_of, users_of

Document = dict[str, Any]
Told = Reconfigure | StepDown | WaitForMajority | Enrol | SetPassword | DropUser
"""Steps that are told to a server."""
LIMIT_MILLIS: Final = 10_000
STEP_DOWN_SECONDS: Final = 60
CATCH_UP_SECONDS: Final = 15
_MAJORITY: Final = {"w": "majority", "wtimeout": LIMIT_MILLIS}


def commands_of(step: Told, credentials: Mapping[str, str]) -> tuple[Document, ...]:
    """What to send to the primary, one after the other."""
    if isinstance(step, Enrol | SetPassword | DropUser):
        return _of_users(step, credentials)
    match step:
        case Reconfigure(config):
            return ({"replSetReconfig": document_of(config), "maxTimeMS": LIMIT_MILLIS},)
        case StepDown():
            return (build_step_down(),)
        case WaitForMajority():
            majority = {"w": "majority", "wtimeout": 0}
            return ({"setDefaultRWConcern": 1, "defaultWriteConcern": majority, "writeConcern": _MAJORITY},)  # fmt: skip


def _of_users(step: Enrol | SetPassword | DropUser, credentials: Mapping[str, str]) -> tuple[Document, ...]:  # fmt: skip
    match step:
        case Enrol(create, update):
            return (
                *(build_user(user, credentials[key_of(user.name)]) for user in create),
                *(_changed(user.name, roles=_roles(user)) for user in update),
            )
        case SetPassword(user, key, create=True):
            return (build_user(user, credentials[key]),)
        case SetPassword(user, key):
            return (_changed(user.name, pwd=credentials[key]),)
        case DropUser(name):
            return ({"dropUser": name, "writeConcern": _MAJORITY},)


def _changed(user: str, **what: Any) -> Document:
    return {"updateUser": user, **what, "writeConcern": _MAJORITY}


def build_step_down() -> Document:
    """Hand over to a member that catches up in time; fail when none does."""
    return {"replSetStepDown": STEP_DOWN_SECONDS, "secondaryCatchUpPeriodSecs": CATCH_UP_SECONDS}


def build_initiate(host: str) -> Document:
    """Found a set of one member, which grows afterwards."""
    return {"replSetInitiate": {"_id": SET, "members": [{"_id": 0, "host": host}]}}


def build_first_user(password: str) -> Document:
    """The one user that a server without users lets its own loopback create."""
    operator = next(user for user in users_of("", {}) if user.name == OPERATOR)
    return build_user(operator, password)


def build_user(user: User, password: str) -> Document:
    """A user that logs in by SCRAM-SHA-256."""
    return {
        "createUser": user.name,
        "pwd": password,
        "roles": _roles(user),
        "mechanisms": ["SCRAM-SHA-256"],
        "writeConcern": _MAJORITY,
    }


def _roles(user: User) -> list[Document]:
    pairs = (role.split("@") for role in sorted(user.roles))
    return [{"role": role, "db": database} for role, database in pairs]
