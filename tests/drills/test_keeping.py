"""CFG-006's half without a clone: where variables lead that say where data is kept."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.api import read_policy
from readiness.control import Subject
from readiness.drills.keeping import judge_paths
from readiness.lasting import path_in
from readiness.snapshot import Snapshot

VOLUMES = [
    {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
    {"name": "nfs", "nfs": {"server": "nfs", "path": "/"}},
    {"name": "node", "hostPath": {"path": "/var/data"}},
    {"name": "passing", "ephemeral": {"volumeClaimTemplate": {}}},
    {"name": "scratch", "emptyDir": {}},
]
MOUNTS = [
    {"name": "claim", "mountPath": "/data/"},
    {"name": "scratch", "mountPath": "/data/tmp"},
    {"name": "nfs", "mountPath": "/nfs"},
    {"name": "node", "mountPath": "/node"},
    {"name": "passing", "mountPath": "/passing"},
    {"name": "template", "mountPath": "/template"},
]
FROM = {"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}


def judged(env: dict[str, Any] | None, config: dict[str, Any] | None = None, **more: Any) -> str:
    container = {"name": "app", "volumeMounts": MOUNTS, **more}
    if env is not None:
        container["env"] = [{"name": "DATA", **env}]
    spec: dict[str, Any] = {"template": {"spec": {"containers": [container], "volumes": VOLUMES}}}
    spec["volumeClaimTemplates"] = [{"metadata": {"name": "template"}}]
    workload = {"kind": "StatefulSet", "metadata": {"name": "api"}, "spec": spec}
    target = {"name": "api", "workloadRef": {"kind": "StatefulSet", "name": "api"}}
    target["config"] = {"persistentPaths": ["DATA"], **(config or {})}
    policy = read_policy({"targets": [target]})
    verdict = judge_paths(Subject(policy, policy.targets[0], Snapshot(namespace="shop"), workload))
    return "" if verdict is None else f"{verdict.result} {verdict.reason}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/data", ""),
        ("/data/app.db", ""),
        ("/data/../data/app.db", ""),
        ("sqlite:////data/app.db", ""),
        ("sqlite:////data/app.db?cache=shared", ""),
        ("file:///data/app.db", ""),
        ("file:/data/app.db", ""),
        ("sqlite+aiosqlite:////data/app.db", ""),
        ("/nfs/files", ""),
        ("/template/db", ""),
        ("/data/tmp/app.db", "Fail PathNotKept"),
        ("/database", "Fail PathNotKept"),
        ("/data/../app.db", "Fail PathNotKept"),
        ("/node/db", "Fail PathNotKept"),
        ("/passing/db", "Fail PathNotKept"),
        ("/tmp/app.db", "Fail PathNotKept"),
        ("sqlite:////srv/app.db", "Fail PathNotKept"),
        (":memory:", "Fail PathEphemeral"),
        ("sqlite://:MEMORY:", "Fail PathEphemeral"),
        ("file:/data/x?mode=memory", "Fail PathEphemeral"),
        ("", "Fail PathUnset"),
        ("app.db", "Unknown PathNotSeen"),
        ("sqlite:///app.db", "Unknown PathNotSeen"),
        ("$(ROOT)/app.db", "Unknown PathNotSeen"),
    ],
)
def test_where_a_value_leads(value: str, expected: str) -> None:
    assert judged({"value": value}) == expected


@pytest.mark.parametrize(
    ("env", "config", "container", "expected"),
    [
        (None, {}, {}, "Fail PathUnset"),
        (None, {}, {"envFrom": [{"secretRef": {"name": "s"}}]}, "Unknown PathNotSeen"),
        (FROM, {}, {}, "Unknown PathNotSeen"),
        ({"value": "app.db"}, {}, {"workingDir": "/data"}, ""),
        ({"value": "app.db"}, {}, {"workingDir": "/srv"}, "Fail PathNotKept"),
        ({"value": "/data/x"}, {"ephemeralPatterns": ["^/data"]}, {}, "Fail PathEphemeral"),
        (FROM, {"persistentPaths": ["DATA", "OTHER"]}, {}, "Fail PathUnset"),
        (None, {"persistentPaths": []}, {}, ""),
    ],
    ids=["unset", "from a Secret", "from a ConfigMap", "a known directory", "another", "a pattern", "the worst of two", "nothing declared"],
)  # fmt: skip
def test_where_a_variable_comes_from(
    env: dict[str, Any] | None, config: dict[str, Any], container: dict[str, Any], expected: str
) -> None:
    assert judged(env, config, **container) == expected


def test_an_address_of_a_server_is_no_path_of_ours() -> None:
    assert path_in("redis://cache:6379/0", "/srv") == ""
    assert path_in("postgresql://db/app", "/srv") == ""
    assert path_in("file://host/data") == ""
