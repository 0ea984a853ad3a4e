"""A data service that others run, judged by a running operator: asked only with consent, reported under its own name."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from holdrig import until

import image
from localcluster import images
from sandbox import rootfs

pytestmark = pytest.mark.api
PASSWORD = "Canary" + "Redis9fK2x71LmQ"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A Redis with a password and nothing else that it should have."""
    root = rootfs(images.debian_layer(image.SUITE, ("redis-server",)))
    lib = root / "usr/lib/x86_64-linux-gnu"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    conf = tmp_path / "redis.conf"
    conf.write_text(f'bind 127.0.0.1\nport {number}\nrequirepass {PASSWORD}\nsave ""\ndir {tmp_path}\n')  # fmt: skip
    loader = [str(lib / "ld-linux-x86-64.so.2"), "--library-path", str(lib)]
    with (tmp_path / "redis.log").open("wb") as log:
        server = subprocess.Popen([*loader, str(root / "usr/bin/redis-server"), str(conf)], stdout=log)  # fmt: skip
    yield number
    server.kill()
    server.wait()


def told(space) -> dict[str, str]:
    """The standing result of each control of the data service."""
    reports = [r["report"] for r in space.reports() if r["report"]["target"] == "cache"]
    rows = reports[0]["results"] if reports else []
    return {row["id"]: f"{row['result']}/{row['reason']}" for row in rows}


def reading(user: str) -> list[dict[str, object]]:
    """The right that the finding's remedy gives."""
    rbac, (_, _, namespace, account) = "rbac.authorization.k8s.io", user.split(":")
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cache"], "verbs": ["get"]}  # fmt: skip
    who = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "look"}, "rules": [rule]},
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "look"}, "subjects": [who],
         "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "look"}},
    ]  # fmt: skip


def test_it_is_asked_with_right_and_consent_and_told_under_its_name(launch, seat, space, port):
    operator = launch(log_level="debug", egress_allow="localhost,127.0.0.1/32")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cache"}, "stringData": {"password": PASSWORD}}  # fmt: skip
    store = {"hosts": ["localhost"], "port": port, "secretRef": {"name": "cache"}}
    policy = {
        "apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "metadata": {"name": "app"},
        "spec": {"profiles": ["data"], "dataServices": [{"name": "cache", "external": {"redis": store}}]},
    }  # fmt: skip
    space.apply(secret, policy)
    until(lambda: told(space).get("HA-001") == "Unknown/NotPermitted", 60)
    assert f"--serviceaccount={':'.join(seat.user.split(':')[2:])}" in space.finding("HA-001")["fix"]  # fmt: skip

    space.apply(*reading(seat.user))
    again(space, "1")
    until(lambda: told(space).get("HA-001") == "Unknown/NotConsented", 90)

    secret["metadata"]["labels"] = {"readiness.dev/probe": "allowed"}
    space.apply(secret)
    again(space, "2")
    until(lambda: told(space).get("HA-001") == "Fail/SinglePoint", 90)
    until(lambda: "NotConsented" not in str(told(space)), 90)
    assert told(space) == {
        "HA-001": "Fail/SinglePoint", "HA-005": "Unknown/NotVisible", "HA-008": "Pass/Described", "HA-009": "Fail/NotPersisted",
        "HLT-006": "Pass/EveryMemberAnswers", "DAT-008": "Fail/AppIsAdministrator", "DAT-009": "Unknown/NotVisible", "DAT-014": "Fail/Placeholder",
    }  # fmt: skip
    until(lambda: space.verdict("app").startswith("False"), 30)
    assert [row["name"] for row in space.status("app")["targets"]] == ["cache"]
    shown = json.dumps([space.status("app"), [r["report"] for r in space.reports()]])
    assert PASSWORD not in shown + operator.text() + operator.page("/metrics").text


def again(space, run: str) -> None:
    """Every look now."""
    space.patch("readinesspolicies", "app", {"metadata": {"annotations": {"readiness.dev/run-at": run}}})  # fmt: skip
