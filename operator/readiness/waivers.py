"""Waivers: which exceptions hold now, and what is wrong with the others. One evaluation, pure.

A waived control still runs. An expired, over-long or foreign waiver excuses nothing and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from readiness.api import InvalidSpecError, read_waiver
from readiness.model import Manifest, Severity

if TYPE_CHECKING:
    from readiness.api.waiver import WaiverSpec

DAY: Final = 86400.0
LONGEST: Final = {Severity.P0: 30 * DAY}
LONGEST_OTHER: Final = 90 * DAY
EXPIRING: Final = 14 * DAY


@dataclass(frozen=True, slots=True)
class Waiver:
    """One waiver with its times as epoch seconds. `problem` is empty while it holds."""

    name: str
    controls: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    owner: str = ""
    expires: float = 0.0
    problem: str = ""

    def covers(self, control: str, target: str) -> bool:
        """Whether it excuses this control on this target."""
        return (
            not self.problem
            and control in self.controls
            and (target in self.targets or (not target and not self.targets))
        )


def epoch(timestamp: str) -> float:
    """RFC 3339 → epoch seconds. Raises ValueError."""
    found = datetime.fromisoformat(timestamp)
    if found.tzinfo is None:
        raise ValueError(f"no time zone in {timestamp!r}")
    return found.timestamp()


def read_waivers(
    objects: Iterable[Manifest],
    policy: str,
    *,
    severity_of: Callable[[str], Severity],
    now: float,
) -> tuple[Waiver, ...]:
    """Every waiver that names this policy, judged, sorted by name."""
    return tuple(sorted(_read(objects, policy, severity_of, now), key=lambda waiver: waiver.name))


def _read(
    objects: Iterable[Manifest], policy: str, severity_of: Callable[[str], Severity], now: float
) -> Iterator[Waiver]:
    for item in objects:
        raw, meta = item.get("spec") or {}, item.get("metadata") or {}
        if raw.get("policyRef") != policy:
            continue
        name = str(meta.get("name", ""))
        try:
            spec = read_waiver(raw)
            expires = epoch(spec.expires)
            created = epoch(meta["creationTimestamp"]) if meta.get("creationTimestamp") else now
        except InvalidSpecError as error:
            yield Waiver(name, problem=f"invalid: {error.problems[0][0]}")
            continue
        except ValueError:
            yield Waiver(name, problem="invalid: spec.expires")
            continue
        yield Waiver(
            name, spec.controls, spec.targets, spec.owner, expires,
            _problem(spec, expires, created, (severity_of, now)),
        )  # fmt: skip


def _problem(
    spec: WaiverSpec,
    expires: float,
    created: float,
    context: tuple[Callable[[str], Severity], float],
) -> str:
    severity_of, now = context
    if expires <= now:
        return f"expired on {spec.expires}"
    for control in spec.controls:
        longest = LONGEST.get(severity_of(control), LONGEST_OTHER)
        if expires - created > longest:
            return (
                f"runs {(expires - created) / DAY:.0f} days; {control} is {severity_of(control)} "
                f"and may be waived for {longest / DAY:.0f} days at most"
            )
    return ""
