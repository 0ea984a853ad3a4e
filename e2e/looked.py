"""The controls of data services held against real servers: what all of them say of one look, with no cluster around."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import readiness.controls
from readiness.control import Requirement, Subject
from readiness.model import Manifest, Result, Verdict
from readiness.registry import discover
from readiness.request import Answers

CONTROLS: Final[Mapping[str, Any]] = discover(readiness.controls, Requirement)


async def no_name(_host: str, _port: int) -> list[str]:
    """Resolves nothing: whoever is asked has to be known by address."""
    raise OSError("no such name")


def secret_of(name: str, password: str, *, allowed: bool = True) -> Manifest:
    """A login whose owner lets the operator use it, or says nothing."""
    data = {"username": name, "password": password}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"metadata": {"name": name, "labels": {"readiness.dev/probe": "allowed"} if allowed else {}}, "data": encoded}  # fmt: skip


def verdicts_of(subjects: Mapping[str, Subject], answers: Answers) -> dict[str, Verdict]:
    """Of each control on its subject, with the parameters that nobody has set."""
    found = {}
    for id_, subject in subjects.items():
        params = MappingProxyType({each.name: each.default for each in CONTROLS[id_].params})
        found[id_] = CONTROLS[id_].judge(replace(subject, params=params), answers)
    return found


def deviating(found: Mapping[str, Verdict]) -> dict[str, str]:
    """What does not pass."""
    return {id_: f"{v.result}/{v.reason}" for id_, v in found.items() if v.result is not Result.PASS}  # fmt: skip
