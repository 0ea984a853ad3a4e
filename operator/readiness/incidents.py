"""What the operator's Prometheus says, as values: what fires while somebody might drill, and which of our alerts it has loaded.

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
class Loaded:
    """Our alerts that it evaluates: namespace, policy, data service and name of each; or, in `problem`, why nobody knows."""

    rules: frozenset[tuple[str, str, str, str]] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Incidents:
    """The alerts that fire; or, in `problem`, why nobody knows. `loaded`: our rules. The default: nobody is asked."""

    firing: tuple[Alert, ...] = ()
    problem: str = ""
    loaded: Loaded | None = None

    def concerning(self, namespace: str) -> tuple[str, ...]:
        """Names of the alerts that a namespace must respect, sorted."""
        return tuple(sorted({a.name for a in self.firing if a.namespace in ("", namespace)}))
