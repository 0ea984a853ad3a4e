"""Where probes may go: addresses in every disguise, names, rebinding, and the command line's URL."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.engines.connection import Clock, Trace
from readiness.engines.dialer import Dialer, Trust
from readiness.engines.guard import (
    DeniedError,
    Egress,
    Guard,
    address_of,
    addresses_of,
    refusal_of,
)
from readiness.engines.resolve import THREADS, Resolver
from readiness.request import Hop, HopKind


def pod(address: str, port: int = 8080) -> Hop:
    return Hop(HopKind.POD, "app-0", "app.shop.svc", port, address, namespace="shop")


def edge(host: str, port: int = 443) -> Hop:
    return Hop(HopKind.EDGE, host, host, port)


ALWAYS_REFUSED = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "fd00:ec2::254",
    "fd20:ce::254", "100::1", "64:ff9b:1::a9fe:a9fe",
    # the same addresses inside others
    "::ffff:169.254.169.254", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0:127.0.0.1",
    "::127.0.0.1", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::127.0.0.1", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601",
]  # fmt: skip
NOT_CANONICAL = [
    "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.1", "0x7f.0.0.1", "127.0.0.01",
    "１２７.0.0.1", "127.0.0.1.", "", "localhost", "[::1]", "127.0.0.1/8", "app.shop.svc",
]  # fmt: skip
NODE, API_SERVER = "10.0.0.5", "10.96.0.1"
DENIED = addresses_of([NODE, API_SERVER, "node-1.example.com"])


async def verdict(guard: Guard, hop: Hop) -> str:
    try:
        return str(await guard.admit(hop))
    except DeniedError as error:
        return f"denied: {error}"


@pytest.mark.parametrize("kind", [HopKind.POD, HopKind.SERVICE])
@pytest.mark.parametrize("address", ALWAYS_REFUSED)
async def test_an_address_of_a_refused_class_is_never_a_pod(
    names: Any, address: str, kind: HopKind
) -> None:
    hop = Hop(kind, "app", "app.shop.svc", 80, address)
    guard = Guard(Egress(), names([]))
    assert (await verdict(guard, hop)).startswith("denied: it is a")


@pytest.mark.parametrize("text", NOT_CANONICAL)
async def test_only_canonical_addresses_are_addresses(names: Any, text: str) -> None:
    resolver = names(["10.1.2.3"])
    assert (await verdict(Guard(Egress(), resolver), pod(text))).startswith("denied: the pod's")
    assert resolver.asked == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("fd12::7", "fd12::7"),
        ("100.64.3.2", "100.64.3.2"),
        ("::ffff:10.1.2.3", "::ffff:a01:203"),
        (NODE, "denied: it is an address of a node or of the API server"),
        (API_SERVER, "denied: it is an address of a node or of the API server"),
        (f"::ffff:{NODE}", "denied: it is an address of a node or of the API server"),
        (f"64:ff9b::{NODE}", "denied: it is an address of a node or of the API server"),
    ],
)
async def test_pods_are_reached_nodes_are_not(names: Any, address: str, expected: str) -> None:
    assert await verdict(Guard(Egress(), names([]), lambda: DENIED), pod(address)) == expected


@pytest.mark.parametrize("port", [0, -1, 65536, 99999])
async def test_a_port_is_a_port(names: Any, port: int) -> None:
    assert "port" in await verdict(Guard(Egress(), names([])), pod("10.1.2.3", port))


PUBLIC = "93.184.215.14"


@pytest.mark.parametrize(
    ("allow", "host", "answer", "expected"),
    [
        # names
        (["shop.example.com"], "shop.example.com", [PUBLIC], PUBLIC),
        (["Shop.Example.com."], "SHOP.example.COM.", [PUBLIC], PUBLIC),
        (["*.example.com"], "a.b.example.com", [PUBLIC], PUBLIC),
        ([], "shop.example.com", [PUBLIC], "denied: the operator's egress.allow"),
        (["*.example.com"], "example.com", [PUBLIC], "denied: the operator's egress.allow"),
        (["*.example.com"], "evilexample.com", [PUBLIC], "denied: the operator's egress.allow"),
        (["example.com"], "shop.example.com", [PUBLIC], "denied: the operator's egress.allow"),
        (["example.com"], "example.com.evil.net", [PUBLIC], "denied: the operator's egress.allow"),
        # addresses that names stand for
        (["*.example.com"], "a.example.com", [PUBLIC, "127.0.0.1"], "denied: it is a loopback"),
        (["*.example.com"], "a.example.com", ["127.0.0.1", PUBLIC], "denied: it is a loopback"),
        (["*.example.com"], "a.example.com", ["169.254.169.254"], "denied: it is a metadata"),
        (["*.example.com"], "a.example.com", ["::ffff:169.254.169.254"], "denied: it is a metadata"),
        (["*.example.com"], "a.example.com", ["10.1.2.3"], "denied: it is a private"),
        (["*.example.com"], "a.example.com", ["100.64.0.9"], "denied: it is a private"),
        (["*.example.com"], "a.example.com", ["fd12::7"], "denied: it is a private"),
        (["*.example.com"], "a.example.com", ["::ffff:10.1.2.3"], "denied: it is a private"),
        (["*.example.com", "10.1.0.0/16"], "a.example.com", ["10.1.2.3"], "10.1.2.3"),
        (["*.example.com", "10.1.0.0/16"], "a.example.com", ["10.2.2.3"], "denied: it is a private"),
        (["*.example.com", "10.0.0.0/8"], "a.example.com", [NODE], "denied: it is an address of a"),
        (["*.example.com", NODE], "a.example.com", [NODE], NODE),
        (["*.example.com", "127.0.0.0/8"], "a.example.com", ["127.0.0.1"], "denied: it is a loop"),
        (["*.example.com", "169.254.169.254/31"], "a.example.com", ["169.254.169.254"], "denied: it is a"),
        (["*.example.com", "127.0.0.1"], "a.example.com", ["127.0.0.1"], "127.0.0.1"),
        (["*.example.com"], "a.example.com", [], "denied: the host does not resolve"),
        (["*.example.com"], "a.example.com", ["not an address"], "denied: the host does not"),
        # hosts that are addresses
        ([PUBLIC], PUBLIC, [], PUBLIC),
        (["93.184.0.0/16"], PUBLIC, [], PUBLIC),
        ([], PUBLIC, [], "denied: the address is in no network"),
        (["0.0.0.0/0"], "127.0.0.1", [], "denied: it is a loopback"),
        (["::/0"], "[::1]", [], "denied: it is a loopback"),
        (["0.0.0.0/0"], "10.1.2.3", [], "10.1.2.3"),
        # hosts that only look like names
        (["*.1"], "127.1", ["127.0.0.1"], "denied: the host is neither"),
        (["0x7f000001"], "0x7f000001", ["127.0.0.1"], "denied: the host is neither"),
        (["2130706433"], "2130706433", [PUBLIC], "denied: the host is neither"),
        (["017700000001"], "017700000001", ["127.0.0.1"], "denied: the host is neither"),
        (["*.example.com"], "a\r\nb.example.com", [PUBLIC], "denied: the host is neither"),
        (["*.example.com"], "ä.example.com", [PUBLIC], "denied: the host is neither"),
        (["*.example.com"], "user@a.example.com", [PUBLIC], "denied: the host is neither"),
    ],
)  # fmt: skip
async def test_the_edge_is_what_the_operator_allows(
    names: Any, allow: list[str], host: str, answer: list[str], expected: str
) -> None:
    guard = Guard(Egress(tuple(allow)), names(answer), lambda: DENIED)
    assert (await verdict(guard, edge(host))).startswith(expected)


@pytest.mark.parametrize("entry", ["*", "https://a.example.com", "*.", "a b", "a.*.com", ""])
def test_a_mistyped_allow_entry_is_refused_at_start(names: Any, entry: str) -> None:
    with pytest.raises(ValueError, match=r"egress\.allow"):
        Guard(Egress((entry,)), names([]))


@pytest.mark.parametrize(
    ("hop", "expected"),
    [
        (edge("localhost", 8080), "127.0.0.1"),
        (edge("localhost", 8081), "denied: only the URL"),
        (edge("other.example.com", 8080), "denied: only the URL"),
        (pod("10.1.2.3", 8080), "denied: only the URL"),
    ],
)
async def test_the_command_line_reaches_the_typed_url_and_nothing_else(
    names: Any, hop: Hop, expected: str
) -> None:
    guard = Guard(Egress(typed=("localhost", 8080)), names(["127.0.0.1"]))
    assert (await verdict(guard, hop)).startswith(expected)


async def test_a_refusal_does_not_tell_what_a_name_resolves_to(names: Any) -> None:
    guard = Guard(Egress(("*.example.com",)), names(["10.77.88.99"]))
    assert "10.77" not in await verdict(guard, edge("a.example.com"))


@given(st.ip_addresses(v=4))
def test_no_form_of_a_refused_ipv4_address_is_admitted(inner: Any) -> None:
    number = int(inner)
    disguises = [
        f"::ffff:{inner}",
        f"64:ff9b::{inner}",
        f"::ffff:0:{inner}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
    ]
    for text in disguises:
        outer = address_of(text)
        assert outer is not None
        assert bool(refusal_of(outer)) >= bool(refusal_of(inner)), text


async def test_a_refused_address_gets_no_packet(serve: Any, names: Any, trust: Trust) -> None:
    async def handler(*_: object) -> None: ...

    server = await serve(handler)
    guard = Guard(Egress(("*.example.test",)), names(["127.0.0.1"]))
    dialer = Dialer(guard, trust, clock=Clock())
    for hop in (server.hop(), server.edge()):
        with pytest.raises(DeniedError):
            await dialer.dial(hop, Trace())
    assert server.connections == 0


async def test_rebinding_finds_only_the_checked_address(
    serve: Any, names: Any, trust: Trust
) -> None:
    async def handler(*_: object) -> None: ...

    server = await serve(handler)
    resolver = names(["127.0.0.1"], ["169.254.169.254"])
    allowed = Egress(("127.0.0.1", "app.example.test"))
    dialer = Dialer(Guard(allowed, resolver), trust)
    line = await dialer.dial(server.edge(), Trace())
    line.abort()
    assert resolver.asked == ["app.example.test"]
    with pytest.raises(DeniedError):
        await dialer.dial(server.edge(), Trace())


async def test_the_resolver_answers_and_fails_like_the_system() -> None:
    resolver = Resolver()
    async with asyncio.timeout(10):
        for _ in range(2 * THREADS):
            assert "127.0.0.1" in await resolver("localhost", 80)
    for host in ("no-such-host.invalid", "a" * 64 + ".example", "\ud800"):
        with pytest.raises(socket.gaierror):
            await resolver(host, 80)
