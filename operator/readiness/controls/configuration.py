"""CFG: what stands in the environment of the containers, as far as manifests show it.

Plain values and ConfigMaps are read; Secrets never are. Texts name places and rules, not values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from readiness.control import Control, Param, Subject, failed, not_applicable, passed, unknown
from readiness.leaks import is_secret_name, scan_named
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import listed, on_workload, placed
from readiness.snapshot import Snapshot

MAX_TEXT: Final = 256


@dataclass(frozen=True, slots=True)
class Rule:
    """A value that must not stand under a name."""

    name: re.Pattern[str]
    value: re.Pattern[str]
    expected: str
    built_in: bool = True


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable as the container sees it. `value` is None where it cannot be seen."""

    name: str
    value: str | None
    where: str


def _rule(name: str, value: str, expected: str) -> Rule:
    return Rule(re.compile(name, re.IGNORECASE), re.compile(value, re.IGNORECASE), expected)


_TRUTHY: Final = r"^\s*(?:1|true|yes|on|y|t|enabled?)\s*$"
UNSAFE: Final = (
    _rule(
        r"(?:\w+_)?(?:CORS(?:_ALLOWED|_ALLOW)?|ALLOWED?)_?ORIGINS?(?:_LIST)?",
        r"(?:^|[\s,;\"'\[])(?:https?://)?\*(?=$|[\s,;\"'\]:/])",
        "origins named one by one",
    ),
    _rule(r"(?:\w+_)?TEST_?MODE|TESTING|MOCK_MODE", _TRUTHY, "no test mode"),
    _rule(
        r"(?:(?:APP|DJANGO|FLASK|FASTAPI|RAILS|SERVER|ENABLE|WP)_)?DEBUG(?:_MODE)?",
        rf"{_TRUTHY}|\*",
        "debugging off",
    ),
    _rule(
        r"(?:\w+_)?LOG_?LEVEL|LOGGING_LEVEL\w*|RUST_LOG|LOGLEVEL",
        r"^\s*(?:debug|trace|verbose|silly|all)\b",
        "info or quieter",
    ),
    _rule(
        r"(?:(?:NODE|APP|RAILS|RACK|FLASK|DJANGO|GO|MIX)_)?ENV|(?:APP_|ASPNETCORE_|DOTNET_)?ENVIRONMENT"
        r"|SPRING_PROFILES_ACTIVE",
        r"(?:^|,)\s*(?:dev|devel|development|local|test|testing)\s*(?:$|,)",
        "production",
    ),
    _rule(r"GIN_MODE", r"^(?:debug|test)$", "release"),
    _rule(r"NODE_TLS_REJECT_UNAUTHORIZED|PYTHONHTTPSVERIFY", r"^0$", "certificates verified"),
)  # fmt: skip


def environment(workload: Manifest, snapshot: Snapshot) -> Iterator[Variable]:
    """Every variable of every container; one with an empty name for a whole unseen ConfigMap."""
    for path, container in placed(workload):
        seen: dict[str, Variable] = {}
        for source in container.get("envFrom") or ():
            seen |= {v.name or v.where: v for v in _imported(path, source, snapshot)}
        for entry in container.get("env") or ():
            variable = _variable(path, entry, snapshot)
            seen[variable.name] = variable
        yield from seen.values()


def _imported(path: str, source: Manifest, snapshot: Snapshot) -> Iterator[Variable]:
    ref = source.get("configMapRef")
    if not ref:
        return
    values = snapshot.configs.get(ref.get("name", ""))
    if values is not None:
        for key, value in values.items():
            where = f"ConfigMap/{ref['name']} data.{key}"
            yield Variable(f"{source.get('prefix') or ''}{key}", str(value), where)
    elif not (ref.get("optional") and snapshot.live):
        yield Variable("", None, f"ConfigMap/{ref.get('name', '')} ({path}.envFrom)")


def _variable(path: str, entry: Manifest, snapshot: Snapshot) -> Variable:
    name = str(entry.get("name", ""))
    where, ref = f"{path}.env[{name}]", (entry.get("valueFrom") or {}).get("configMapKeyRef")
    if not ref:
        return Variable(name, str(entry.get("value") or ""), where)
    values = snapshot.configs.get(ref.get("name", ""))
    if values is not None:
        place = f"ConfigMap/{ref['name']} data.{ref.get('key', '')}"
        return Variable(name, str(values.get(ref.get("key", ""), "")), place)
    missing = "" if ref.get("optional") and snapshot.live else None
    return Variable(name, missing, f"ConfigMap/{ref.get('name', '')} ({where})")


