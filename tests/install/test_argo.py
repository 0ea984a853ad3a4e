"""Argo CD's health check and `readiness gate` say the same of the same policy, whatever the sandbox and time zone."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import lua51

from readiness import gate

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "manifests/argocd/resource_customizations/readiness.dev/ReadinessPolicy"
TESTS: dict[str, dict[str, str]] = {
    Path(row["inputPath"]).stem: row["healthStatus"]
    for row in yaml.safe_load((CHECK / "health_test.yaml").read_text())["tests"]
}
NOW = dt.datetime(2026, 11, 21, 9, 59, 30, tzinfo=dt.UTC)

GATE = {  # the exit code of `readiness gate` beside Argo CD's health, which stands in health_test.yaml
    "no-status": 3, "old-generation": 3, "not-ready": 3, "stalled": 3, "stalled-audit": 0,
    "suspended": 1, "audit-fails": 0, "audit-unproven": 0, "audit-expired": 0,
    "holds": 0, "fails": 1, "target-not-found": 3, "unproven-young": 3, "unproven-old": 3,
    "expired-holds": 3, "expired-target-not-found": 3, "never-valid": 3,
}  # fmt: skip


def sandbox(now: dt.datetime, zone: float) -> lua51.LuaRuntime:
    """Lua as Argo CD runs it: package, base, table and an `os` of two functions that knows only one time zone."""
    lua = lua51.LuaRuntime(register_eval=False)
    local = dt.timezone(dt.timedelta(hours=zone))

    def os_time(fields: Any = None) -> float:
        if fields is None:
            return now.timestamp()
        start = dt.datetime(int(fields.year), int(fields.month), int(fields.day), tzinfo=local)
        passed = dt.timedelta(hours=fields.hour, minutes=fields.min, seconds=fields.sec)
        return (start + passed).timestamp()

    def os_date(form: str, at: float | None = None) -> Any:
        when = now if at is None else dt.datetime.fromtimestamp(at, local)  # "!" is lost then
        if form.lstrip("!") != "*t":
            return when.strftime(form.lstrip("!"))
        names = ("year", "month", "day", "hour", "min", "sec")
        return lua.table_from(dict(zip(names, when.timetuple()[:6], strict=True)))

    lua.globals().package.loaded["os"] = lua.table_from({"time": os_time, "date": os_date})
    lua.execute("debug.setmetatable('', nil); string, os, io, math, debug, python = nil")
    return lua


def as_lua(lua: lua51.LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: as_lua(lua, inner) for key, inner in value.items()})
    if isinstance(value, list):
        return lua.table_from([as_lua(lua, inner) for inner in value])
    return value


def health(policy: dict[str, Any], *, now: dt.datetime = NOW, zone: float = 0) -> tuple[str, str]:
    lua = sandbox(now, zone)
    lua.globals().obj = as_lua(lua, policy)
    found = lua.execute((CHECK / "health.lua").read_text())
    return found.status, found.message


def fixture(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((CHECK / f"testdata/{name}.yaml").read_text()))


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("zone", [0, 5.5, -8])
def test_health(name: str, zone: float) -> None:
    assert health(fixture(name), zone=zone) == (TESTS[name]["status"], TESTS[name]["message"])


@pytest.mark.parametrize("name", TESTS)
def test_gate_agrees(name: str) -> None:
    policy = fixture(name)
    code = gate.gate_of(policy, NOW.timestamp()).code
    assert code == GATE[name]
    suspended, absent = name == "suspended", name.endswith("target-not-found")
    if not suspended and not absent and policy["spec"]["enforcement"] == "enforce":
        assert (code == gate.MET) == (TESTS[name]["status"] == "Healthy")


def test_table_is_whole() -> None:
    files = {path.stem for path in (CHECK / "testdata").glob("*.yaml")}
    assert files == set(TESTS) == set(GATE)


def unproven(policy: dict[str, Any], time: str) -> None:
    next(c for c in policy["status"]["conditions"] if c["type"] == "Compliant")[
        "lastTransitionTime"
    ] = time


def valid(policy: dict[str, Any], time: str) -> None:
    policy["status"]["validUntil"] = time


@pytest.mark.parametrize("zone", [0, 5.5, -8])
@pytest.mark.parametrize(
    ("name", "change", "time", "expected"),
    [
        ("holds", valid, "2026-11-21T09:59:31Z", "Healthy"),
        ("holds", valid, "2026-11-21T09:59:29Z", "Degraded"),
        ("holds", valid, "2026-11-22T00:00:00Z", "Healthy"),
        ("holds", valid, "2025-12-31T23:59:59Z", "Degraded"),
        ("unproven-old", unproven, "2026-11-21T09:29:31Z", "Progressing"),
        ("unproven-old", unproven, "2026-11-21T09:29:29Z", "Degraded"),
        ("unproven-old", unproven, "2026-11-20T23:59:59Z", "Degraded"),
    ],
)
def test_deadlines(
    name: str, change: Callable[[dict[str, Any], str], None], time: str, expected: str, zone: float
) -> None:
    policy = fixture(name)
    change(policy, time)
    assert health(policy, zone=zone)[0] == expected


def test_deadline_across_midnight() -> None:
    policy = fixture("unproven-old")
    unproven(policy, "2026-12-31T23:50:00Z")
    at = dt.datetime(2027, 1, 1, 0, 10, tzinfo=dt.UTC)
    assert health(policy, now=at, zone=9)[0] == "Progressing"
    assert health(policy, now=at + dt.timedelta(minutes=11), zone=9)[0] == "Degraded"


def test_fragment_holds_the_check() -> None:
    fragment = yaml.safe_load((ROOT / "manifests/argocd/argocd-cm.yaml").read_text())
    key = "resource.customizations.health.readiness.dev_ReadinessPolicy"
    assert fragment["data"] == {key: (CHECK / "health.lua").read_text()}
