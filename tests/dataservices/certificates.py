"""Secrets for TLS as cert-manager makes them, from an authority of the test's own."""

from __future__ import annotations

from datetime import datetime

import trustme

from readiness.dataservices.parts import build_secret
from readiness.model import Manifest


def secret_of(
    name: str, authority: trustme.CA, *names: str, until: datetime | None = None
) -> Manifest:
    """A certificate for these names, its key, and who vouches for it."""
    leaf = authority.issue_cert(*names, not_after=until)
    chain = "".join(each.bytes().decode() for each in leaf.cert_chain_pems)
    contents = {
        "tls.crt": chain,
        "tls.key": leaf.private_key_pem.bytes().decode(),
        "ca.crt": authority.cert_pem.bytes().decode(),
    }
    return build_secret(name, contents, "kubernetes.io/tls")
