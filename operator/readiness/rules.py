"""The rules in force: every control and gate, and the profiles that ship with the operator.

Loaded once by whoever composes a process. Profiles are data (`profiles/*.yaml`), which a test
validates; an organisation's own profiles come from the cluster instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from readiness import controls, registry
from readiness.api.plain import profile_of
from readiness.control import Control, Gate, Requirement
from readiness.parsing import documents

if TYPE_CHECKING:
    from readiness.api.profile import ProfileSpec


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """What can be judged, and the built-in lists of it."""

    controls: Mapping[str, Control]
    gates: Mapping[str, Gate]
    profiles: Mapping[str, ProfileSpec]

    def find(self, id_: str) -> Requirement | None:
        """The control or gate with this id."""
        return self.controls.get(id_) or self.gates.get(id_)


def load() -> Rules:
    """The rules of this version. Raises when a profile names a control that does not exist."""
    plugins: dict[str, Requirement] = registry.discover(controls, Requirement)
    rules = Rules(
        controls={k: v for k, v in plugins.items() if isinstance(v, Control)},
        gates={k: v for k, v in plugins.items() if isinstance(v, Gate)},
        profiles=_profiles(),
    )
    for name, profile in rules.profiles.items():
        for id_ in (*(c.id for c in profile.controls), *(f.id for f in profile.floor)):
            if rules.find(id_) is None:
                raise LookupError(f"profile {name} names {id_}, which no module defines")
    return rules


def _profiles() -> dict[str, ProfileSpec]:
    paths = sorted(Path(__file__).with_name("profiles").glob("*.yaml"))
    return {p.stem: profile_of(next(documents(p.read_bytes())).content) for p in paths}