def judge_unsafe(subject: Subject, workload: Manifest) -> Verdict:
    """CFG-003: no value that is unsafe in this environment."""
    rules, strict = _rules(subject), subject.policy.environment == "prod"
    if not rules and not strict:
        return not_applicable(
            "EnvironmentNotJudged",
            f"no rule forbids values where spec.environment is {subject.policy.environment}",
        )
    offences, unseen = [], []
    for variable in environment(workload, subject.snapshot):
        broken_rule = _broken_rule(variable, rules, strict=strict)
        if variable.value is None and (broken_rule or not variable.name):
            unseen.append(variable.where)
        elif broken_rule:
            offences.append((variable.where, *_shown(variable, broken_rule)))
    if offences:
        return _unsafe(subject, sorted(offences))
    return _unseen(unseen) or passed("NoUnsafeValue", "no forbidden value in env and ConfigMaps")


def _rules(subject: Subject) -> list[Rule]:
    """The declared rules of this environment. The API admits expressions only if they are cheap."""
    return [
        replace(
            _rule(rule.name, rule.pattern, f"nothing that spec.config.forbidden[{index}] forbids"),
            built_in=False,
        )
        for index, rule in enumerate(subject.policy.config.forbidden)
        if subject.policy.environment in rule.environments
    ]


@lru_cache(maxsize=4096)
def _built_in(name: str) -> tuple[Rule, ...]:
    """The built-in rules about a name; the same few names stand in every workload."""
    return tuple(rule for rule in UNSAFE if rule.name.fullmatch(name))


def _broken_rule(variable: Variable, rules: list[Rule], *, strict: bool) -> Rule | None:
    """The first rule that the variable breaks, or could break when its value cannot be seen."""
    text, name = variable.value, variable.name[:MAX_TEXT]
    if text == "":
        return None
    named = [
        *(_built_in(name) if strict else ()),
        *(rule for rule in rules if rule.name.fullmatch(name)),
    ]
    return next((r for r in named if text is None or r.value.search(text[:MAX_TEXT])), None)


def _shown(variable: Variable, rule: Rule) -> tuple[str, str]:
    """(what was expected, what was seen); only built-in rules match words that are no secrets."""
    match = rule.value.search(variable.value or "") if rule.built_in else None
    return rule.expected, f"{variable.name}={match[0].strip()}" if match else variable.name


def _unsafe(subject: Subject, offences: list[tuple[str, str, str]]) -> Verdict:
    places = listed(where for where, _, _ in offences)
    return failed(
        "UnsafeValue",
        f"unsafe in {subject.policy.environment}: {places}",
        expected=listed(expected for _, expected, _ in offences),
        observed=listed(observed for _, _, observed in offences),
        fix=f"change or remove {offences[0][0]}",
    )


def _unseen(places: list[str]) -> Verdict | None:
    if not places:
        return None
    return unknown(
        "ConfigMapNotVisible",
        f"values of {listed(sorted(places))} cannot be seen",
        fix="give the ConfigMap to the check as well, or create it",
    )


def judge_plain(subject: Subject, workload: Manifest) -> Verdict:
    """CFG-004: secrets come from Secrets."""
    allowed = frozenset(subject.params["allowed"])
    offences, unseen = [], []
    for variable in environment(workload, subject.snapshot):
        if variable.name in allowed:
            continue
        if variable.value is None:
            if not variable.name or is_secret_name(variable.name):
                unseen.append(variable.where)
        elif found := scan_named(variable.name, variable.value):
            offences.append((variable.where, variable.name, listed(found)))
    if not offences:
        return _unseen(unseen) or passed("NoPlainSecret", "no environment value is a secret")
    offences.sort()
    name = offences[0][1]
    return failed(
        "PlainSecret",
        f"secret as plain text: {listed(where for where, _, _ in offences)}",
        expected="secretKeyRef, or a file mounted from a Secret or CSI volume",
        observed=listed(f"{name}: {found}" for _, name, found in offences),
        fix=f"env: [{{name: {name}, valueFrom: {{secretKeyRef: {{name: <secret>, key: <key>}}}}}}], then rotate the secret",
    )


PLUGINS: Final = (
    Control(
        id="CFG-003",
        title="No unsafe production values",
        severity=Severity.P0,
        criterion="In prod, no container has a wildcard CORS origin, test mode, debug switch, debug or trace log "
        "level, development environment or disabled certificate check in env or in the ConfigMaps it takes env from; nor "
        "any value that spec.config.forbidden forbids in the policy's environment. Secrets are not read.",
        fix="set production values in the workload's env or ConfigMap",
        judge=on_workload(judge_unsafe),
        static=True,
        checklists=("003/1.2", "003/N5"),
    ),
    Control(
        id="CFG-004",
        title="No secret as plain environment value",
        severity=Severity.P0,
        criterion="No env value, plain or from a ConfigMap, has the shape of a credential, and no variable whose name "
        "promises a secret holds a literal; references, paths, numbers and switches are none.",
        fix="take the value from a Secret: valueFrom.secretKeyRef or a mounted file; rotate what was exposed",
        judge=on_workload(judge_plain),
        static=True,
        params=(
            Param("allowed", (), "Names of variables that look like secrets and are none.", "subset"),
        ),
        checklists=("003/5.1", "004/1.1.1-2", "004/1.1.1-4"),
    ),
)  # fmt: skip
