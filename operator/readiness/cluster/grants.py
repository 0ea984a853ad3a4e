"""Moved to `readiness.grants`, which is pure and shared with the command line; delete this."""

from readiness.grants import grants_of

__all__ = ["grants_of"]
