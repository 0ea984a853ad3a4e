"""What is declared of a Redis that the operator provides."""

from __future__ import annotations

from readiness.api.provisioned import Provisioned


class Redis(Provisioned):
    """A Redis with Sentinels."""
