"""D3: variables set, replaced and taken away, also where envFrom brings them."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.model import Manifest
from readiness.script import Arm, Edit, Upstream

from .cloning import clone, deployment, refused, template

ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]


def edited(*edits: Edit, explicit: bool = False) -> Arm:
    return Arm("boot", (), edits, explicit)


def key(kind: str, of: str, name: str, as_: str = "") -> Manifest:
    ref = {kind: {"name": of, "key": name, "optional": True}}
    return {"name": as_ or name, "valueFrom": ref}


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ((), ENV),
        ((Edit("A"),), ENV[1:]),
        ((Edit("A", ""),), [{"name": "A", "value": ""}, ENV[1]]),
        ((Edit("B", "9"),), [{"name": "B", "value": "9"}, ENV[0]]),
        ((Edit("C", "$(A) $5"),), [{"name": "C", "value": "$$(A) $$5"}, *ENV]),
        ((Edit("NEVER"),), ENV),
    ],
)
def test_edits(edits: tuple[Edit, ...], expected: list[Any]):
    made = clone(deployment({"env": ENV}), edited(*edits))

    assert made["spec"]["containers"][0]["env"] == expected


def test_an_upstream_is_where_the_sink_plays_it():
    upstream = Upstream("llm", "LLM_URL", "/v1", ("api.example.com",))
    env = [*ENV, {"name": "LLM_URL", "value": "https://api.example.com/v1"}]
    made = clone(deployment({"env": env}), edited(upstream.edit), upstreams=(upstream,))

    assert made["spec"]["containers"][0]["env"] == [{"name": "LLM_URL", "value": "http://10.1.1.9:80/v1"}, *ENV]  # fmt: skip


def test_only_the_applications_container_is_edited():
    beside = {"name": "beside", "image": "b:1", "env": ENV}
    workload = deployment({"env": ENV})
    workload["spec"]["template"]["spec"]["containers"].append(beside)
    workload["spec"]["template"]["spec"]["initContainers"] = [beside]
    spec = clone(workload, edited(Edit("A")))["spec"]

    assert [len(c["env"]) for c in (*spec["containers"], *spec["initContainers"])] == [1, 2, 2]


def test_an_explicit_arm_gets_declared_names_from_every_source_in_order():
    workload = template("sources")
    declared = ("APP_TOKEN", "WORKERS", "APP_")
    app = clone(workload, edited(explicit=True), declared=declared)["spec"]["containers"][0]

    assert app["envFrom"] == []
    assert app["env"][:-2] == [
        key("configMapKeyRef", "orders", "APP_TOKEN"),
        key("secretKeyRef", "orders", "TOKEN", "APP_TOKEN"),
        key("secretKeyRef", "orders", "APP_TOKEN"),
        key("configMapKeyRef", "orders", "WORKERS"),
        key("secretKeyRef", "orders", "WORKERS"),
        key("configMapKeyRef", "orders", "APP_"),
        key("secretKeyRef", "orders", "APP_"),
    ]
    assert [entry["name"] for entry in app["env"][-2:]] == ["WORKERS", "PUBLIC_URL"]


def test_what_is_taken_away_comes_from_nowhere():
    arm = edited(Edit("TOKEN"), explicit=True)
    app = clone(template("sources"), arm, declared=("TOKEN", "NAME"))["spec"]["containers"][0]

    assert "TOKEN" not in {entry["name"] for entry in app["env"]}
    assert "NAME" in {entry["name"] for entry in app["env"]}


def test_other_arms_keep_env_from_as_it_is():
    app = clone(template("sources"), edited(Edit("DRAIN", "5")))["spec"]["containers"][0]

    assert app["envFrom"] == template("sources")["spec"]["template"]["spec"]["containers"][0]["envFrom"]  # fmt: skip
    assert app["env"][0] == {"name": "DRAIN", "value": "5"}


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        (edited(Edit("TOKEN"), explicit=True), "names cannot be seen"),
        (edited(explicit=True), "names cannot be seen"),
        (edited(Edit("TOKEN")), "TOKEN may come from envFrom"),
    ],
)
def test_what_cannot_be_taken_away_for_certain_is_refused(arm: Arm, words: str):
    problem = refused(template("sources"), arm)

    assert problem.reason == "Refused"
    assert words in problem.words


def test_without_env_from_nothing_needs_to_be_declared():
    assert clone(deployment({"env": ENV}), edited(Edit("A"), explicit=True))
