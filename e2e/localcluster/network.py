"""The cluster's network: a bridge on the host, a network namespace and a cable per node, routes.

Everything is named after the cluster's slot, so `remove` needs no list. Only the namespaces' own
sysctls are set; the host's forwarding and firewall stay as they are.
"""

import ipaddress
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from localcluster.progress import step
from localcluster.run import run, succeeds
from localcluster.state import MAX_SLOTS, Cluster, Node

NETNS: Final = Path("/run/netns")
SYSCTLS: Final = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
)
LINK: Final = re.compile(r"lc(\d+)\b")


def foreign_slots() -> list[int]:
    """Slots whose names or addresses somebody on this machine already uses."""
    links = [str(link["ifname"]) for link in json.loads(run("ip", "-j", "link"))]
    named = {int(found.group(1)) for found in map(LINK.match, links) if found}
    shown = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all"))
    routes = [
        ipaddress.ip_network(route["dst"], strict=False)
        for route in shown
        if route["dst"] != "default"
    ]
    return [slot for slot in range(1, MAX_SLOTS) if slot in named or overlaps(slot, routes)]


def overlaps(slot: int, routes: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether a slot's subnets touch any of the routes."""
    wanted = [
        ipaddress.ip_network(text)
        for text in (f"172.30.{slot}.0/24", f"10.{128 + slot}.0.0/16", f"10.{64 + slot}.0.0/16")
    ]
    return any(ours.overlaps(theirs) for ours in wanted for theirs in routes)


def make(cluster: Cluster) -> None:
    """Make what is missing of bridge, namespaces, cables and routes."""
    with step(f"network {cluster.bridge} {cluster.node_cidr}"):
        if not _has_link(cluster.bridge):
            run("ip", "link", "add", cluster.bridge, "type", "bridge")
        run("ip", "address", "replace", f"{cluster.host_ip}/24", "dev", cluster.bridge)
        run("ip", "link", "set", cluster.bridge, "up")
        for node in cluster.nodes:
            _make_node(cluster, node)
            run("ip", "route", "replace", node.pod_cidr, "via", node.ip, "dev", cluster.bridge)
        # services from the host, through the first node's kube-proxy
        run(
            "ip",
            "route",
            "replace",
            cluster.service_cidr,
            "via",
            cluster.nodes[0].ip,
            "dev",
            cluster.bridge,
        )


def _make_node(cluster: Cluster, node: Node) -> None:
    if not (NETNS / node.netns).exists():
        run("ip", "netns", "add", node.netns)
    if not _has_link(node.veth):
        peer = ("peer", "name", "eth0", "netns", node.netns)
        run("ip", "link", "add", node.veth, "type", "veth", *peer)
    run("ip", "link", "set", node.veth, "master", cluster.bridge, "up")
    routes = [
        f"route replace {other.pod_cidr} via {other.ip} dev eth0"
        for other in cluster.nodes
        if other != node
    ]
    commands = [
        "link set lo up",
        "link set eth0 up",
        f"address replace {node.ip}/24 dev eth0",
        f"route replace default via {cluster.host_ip}",
        *routes,
    ]
    run("ip", "-n", node.netns, "-batch", "-", stdin="\n".join([*commands, ""]))
    run(*inside(node), "sysctl", "-qw", *SYSCTLS)


def inside(node: Node) -> list[str]:
    """Prefix that runs a command in the node's network, with the host's mounts and cgroups."""
    return ["nsenter", f"--net={NETNS / node.netns}", "--"]


def set_cable(node: Node, *, plugged: bool) -> None:
    """A network partition, or its end."""
    run("ip", "link", "set", node.veth, "up" if plugged else "down")


def remove(cluster: Cluster) -> None:
    """Remove namespaces, cables and the bridge, with which its routes go."""
    for node in cluster.nodes:
        if (NETNS / node.netns).exists():
            run("ip", "netns", "delete", node.netns)
    for link in (*(node.veth for node in cluster.nodes), cluster.bridge):
        # a namespace takes its end of the cable with it, but some time later
        if _has_link(link) and not succeeds("ip", "link", "delete", link) and _has_link(link):
            run("ip", "link", "delete", link)


def _has_link(name: str) -> bool:
    return Path("/sys/class/net", name).exists()
