"""Readiness: production-readiness enforcement for Kubernetes."""

__version__ = "0.1.0"
