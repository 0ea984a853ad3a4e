"""A Secret for TLS, tried out: one side of a handshake in memory shows its certificate, the other verifies it.

So the verdict is OpenSSL's own, with chain, key, dates and usages, and nothing is read into DER by hand. The key
never touches a disk and is not kept.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping
from typing import Any, Final

from readiness.model import Manifest
from readiness.snapshot import Certificate

FILES: Final = ("tls.crt", "tls.key", "ca.crt")
_ROUNDS: Final = 10


def certificate_of(name: str, secret: Manifest | None) -> Certificate:
    """What a Secret holds; None is one that is not there."""
    if secret is None:
        return Certificate(name, problem="does not exist")
    data: Mapping[str, str] = secret.get("data") or {}
    missing = [key for key in FILES if not data.get(key)]
    if missing:
        return Certificate(name, problem=f"has no {' and no '.join(missing)}")
    try:
        chain, key, ca = (base64.b64decode(data[file]) for file in FILES)
        authority = ca.decode("ascii")
        server, client = _server(chain + b"\n" + key, authority), _client(authority)
    except (ssl.SSLError, binascii.Error, ValueError):
        return Certificate(name, problem="holds no PEM, or a key that does not belong to the certificate")  # fmt: skip
    try:
        shown = _shake_hands(client, server)
    except ssl.SSLError as error:
        return Certificate(name, problem=f"holds a certificate that ca.crt does not vouch for: {_word(error)}")  # fmt: skip
    names = tuple(value for kind, value in shown.get("subjectAltName", ()) if kind == "DNS")
    return Certificate(name, authority, names, _is_mutual(chain + b"\n" + key, authority))


def _is_mutual(chain_and_key: bytes, authority: str) -> bool:
    server, client = _server(chain_and_key, authority), _client(authority)
    server.verify_mode = ssl.CERT_REQUIRED
    _load(client, chain_and_key)
    try:
        _shake_hands(client, server)
    except ssl.SSLError:
        return False
    return True


def _server(chain_and_key: bytes, authority: str) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_verify_locations(cadata=authority)
    _load(found, chain_and_key)
    return found


def _client(authority: str) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname = False  # names are compared by who knows which are needed
    found.load_verify_locations(cadata=authority)
    return found


def _load(context: ssl.SSLContext, chain_and_key: bytes) -> None:
    """The library reads files only: this one is in memory, and nobody else's."""
    file = os.memfd_create("tls")
    try:
        os.write(file, chain_and_key)
        context.load_cert_chain(f"/proc/self/fd/{file}", password=_no_password)
    finally:
        os.close(file)


def _no_password() -> str:
    """Of an encrypted key; without it OpenSSL would ask on the terminal."""
    return ""


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, Any]:
    """The server's certificate as the client verified it."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    calling = client.wrap_bio(back, there)
    sides = [calling, server.wrap_bio(there, back, server_side=True)]
    for _ in range(_ROUNDS):
        for side in tuple(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                continue
    if sides:
        raise ssl.SSLError("the handshake does not end")
    return dict(calling.getpeercert() or {})


def _word(error: ssl.SSLError) -> str:
    return str(getattr(error, "verify_message", "") or error.reason or "no handshake").lower()
