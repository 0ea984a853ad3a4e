"""What people have at hand when backups of a data service go wrong: alert rules, and the way back that they lead to.

Children of the store as its backups are, so that they share its fate. Pure.
"""

from __future__ import annotations

from readiness import naming
from readiness.backups import alerts
from readiness.backups.manifest import Kind as Dumped
from readiness.backups.runbook import PAGE, build_runbook, way_of
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Order
from readiness.dataservices.parts import build_config
from readiness.model import Manifest


def build_recovery(kind: Kind, order: Order) -> tuple[Manifest, ...]:
    """The runbook and the rules; none where there are to be no backups."""
    return () if kind.dump is None else recovery_of(kind.name, order)


def recovery_of(kind: Dumped, order: Order) -> tuple[Manifest, ...]:
    """The same of whatever is saved as this kind."""
    if order.backups is None:
        return ()
    where = (order.namespace, order.policy, order.service.name)
    page = build_runbook(way_of(kind, where, order.backups, order.service))
    runbook = build_config(order.name(naming.RUNBOOK), {PAGE: page})
    return runbook, _rule(order, alerts.Store(*where, runbook["metadata"]["name"]))


def _rule(order: Order, store: alerts.Store) -> Manifest:
    """Only made where the cluster serves it; it carries the labels by which its Prometheus picks rules."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": order.name(naming.BACKUP), "labels": dict(order.scraping.labels)},
        "spec": alerts.build_rules(store),
    }
