"""What is declared of a MongoDB that the operator provides."""

from __future__ import annotations

from readiness.api.provisioned import Provisioned


class MongoDB(Provisioned):
    """A MongoDB replica set."""
