"""What fires while somebody might drill: the answer of the operator's Prometheus, as a value.

Names only; nothing of an alert's texts is kept. Who asks, and how often, is the engines' business.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Alert:
    """One alert that fires; without a namespace it concerns the whole cluster."""

    name: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Incidents:
    """The alerts that fire; or, in `problem`, why nobody knows. The default: nobody is asked."""

    firing: tuple[Alert, ...] = ()
    problem: str = ""

    def concerning(self, namespace: str) -> tuple[str, ...]:
        """Names of the alerts that a namespace must respect, sorted."""
        return tuple(sorted({a.name for a in self.firing if a.namespace in ("", namespace)}))
