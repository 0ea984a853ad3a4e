"""NetworkPolicies as nftables rules: pure, from objects to the text of one node's table.

Kubernetes' semantics: a pod that no policy of a direction selects is open in it; a pod that some
select allows the union of what they allow. Rules see pod addresses and ports, after kube-proxy.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from localcluster.api import Manifest
from localcluster.selector import matches

TABLE: Final = "localcluster_netpolicy"
FINISHED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Pod:
    """What rules need of a pod that has an address of its own."""

    namespace: str
    name: str
    node: str
    ip: str
    labels: Mapping[str, str]
    ports: Mapping[tuple[str, str], int]  # (name, protocol) -> number


@dataclass(frozen=True)
class Rules:
    """Everything the rules of all nodes depend on."""

    policies: Sequence[Manifest]
    pods: Sequence[Pod]
    namespaces: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(
        cls, policies: Sequence[Manifest], pods: Sequence[Manifest], namespaces: Sequence[Manifest]
    ) -> "Rules":
        found = [pod_of(pod) for pod in pods]
        return cls(
            sorted(policies, key=lambda p: (p["metadata"]["namespace"], p["metadata"]["name"])),
            sorted((pod for pod in found if pod), key=lambda pod: (pod.namespace, pod.name)),
            {ns["metadata"]["name"]: ns["metadata"].get("labels", {}) for ns in namespaces},
        )


def pod_of(pod: Manifest) -> Pod | None:
    """None for pods that policies do not apply to: of the host's network, finished, or unplaced."""
    spec, status, meta = pod["spec"], pod.get("status", {}), pod["metadata"]
    if spec.get("hostNetwork") or status.get("phase") in FINISHED or not status.get("podIP"):
        return None
    containers = spec["containers"] + [
        c for c in spec.get("initContainers", []) if c.get("restartPolicy") == "Always"
    ]
    ports = {
        (port["name"], port.get("protocol", "TCP")): int(port["containerPort"])
        for container in containers
        for port in container.get("ports", [])
        if "name" in port
    }
    return Pod(
        meta["namespace"],
        meta["name"],
        spec.get("nodeName", ""),
        status["podIP"],
        meta.get("labels", {}),
        ports,
    )


def render(rules: Rules, node: str) -> str:
    """The nft input that replaces the node's table, with chains for its isolated pods only."""
    chains: list[str] = []
    jumps: dict[str, list[str]] = {"ingress": [], "egress": []}
    for number, pod in enumerate(pod for pod in rules.pods if pod.node == node):
        for direction, found in jumps.items():
            selecting = [p for p in rules.policies if isolates(p, pod, direction)]
            if selecting:
                name = f"{direction}_{number}"
                found.append(f"{pod.ip} : jump {name}")
                chains += [
                    f"  chain {name} {{ # {pod.namespace}/{pod.name}",
                    *(f"    {line}" for line in chain_lines(rules, pod, direction, selecting)),
                    "    drop",
                    "  }",
                ]
    egress = _vmap("saddr", jumps["egress"])
    return "\n".join(
        [
            f"table inet {TABLE} {{}}",
            f"delete table inet {TABLE}",
            f"table inet {TABLE} {{",
            *chains,
            *_hook("forward", [*egress, *_vmap("daddr", jumps["ingress"])]),
            *_hook("input", egress),  # what a pod sends to its own node; the node's probes go out
            "}",
            "",
        ]
    )


def _vmap(field: str, elements: Sequence[str]) -> list[str]:
    return [f"ip {field} vmap {{ {', '.join(elements)} }}"] if elements else []


def _hook(name: str, lines: Sequence[str]) -> list[str]:
    return [
        f"  chain {name} {{",
        f"    type filter hook {name} priority filter; policy accept;",
        "    ct state established,related accept",
        *(f"    {line}" for line in lines),
        "  }",
    ]


def isolates(policy: Manifest, pod: Pod, direction: str) -> bool:
    """Whether the policy selects the pod and speaks about that direction."""
    spec = policy["spec"]
    default = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return (
        direction.capitalize() in (spec.get("policyTypes") or default)
        and policy["metadata"]["namespace"] == pod.namespace
        and matches(spec.get("podSelector", {}), pod.labels)
    )


def chain_lines(
    rules: Rules, pod: Pod, direction: str, policies: Sequence[Manifest]
) -> Iterator[str]:
    """Lines that return, which allows, for everything the policies allow."""
    field, key = ("saddr", "from") if direction == "ingress" else ("daddr", "to")
    for policy in policies:
        for rule in policy["spec"].get(direction) or []:
            peers = rule.get(key) or []
            pods = peer_pods(rules, policy["metadata"]["namespace"], peers)
            blocks = [line for peer in peers for line in block_matches(peer, field)]
            for port in rule.get("ports") or [None]:
                targets = [pod] if direction == "ingress" else (pods if peers else rules.pods)
                if is_named(port) and direction == "egress":
                    yield from _named_egress(port, targets)
                    continue
                ports = port_match(port, pod)
                if ports is None:
                    continue
                if not peers:
                    yield f"{ports} return".strip()
                elif pods:
                    addresses = ", ".join(sorted({peer.ip for peer in pods}))
                    yield f"ip {field} {{ {addresses} }} {ports} return".replace("  ", " ")
                yield from (f"{block} {ports} return".replace("  ", " ") for block in blocks)


def _named_egress(port: Manifest, targets: Sequence[Pod]) -> Iterator[str]:
    """A port's name means another number at each peer."""
    for target in targets:
        ports = port_match(port, target)
        if ports is not None:
            yield f"ip daddr {target.ip} {ports} return"


def is_named(port: Manifest | None) -> bool:
    return bool(port) and isinstance((port or {}).get("port"), str)


def port_match(port: Manifest | None, target: Pod) -> str | None:
    """Match of one `ports` entry at the receiving pod; None where that pod has no such port name."""
    if port is None:
        return ""
    protocol = port.get("protocol", "TCP")
    number = port.get("port")
    if number is None:
        return f"meta l4proto {protocol.lower()}"
    if isinstance(number, str):
        number = target.ports.get((number, protocol))
        if number is None:
            return None
    last = f"-{port['endPort']}" if port.get("endPort") else ""
    return f"{protocol.lower()} dport {number}{last}"


def peer_pods(rules: Rules, namespace: str, peers: Sequence[Manifest]) -> list[Pod]:
    """Pods that any of the peers selects."""
    return [pod for pod in rules.pods if any(_selects(rules, namespace, p, pod) for p in peers)]


def _selects(rules: Rules, namespace: str, peer: Manifest, pod: Pod) -> bool:
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        labels = rules.namespaces.get(pod.namespace)
        if labels is None or not matches(peer["namespaceSelector"], labels):
            return False
    elif pod.namespace != namespace:
        return False
    return matches(peer.get("podSelector") or {}, pod.labels)


def block_matches(peer: Manifest, field: str) -> list[str]:
    """Match of an IPv4 `ipBlock`; others never match here, where pods have IPv4 only."""
    block = peer.get("ipBlock") or {}
    if "cidr" not in block or ipaddress.ip_network(block["cidr"], strict=False).version != 4:
        return []
    excepted = ", ".join(block.get("except") or [])
    return [
        f"ip {field} {block['cidr']}" + (f" ip {field} != {{ {excepted} }}" if excepted else "")
    ]
