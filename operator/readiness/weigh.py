"""How much each control weighs for one policy: profiles overlaid by the policy, held by floors.

One function decides it for the operator and the command line, so they cannot disagree. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from readiness.api import read_profile
from readiness.api.durations import seconds
from readiness.control import Direction
from readiness.model import Mode, Severity
from readiness.rules import Rules
from readiness.snapshot import Snapshot
from readiness.workload import matches

if TYPE_CHECKING:
    from readiness.api.policy import ControlSetting, PolicySpec
    from readiness.api.profile import Floor, ProfileSpec

_MODES: Final = (Mode.OFF, Mode.AUDIT, Mode.ENFORCE)
_SEVERITIES: Final = tuple(Severity)
DEFAULT_MAX_AGE: Final = 900.0


class ProfileNotFoundError(LookupError):
    """The policy names a profile that is neither built in nor in the cluster."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The effective treatment of one control. `weakened` says how the policy undercuts a floor;
    `lowered` that the policy itself took it below what its profiles say, `wrong` what is wrong
    with its parameters.
    """

    id: str
    mode: Mode = Mode.ENFORCE
    severity: Severity = Severity.P1
    max_age: float = DEFAULT_MAX_AGE
    params: Mapping[str, Any] = field(default_factory=dict)
    floored: bool = False
    lowered: bool = False
    weakened: tuple[str, ...] = ()
    wrong: str = ""


def settings_of(rules: Rules, policy: PolicySpec, snapshot: Snapshot) -> dict[str, Setting]:
    """The effective setting of every control the policy or a bound profile names, by id.

    Raises ProfileNotFoundError. Settings with mode off are dropped unless a floor was undercut.
    """
    bound = _bound(rules, policy, snapshot)
    found: dict[str, Setting] = {}
    for profile in bound:
        _overlay(found, rules, profile.controls)
    before = dict(found)
    _overlay(found, rules, policy.controls)
    for setting in policy.controls:
        old, new = before.get(setting.id), found[setting.id]
        if old is not None and _below(new.mode, old.mode):
            found[setting.id] = replace(new, lowered=True)
    for profile in bound:
        for floor in profile.floor:
            start = found.get(floor.id) or replace(_default(rules, floor.id), mode=Mode.OFF)
            found[floor.id] = _hold(rules, policy, start, floor)
    return {k: s for k, s in found.items() if s.mode is not Mode.OFF or s.lowered}


def _bound(rules: Rules, policy: PolicySpec, snapshot: Snapshot) -> list[ProfileSpec]:
    known = {p["metadata"]["name"]: read_profile(p["spec"]) for p in snapshot.profiles}
    chosen = [
        profile
        for name, profile in sorted(known.items())
        if name not in policy.profiles and _selects(profile, snapshot)
    ]
    for name in policy.profiles:
        profile = rules.profiles.get(name) or known.get(name)
        if profile is None:
            names = ", ".join(sorted({*rules.profiles, *known}))
            raise ProfileNotFoundError(
                f"spec.profiles: no profile {name!r}; there are: {names}. "
                "Correct the name, or apply the ReadinessProfile"
            )
        chosen.append(profile)
    return chosen


def _selects(profile: ProfileSpec, snapshot: Snapshot) -> bool:
    if profile.applies_to is None:
        return False
    selector = profile.applies_to.namespace_selector.model_dump(by_alias=True)
    return matches(selector, dict(snapshot.namespace_labels))


def _default(rules: Rules, id_: str) -> Setting:
    rule = rules.find(id_)
    if rule is None:
        return Setting(id_)
    defaults = {p.name: p.default for p in rule.params}
    return Setting(id_, severity=rule.severity, max_age=rule.max_age, params=defaults)


def _overlay(found: dict[str, Setting], rules: Rules, settings: Iterable[ControlSetting]) -> None:
    for row in settings:
        base = found.get(row.id) or _default(rules, row.id)
        found[row.id] = Setting(
            row.id,
            mode=Mode(row.mode) if row.mode else base.mode,
            severity=Severity(row.severity) if row.severity else base.severity,
            max_age=seconds(row.max_age) if row.max_age else base.max_age,
            params={**base.params, **(row.params or {})},
            wrong=_wrong_params(rules, row) or base.wrong,
        )


def _wrong_params(rules: Rules, row: ControlSetting) -> str:
    """The first parameter the control does not have, or that is of another type."""
    rule = rules.find(row.id)
    if rule is None:
        return ""
    known = {p.name: p.default for p in rule.params}
    for name, value in sorted((row.params or {}).items()):
        if name not in known:
            there = f"it has {', '.join(sorted(known))}" if known else "it has none"
            return f"params.{name[:40]} is no parameter of {row.id}; {there}"
        if not _fits(value, known[name]):
            wanted = f"a value like {known[name]!r} is expected"
            return f"params.{name} is of type {type(value).__name__}; {wanted}"
    return ""


def _fits(value: Any, default: Any) -> bool:
    """Whether a value has the type of the default; None as default takes a number."""
    if isinstance(default, bool):
        return isinstance(value, bool)
    if default is None or isinstance(default, int | float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, list | tuple | frozenset | set):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, type(default))


def _below(mode: Mode, other: Mode) -> bool:
    return _MODES.index(mode) < _MODES.index(other)


def _hold(rules: Rules, policy: PolicySpec, setting: Setting, floor: Floor) -> Setting:
    least = Setting(
        floor.id,
        mode=Mode(floor.mode),
        severity=Severity(floor.severity) if floor.severity else _default(rules, floor.id).severity,
        max_age=seconds(floor.max_age) if floor.max_age else float("inf"),
    )
    weak = [*setting.weakened]
    if _below(setting.mode, least.mode):
        weak.append(f"mode {setting.mode}, floor {least.mode}")
    if _SEVERITIES.index(setting.severity) > _SEVERITIES.index(least.severity):
        weak.append(f"severity {setting.severity}, floor {least.severity}")
    if setting.max_age > least.max_age:
        weak.append(f"maxAge {setting.max_age:.0f}s, floor {floor.max_age}")
    if floor.environment and policy.environment != floor.environment:
        weak.append(f"environment {policy.environment}, floor {floor.environment}")
    weak.extend(_weak_params(rules, setting, floor.params or {}))
    return replace(
        setting,
        mode=max(setting.mode, least.mode, key=_MODES.index),
        severity=min(setting.severity, least.severity, key=_SEVERITIES.index),
        floored=True,
        weakened=tuple(weak),
    )


def _weak_params(rules: Rules, setting: Setting, bounds: Mapping[str, Any]) -> Iterable[str]:
    rule = rules.find(setting.id)
    directions = {p.name: p.stricter for p in rule.params} if rule else {}
    for name, bound in sorted(bounds.items()):
        direction = directions.get(name)
        if direction is None:
            yield f"params.{name} has no stricter direction, so the floor on it is refused"
        elif not _as_strict(direction, setting.params.get(name), bound):
            yield f"params.{name} {setting.params.get(name)!r}, floor {bound!r}"


def _as_strict(direction: Direction, value: Any, bound: Any) -> bool:
    try:
        match direction:
            case "higher":
                return bool(value >= bound)
            case "lower":
                return bool(value <= bound)
            case "superset":
                return set(value) >= set(bound)
            case "subset":
                return set(value) <= set(bound)
            case "true" | "false":
                return value is (direction == "true") or value == bound
    except TypeError:
        return False
