"""A Grafana dashboard of all backups: whether they are young, whether they can be restored, and how both develop. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from readiness.backups import alerts

_STORES: Final = '{namespace=~"$namespace",policy=~"$policy",service=~"$service"}'
_NAME: Final = "{{namespace}}/{{policy}}/{{service}}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `{m}` in the expression is what was chosen; `limit` is where it turns red."""

    title: str
    expression: str
    unit: str
    limit: float | None = None


PANELS: Final = (
    Panel("Age of the newest backup", f"time() - {alerts.SUCCESS}{{m}}", "s", alerts.OLDEST_HOURS * 3600),
    Panel("Age of the newest successful restore", f"time() - {alerts.DRILLED}{{m}}", "s", alerts.OLDEST_DRILL_DAYS * 86400),
    Panel("Failed since the last success", f"{alerts.FAILURE}{{m}} > bool ({alerts.SUCCESS}{{m}} or {alerts.FAILURE}{{m}} * 0)", "bool", 1),
    Panel("Restore failed since the last success", f"{alerts.DRILL_FAILURE}{{m}} > bool ({alerts.DRILLED}{{m}} or {alerts.DRILL_FAILURE}{{m}} * 0)", "bool", 1),
    Panel("Never backed up", f"{alerts.EXPECTED}{{m}} unless {alerts.SUCCESS}", "bool", 1),
    Panel("Never restored", f"{alerts.EXPECTED}{{m}} unless {alerts.DRILLED}", "bool", 1),
    Panel("Seconds until a restored server had everything", f"{alerts.RTO}{{m}}", "s"),
    Panel("Size of the newest backup", f"{alerts.SIZE}{{m}}", "bytes"),
    Panel("Complete snapshots", f"{alerts.SNAPSHOTS}{{m}}", "short"),
    Panel("Suspicious size", f"{alerts.SUSPICIOUS}{{m}}", "bool", 1),
    Panel("Retention held back", f"{alerts.HELD}{{m}}", "bool", 1),
)  # fmt: skip
VARIABLES: Final = {
    "namespace": f"label_values({alerts.EXPECTED}, namespace)",
    "policy": f'label_values({alerts.EXPECTED}{{namespace=~"$namespace"}}, policy)',
    "service": f'label_values({alerts.EXPECTED}{{namespace=~"$namespace",policy=~"$policy"}}, service)',
}  # fmt: skip


def build_dashboard() -> dict[str, Any]:
    """What Grafana imports; it asks which Prometheus, and offers every store."""
    return {
        "uid": "readiness-backups",
        "title": "Readiness: backups and restores",
        "tags": ["readiness", "backups"],
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-30d", "to": "now"},
        "templating": {"list": [_SOURCE, *(_variable(*each) for each in VARIABLES.items())]},
        "panels": [_panel(index, panel) for index, panel in enumerate(PANELS)],
    }


_SOURCE: Final = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}  # fmt: skip
_DATASOURCE: Final = {"type": "prometheus", "uid": "${source}"}


def _variable(name: str, query: str) -> dict[str, Any]:
    chosen = {"multi": True, "includeAll": True, "allValue": ".*", "refresh": 2}
    return {"name": name, "type": "query", "datasource": _DATASOURCE, "query": query, **chosen}


def _panel(index: int, panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    return {
        "id": index + 1,
        "title": panel.title,
        "type": "timeseries",
        "datasource": _DATASOURCE,
        "gridPos": {"x": 12 * (index % 2), "y": 8 * (index // 2), "w": 12, "h": 8},
        "targets": [{"refId": "A", "expr": panel.expression.replace("{m}", _STORES), "legendFormat": _NAME}],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "table", "calcs": ["lastNotNull"]}},
    }  # fmt: skip
