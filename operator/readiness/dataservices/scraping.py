"""Whether Prometheus gets to see a data service, as far as a policy asked for it. Nothing waits for that.

Pure. What is built for it stands in `exporter.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from readiness.dataservices.exporter import LABEL
from readiness.dataservices.order import Order
from readiness.dataservices.removal import Place
from readiness.model import Manifest

MONITOR: Final = "ServiceMonitor"


def served(desired: Iterable[Manifest], unserved: Collection[str]) -> tuple[Manifest, ...]:
    """What can be created in a cluster that has not every kind."""
    return tuple(child for child in desired if child["kind"] not in unserved)


def unscraped(
    order: Order,
    whole: Iterable[Manifest],
    live: Mapping[Place, Manifest],
    unserved: Collection[str],
) -> tuple[str, str]:
    """Why metrics do not get to Prometheus: a reason, and words with a remedy. Both empty where nothing is wrong.

    `whole` is what would be made in a cluster that has every kind.
    """
    asked = getattr(order.service, order.kind).metrics.service_monitor
    if asked and not any(child["kind"] == MONITOR for child in whole):
        setting = f"READINESS_STORES_{order.kind.upper()}_EXPORTER_IMAGE"
        return "NoExporter", f"no exporter for {order.kind} is known, so there is nothing to read: {setting} of the operator names one"  # fmt: skip
    if asked and MONITOR in unserved:
        return "MonitorNotServed", (
            f"{MONITOR}/{order.name()} cannot be made, because the cluster serves no monitoring.coreos.com/v1: install the "
            "CRDs of the Prometheus operator, or set metrics.serviceMonitor to false"
        )
    exporter = live.get(("Deployment", order.name(LABEL)))
    if exporter is not None and not (exporter.get("status") or {}).get("readyReplicas"):
        name = exporter["metadata"]["name"]
        return "ExporterNotReady", f"Deployment/{name} has no pod that is Ready: kubectl describe deployment {name}"  # fmt: skip
    return "", ""
