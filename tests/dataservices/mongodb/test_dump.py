"""What a MongoDB's backup is given: a user that only reads, room for a dump that is not compressed, memory for a server that loads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.api.dataservice import DataService
from readiness.dataservices.children import desired_of
from readiness.dataservices.mongodb.dump import source_of
from readiness.dataservices.mongodb.users import users_of
from readiness.model import Manifest

from .dumping import MONGODB, ORDER


def job(part: str = "backup", **service: Any) -> Manifest:
    """The spec of a CronJob's pod."""
    wanted = DataService.model_validate({"name": "orders", **({"mongodb": {}} | service)})
    built = desired_of(MONGODB, replace(ORDER, service=wanted), None)
    (found,) = [each for each in built if each["metadata"]["name"] == ORDER.name(part) and each["kind"] == "CronJob"]  # fmt: skip
    spec: Manifest = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def test_the_dumping_container_is_told_every_member_and_given_one_password():
    dump, verify = job()["initContainers"]

    hosts = [f"{ORDER.name()}-{n}.{ORDER.name('members')}.shop.svc:27017" for n in range(3)]
    assert {e["name"]: e["value"] for e in dump["env"]} == {"LOGIN": "backup", "MEMBERS": " ".join(hosts), "PORT": "27017"}  # fmt: skip
    assert dump["resources"]["limits"] == {"memory": "512Mi"}
    assert [m["name"] for m in dump["volumeMounts"]] == ["tmp", "scripts", "backup", "passwords"]
    assert [m["name"] for m in verify["volumeMounts"]] == ["tmp", "scripts", "backup"]
    (secret,) = [v["secret"] for v in job()["volumes"] if v["name"] == "passwords"]
    assert secret["items"] == [{"key": "backup", "path": "password"}]


def test_its_user_may_back_up_and_nothing_else():
    source = source_of(ORDER)
    (user,) = [each for each in users_of("orders", {}) if each.name == source.login]

    assert user.roles == {"backup@admin"}


@pytest.mark.parametrize("part", ["backup", "restore-drill"])
@pytest.mark.parametrize(
    ("service", "storage"),
    [
        ({}, "3Gi"),
        ({"mongodb": {"storage": "512Mi"}}, "1536Mi"),
        ({"backup": {"scratch": "7Gi"}}, "7Gi"),
    ],
)
def test_a_dump_has_room(part: str, service: dict[str, Any], storage: str):
    (claim,) = [v["ephemeral"]["volumeClaimTemplate"]["spec"] for v in job(part, **service)["volumes"] if "ephemeral" in v]  # fmt: skip

    assert claim["resources"]["requests"] == {"storage": storage}


@pytest.mark.parametrize(("limit", "memory"), [(None, "1Gi"), ("512Mi", "1Gi"), ("8Gi", "8Gi")])
def test_whoever_loads_has_the_memory_of_a_member_and_a_gibibyte_at_least(limit: str | None, memory: str):  # fmt: skip
    asked = {"resources": {"limits": {"memory": limit}}} if limit else {}

    assert job(mongodb=asked)["initContainers"][1]["resources"]["limits"] == {"memory": memory}
    assert job("restore-drill", mongodb=asked)["initContainers"][0]["resources"]["limits"] == {"memory": memory}  # fmt: skip


def test_every_script_that_a_container_runs_is_there():
    (config,) = [each for each in desired_of(MONGODB, ORDER, None) if each["kind"] == "ConfigMap" and each["metadata"]["name"] == ORDER.name("backup")]  # fmt: skip

    assert set(config["data"]) == {"choose.js", "dump.sh", "drill.sh", "look.js", "verify.sh"}
