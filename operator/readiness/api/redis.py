"""What is declared of a Redis that the operator provides."""

from __future__ import annotations

from readiness.api.provisioned import Encryptable


class Redis(Encryptable):
    """A Redis with Sentinels."""
