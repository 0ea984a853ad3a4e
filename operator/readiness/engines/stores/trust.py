"""Whom a look at a data service believes: the authority that its Secret for TLS names, and nobody else."""

from __future__ import annotations

import ssl
from functools import lru_cache


@lru_cache(maxsize=64)
def trusting(authority: str) -> ssl.SSLContext:
    """A context that verifies by this authority alone, name included."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        found.load_verify_locations(cadata=authority)
    return found
