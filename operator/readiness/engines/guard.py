"""Which addresses a probe may reach: every decision is made on parsed addresses, before a packet.

Targets come from tenants, the operator's network position does not: without this module a policy
could read cloud metadata through us. It decides; it opens no connection and resolves names only
through the function it is given.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from readiness.request import Hop, HopKind

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_CLASSES: Final = tuple(
    (ipaddress.ip_network(text), name)
    for name, texts in {
        "a metadata": "169.254.169.254/32 169.254.170.2/32 169.254.170.23/32 100.100.100.200/32 "
        "168.63.129.16/32 192.0.0.192/32 fd00:ec2::254/128 fd00:ec2::23/128 fd20:ce::254/128 fd00:42::42/128",
        "a loopback": "127.0.0.0/8 ::1/128",
        "an unspecified": "0.0.0.0/8 ::/128",
        "a link-local": "169.254.0.0/16 fe80::/10 fec0::/10",
        "a multicast": "224.0.0.0/4 ff00::/8",
        "a reserved": "240.0.0.0/4 100::/64 64:ff9b:1::/48",
    }.items()
    for text in texts.split()
)
_EMBEDDING: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::ffff:0:0/96", "64:ff9b::/96", "::ffff:0:0:0/96", "::/96")
)
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


class DeniedError(Exception):
    """The guard refuses. The text says why and never holds a resolved address."""


@dataclass(frozen=True, slots=True)
class Egress:
    """What the operator's own configuration opens beyond the namespaces of the policies.

    `allow` holds host names, `*.suffix`, addresses and networks: a host must be named to be
    requested at all, a private address of such a host must lie in a listed network, and any other
    refused address (loopback, a node) must be listed itself. `typed` is the one (host, port) that
    the user of the command line typed; with it, that URL may be anywhere and nothing else is reached.
    """

    allow: tuple[str, ...] = ()
    typed: tuple[str, int] | None = None


def addresses_of(texts: Iterable[str]) -> frozenset[Address]:
    """The addresses among `texts`; whatever is none (a node's Hostname) is left out."""
    return frozenset(found for text in texts if (found := address_of(text)) is not None)


def address_of(text: str) -> Address | None:
    """`text` as an address in its one canonical spelling: no octal, hexadecimal or single number."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def embedded_in(address: Address) -> tuple[Address, ...]:
    """The IPv4 addresses that packets to an IPv6 address may end up at."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if any(address in network for network in _EMBEDDING):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or ()


def refusal_of(address: Address) -> str:
    """The class for which an address is never probed (`a loopback`), or nothing."""
    forms = (address, *embedded_in(address))
    return next((name for network, name in _CLASSES for form in forms if form in network), "")


class Guard:
    """Turns a hop into the one address to connect to, or refuses.

    `denied` is asked every time: the addresses of nodes and API servers come and go.
    """

    def __init__(
        self,
        egress: Egress,
        resolve: Resolve,
        denied: Callable[[], Container[Address]] = frozenset,
    ) -> None:
        self._egress = egress
        self._resolve = resolve
        self._denied = denied
        self._networks = tuple(n for e in egress.allow if (n := _network_of(e)) is not None)
        self._listed = frozenset(
            n.network_address for n in self._networks if n.prefixlen == n.max_prefixlen
        )
        self._names = frozenset(_name_of(e) for e in egress.allow if _network_of(e) is None)

    async def admit(self, hop: Hop) -> Address:
        """The address to connect to. Raises DeniedError, or what the resolver raises."""
        if not 0 < hop.port < 65536:
            raise DeniedError("the port is not between 1 and 65535")
        if hop.kind is HopKind.EDGE or self._egress.typed is not None:
            return await self._admit_host(hop)
        address = address_of(hop.address)
        if address is None:
            raise DeniedError(f"the {hop.kind}'s address is not an IP address")
        self._check(address)
        return address

    async def _admit_host(self, hop: Hop) -> Address:
        host = hop.host.lower().removesuffix(".").strip("[]")
        typed = self._egress.typed
        if typed is None:
            self._check_host(host)
        elif (hop.host, hop.port) != typed or hop.kind is not HopKind.EDGE:
            raise DeniedError("only the URL given on the command line is requested")
        literal = address_of(host)
        texts = await self._resolve(host, hop.port) if literal is None else [str(literal)]
        found = [address_of(text) for text in texts]
        addresses = [address for address in found if address is not None]
        if not addresses or len(addresses) != len(found):
            raise DeniedError("the host does not resolve to IP addresses")
        if typed is None:
            for address in addresses:
                self._check(address)
                self._check_private(address)
        return addresses[0]

    def _check_host(self, host: str) -> None:
        if (literal := address_of(host)) is not None:
            if not any(literal in network for network in self._networks):
                raise DeniedError("the address is in no network of the operator's egress.allow")
            return
        if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
            raise DeniedError("the host is neither a DNS name nor a plainly written IP address")
        suffixes = (f"*.{tail}" for tail in _tails(host))
        if host not in self._names and self._names.isdisjoint(suffixes):
            raise DeniedError("the operator's egress.allow does not name the host")

    def _check(self, address: Address) -> None:
        if address in self._listed:
            return
        if refusal := refusal_of(address):
            raise DeniedError(f"it is {refusal} address")
        denied = self._denied()
        if any(form in denied for form in (address, *embedded_in(address))):
            raise DeniedError("it is an address of a node or of the API server")

    def _check_private(self, address: Address) -> None:
        for end in embedded_in(address) or (address,):
            if not end.is_global and not any(end in network for network in self._networks):
                raise DeniedError("it is a private address that no network of egress.allow holds")


def _tails(host: str) -> Iterable[str]:
    while host := host.partition(".")[2]:
        yield host


def _network_of(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.strip(), strict=False)
    except ValueError:
        return None


def _name_of(entry: str) -> str:
    name = entry.strip().lower().removesuffix(".")
    if not _NAME.fullmatch(name.removeprefix("*.")):
        raise ValueError(
            f"egress.allow: {entry!r} is neither a host name, `*.suffix`, address nor network"
        )
    return name
