"""NetworkPolicy semantics as tables: policies and pods in, lines of nftables out."""

from typing import Any

import pytest

from localcluster.netrules import TABLE, Rules, block_matches, isolates, pod_of, port_match, render
from localcluster.selector import matches


def pod(
    name: str, ip: str, *, node: str = "node1", namespace: str = "a", **spec: Any
) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8000 if name == "web" else 9000}]
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [{"ports": ports}], **spec},
        "status": {"podIP": ip, "phase": "Running"},
    }


PODS = [
    pod("web", "10.0.1.2"),
    pod("friend", "10.0.2.2", node="node2"),
    pod("far", "10.0.2.3", node="node2", namespace="b"),
]
NAMESPACES = [{"metadata": {"name": name, "labels": {"team": name}}} for name in "ab"]


def policy(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "a", "name": "p"}, "spec": {"podSelector": {}, **spec}}


def table(*policies: dict[str, Any], node: str = "node1", pods: Any = PODS) -> str:
    return render(Rules.of(policies, pods, NAMESPACES), node)


def chain(text: str, name: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith(f"chain {name} "))
    return lines[start + 1 : lines.index("}", start)]


FRIEND = {"podSelector": {"matchLabels": {"app": "friend"}}}
TEAM_B = {"namespaceSelector": {"matchLabels": {"team": "b"}}}


@pytest.mark.parametrize(
    ("rules", "lines"),
    [
        ([], []),
        ([{}], ["return"]),
        ([{"from": [FRIEND]}], ["ip saddr { 10.0.2.2 } return"]),
        ([{"from": [TEAM_B]}], ["ip saddr { 10.0.2.3 } return"]),
        ([{"from": [{**TEAM_B, **FRIEND}]}], []),
        ([{"from": [FRIEND, TEAM_B]}], ["ip saddr { 10.0.2.2, 10.0.2.3 } return"]),
        (
            [{"from": [FRIEND]}, {"from": [TEAM_B]}],
            ["ip saddr { 10.0.2.2 } return", "ip saddr { 10.0.2.3 } return"],
        ),
        ([{"from": [{"podSelector": {}}]}], ["ip saddr { 10.0.1.2, 10.0.2.2 } return"]),
        (
            [{"from": [{"namespaceSelector": {}}]}],
            ["ip saddr { 10.0.1.2, 10.0.2.2, 10.0.2.3 } return"],
        ),
        ([{"ports": [{"port": 80}]}], ["tcp dport 80 return"]),
        ([{"ports": [{"port": "http"}]}], ["tcp dport 8000 return"]),
        ([{"ports": [{"port": "gone"}]}], []),
        ([{"ports": [{"protocol": "UDP"}]}], ["meta l4proto udp return"]),
        ([{"ports": [{"port": 80, "endPort": 90}]}], ["tcp dport 80-90 return"]),
        (
            [{"from": [FRIEND], "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}],
            [
                "ip saddr { 10.0.2.2 } tcp dport 80 return",
                "ip saddr { 10.0.2.2 } udp dport 53 return",
            ],
        ),
        (
            [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}],
            ["ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16 } return"],
        ),
    ],
)
def test_ingress_rules(rules: list[Any], lines: list[str]) -> None:
    found = chain(
        table(policy(podSelector={"matchLabels": {"app": "web"}}, ingress=rules)), "ingress_0"
    )
    assert found == [*lines, "drop"]


@pytest.mark.parametrize(
    ("rules", "lines"),
    [
        (
            [{"to": [TEAM_B], "ports": [{"port": 80}]}],
            ["ip daddr { 10.0.2.3 } tcp dport 80 return"],
        ),
        (
            [{"to": [FRIEND], "ports": [{"port": "http"}]}],
            ["ip daddr 10.0.2.2 tcp dport 9000 return"],
        ),
        ([{"to": [{"ipBlock": {"cidr": "::/0"}}]}], []),
    ],
)
def test_egress_rules(rules: list[Any], lines: list[str]) -> None:
    text = table(policy(policyTypes=["Egress"], egress=rules))
    assert chain(text, "egress_0") == [*lines, "drop"]
    assert "ingress_" not in text


def test_a_node_without_isolated_pods_has_open_hooks() -> None:
    text = table()
    assert "vmap" not in text
    assert text.startswith(f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\n")


def test_rules_are_for_pods_of_the_node_only() -> None:
    text = table(policy(), node="node2")
    assert "ip daddr vmap { 10.0.2.2 : jump ingress_0 }" in text
    assert "10.0.1.2" not in text


def test_a_pods_egress_is_judged_before_the_receivers_ingress() -> None:
    hook = chain(table(policy(policyTypes=["Ingress", "Egress"])), "forward")
    assert hook[1] == "ct state established,related accept"
    assert [line.split()[1] for line in hook[2:]] == ["saddr", "daddr"]


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({}, True, False),
        ({"egress": [{}]}, True, True),
        ({"policyTypes": ["Egress"]}, False, True),
        ({"podSelector": {"matchLabels": {"app": "other"}}}, False, False),
    ],
)
def test_isolation(spec: dict[str, Any], ingress: bool, egress: bool) -> None:
    web = pod_of(PODS[0])
    assert web
    assert isolates(policy(**spec), web, "ingress") is ingress
    assert isolates(policy(**spec), web, "egress") is egress


@pytest.mark.parametrize(
    "unaffected",
    [
        pod("web", "10.0.1.2", hostNetwork=True),
        pod("web", ""),
        {**pod("web", "10.0.1.2"), "status": {"phase": "Succeeded", "podIP": "10.0.1.2"}},
    ],
)
def test_pods_without_an_address_of_their_own_are_left_out(unaffected: dict[str, Any]) -> None:
    assert pod_of(unaffected) is None


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ({"key": "a", "operator": "In", "values": ["1"]}, True),
        ({"key": "b", "operator": "In", "values": ["1"]}, False),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "NotIn", "values": ["1"]}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "operator": "DoesNotExist"}, False),
    ],
)
def test_match_expressions(requirement: dict[str, Any], expected: bool) -> None:
    assert matches({"matchExpressions": [requirement]}, {"a": "1"}) is expected


def test_an_empty_port_matches_everything() -> None:
    web = pod_of(PODS[0])
    assert web
    assert port_match(None, web) == ""
    assert block_matches({"podSelector": {}}, "saddr") == []
