"""SCRAM-SHA-256 as a server speaks it (RFC 5802), and what it keeps of a password."""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass

ROUNDS = 4096


@dataclass(frozen=True)
class Kept:
    """What a server keeps of a password."""

    salt: bytes
    stored: bytes
    server: bytes


def keep(password: str) -> Kept:
    """Of a new password."""
    salt = os.urandom(28)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return Kept(salt, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))


def fields(message: str) -> dict[str, str]:
    """`a=b,c=d`."""
    return dict(part.split("=", 1) for part in message.split(",") if "=" in part)


class Exchange:
    """One log-in. `user` is set by the first message, `first` and `final` return what to answer."""

    def __init__(self, payload: bytes) -> None:
        self._bare = payload.decode().split(",", 2)[2]
        told = fields(self._bare)
        self.user = told["n"].replace("=2C", ",").replace("=3D", "=")
        self._nonce = told["r"] + base64.b64encode(os.urandom(18)).decode()
        self._first = ""

    def first(self, kept: Kept) -> bytes:
        """The challenge."""
        salt = base64.b64encode(kept.salt).decode()
        self._first = f"r={self._nonce},s={salt},i={ROUNDS}"
        return self._first.encode()

    def final(self, payload: bytes, kept: Kept) -> bytes | None:
        """The server's signature; None when the proof is wrong."""
        text = payload.decode()
        told = fields(text)
        message = f"{self._bare},{self._first},{text[: text.rindex(',p=')]}".encode()
        signature = hmac.digest(kept.stored, message, "sha256")
        proof = base64.b64decode(told["p"])
        client = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        if told["r"] != self._nonce or hashlib.sha256(client).digest() != kept.stored:
            return None
        return b"v=" + base64.b64encode(hmac.digest(kept.server, message, "sha256"))
