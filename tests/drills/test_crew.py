"""What stands beside clones whose dependencies are to fail: a sink where an arm calls it, gates before what an arm cuts off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from readiness.drilling import build_crew
from readiness.drills.isolation import NOT_ISOLATED
from readiness.drills.sink import control_of
from readiness.model import Manifest
from readiness.script import Arm, DrillSubject, Script, Store, Upstream
from readiness.step import Boot, Fault, Send
from readiness.timeline import Problem

from .cloning import PLACE, deployment

LLM, PAY = Upstream("llm", "LLM_URL", "/v1", ("api.example.com",)), Upstream("pay", "PAY_URL")
STORES = (Store("cache", "redis", ("cache",), 6379), Store("jobs", "rabbitmq", ("jobs",), 5672))
SUBJECT = DrillSubject("shop", "api", "apps/v1", "Deployment", "api", stores=STORES, upstreams=(LLM, PAY))  # fmt: skip
CALLING = Arm("calling", (Boot(9.0), Fault("llm", "503")), (LLM.edit, PAY.edit))
CUT = Arm("cut", (Boot(9.0), Fault("cache", "blackhole")))
PLAIN = Arm("plain", (Boot(9.0), Send("fast", "/")))
ADDRESSES = {"": "10.1.1.9", "cache": "10.1.1.1", "jobs": "10.1.1.2"}
WORKLOAD = deployment({"env": [{"name": "LLM_URL", "value": "https://api.example.com/v1"}]})


def crew(*arms: Arm, unisolated: bool = True) -> Any:
    images = (("redis", "redis:8"), ("rabbitmq", "rabbitmq:4"))
    subject = replace(SUBJECT, unisolated=unisolated)
    return build_crew(Script("ab12", subject, arms, images=images), PLACE, "operator:1")


def containers(pod: Manifest | Problem | None) -> list[str]:
    assert isinstance(pod, dict)
    return [each["name"] for each in pod["spec"]["containers"]]


def test_a_sink_has_a_port_for_each_upstream_and_is_there_for_who_calls_it() -> None:
    _, props = crew(CALLING, PLAIN)
    _, without = crew(CUT, PLAIN)

    assert props.ports == {"llm": 8080, "pay": 8081}
    assert control_of(props.sink) == 8070
    assert without.sink is None


def test_only_a_store_that_is_cut_off_has_a_gate() -> None:
    _, props = crew(CUT, PLAIN)

    assert {name: containers(pod) for name, pod in props.stores.items()} == {
        "cache": ["redis", "gate"], "jobs": ["rabbitmq"]
    }  # fmt: skip


def test_who_calls_the_sink_is_led_there_and_nobody_else() -> None:
    build, props = crew(CALLING, PLAIN)
    props = replace(props, addresses=ADDRESSES)
    calling, plain = (build(WORKLOAD, arm, 0, props)["spec"] for arm in (CALLING, PLAIN))
    env = {e["name"]: e["value"] for e in calling["containers"][0]["env"]}

    assert env == {"LLM_URL": "http://10.1.1.9:8080/v1", "PAY_URL": "http://10.1.1.9:8081"}
    assert "api.example.com" in {a["ip"]: a["hostnames"] for a in calling["hostAliases"]}["10.1.1.9"]  # fmt: skip
    assert plain["containers"][0]["env"] == WORKLOAD["spec"]["template"]["spec"]["containers"][0]["env"]  # fmt: skip
    assert "10.1.1.9" not in {each["ip"] for each in plain["hostAliases"]}


def test_an_address_of_the_sink_may_be_of_either_family() -> None:
    build, props = crew(CALLING)
    spec = build(WORKLOAD, CALLING, 0, replace(props, addresses=ADDRESSES | {"": "fd00::9"}))["spec"]  # fmt: skip

    assert spec["containers"][0]["env"][0]["value"] == "http://[fd00::9]:8080/v1"
    assert "fd00::9" in {each["ip"] for each in spec["hostAliases"]}


def test_without_a_sink_only_those_have_no_clone_who_call_it() -> None:
    build, props = crew(CALLING, PLAIN)
    refused = Problem("Quota", "no room for the sink")
    props = replace(props, sink=refused, addresses=ADDRESSES)

    assert build(WORKLOAD, CALLING, 0, props) == refused
    assert isinstance(build(WORKLOAD, PLAIN, 0, props), dict)


def test_nobody_waits_for_an_isolation_that_never_comes() -> None:
    build, props = crew(PLAIN)
    props = replace(props, addresses=ADDRESSES)
    waiting, exposed = (build(WORKLOAD, PLAIN, 0, replace(props, exposed=seen))["spec"] for seen in (False, True))  # fmt: skip

    assert [each["image"] for each in waiting["initContainers"]] == ["operator:1"]
    assert "--required" not in waiting["initContainers"][0]["args"]
    assert exposed["initContainers"] == []


def test_where_nothing_isolates_them_there_are_no_clones_unless_the_policy_says_so() -> None:
    build, props = crew(PLAIN, unisolated=False)
    props = replace(props, addresses=ADDRESSES)
    waiting = build(WORKLOAD, PLAIN, 0, props)

    assert "--required" in waiting["spec"]["initContainers"][0]["args"]
    assert build(WORKLOAD, PLAIN, 0, replace(props, exposed=True)) == NOT_ISOLATED
