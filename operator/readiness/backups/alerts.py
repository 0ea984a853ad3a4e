"""Alert rules of one store's backups, as Prometheus reads them, and the names of the metrics they rest on.

Every alert about an age has a twin that fires when the metric itself is not there: silence is not health. What a rule
says is one sentence of what is wrong and one of what to do. Pure; `metrics.py` exports what is named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from readiness.backups.runbook import PAGE

EXPECTED: Final = "readiness_backup_expected"
SUCCESS: Final = "readiness_backup_last_success_timestamp_seconds"
FAILURE: Final = "readiness_backup_last_failure_timestamp_seconds"
SIZE: Final = "readiness_backup_size_bytes"
SNAPSHOTS: Final = "readiness_backup_snapshots"
SUSPICIOUS: Final = "readiness_backup_suspicious"
HELD: Final = "readiness_backup_retention_held"
DRILLED: Final = "readiness_restore_drill_last_success_timestamp_seconds"
DRILL_FAILURE: Final = "readiness_restore_drill_last_failure_timestamp_seconds"
RTO: Final = "readiness_restore_drill_rto_seconds"
PREVIOUS_RTO: Final = "readiness_restore_drill_previous_rto_seconds"
METRICS: Final = {
    EXPECTED: "1 for a store that is to be backed up.",
    SUCCESS: "When the newest successful backup ended.",
    FAILURE: "When the newest failed backup ended.",
    SIZE: "Bytes of the newest backup, before encryption and deduplication.",
    SNAPSHOTS: "Complete snapshots that the repository lists.",
    SUSPICIOUS: "Whether the newest backup differs much from those before it.",
    HELD: "Whether retention deletes nothing, because too little would be left.",
    DRILLED: "When the newest successful restore drill ended.",
    DRILL_FAILURE: "When the newest failed restore drill ended.",
    RTO: "Seconds from the first byte to a server that held everything, in the newest successful drill.",
    PREVIOUS_RTO: "The same of the successful drill before.",
}
"""Every metric, labelled with namespace, policy and service, and what it means."""
CONFIGS: Final = "https://kubernetes.default.svc/api/v1/namespaces/{}/configmaps"
"""Where the ConfigMaps of a namespace are read by whoever may: what an alert leads to is in the cluster itself."""
_KEY: Final = PAGE.replace(".", r"\.")
"""As JSONPath spells it. A Go template would be expanded by Prometheus itself, which knows no such thing."""
OLDEST_HOURS: Final = 26
OLDEST_DRILL_DAYS: Final = 8


@dataclass(frozen=True, slots=True)
class Store:
    """Whose backups they are. `runbook` is the ConfigMap in which the way back is written down."""

    namespace: str
    policy: str
    service: str
    runbook: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `{m}` in the expression is the store's label matchers, `{s}` in texts its name."""

    name: str
    expression: str
    lasts: str
    summary: str
    fix: str
    severity: str = "critical"


ALERTS: Final = (
    Alert(
        "ReadinessBackupOld", f"time() - {SUCCESS}{{m}} > {OLDEST_HOURS * 3600}", "1m",
        f"the newest backup of {{s}} is older than {OLDEST_HOURS} hours",
        "see why its Jobs fail or do not start: kubectl get jobs, and status.dataServices of the policy",
    ),
    Alert(
        "ReadinessBackupMissing", f"absent({SUCCESS}{{m}})", f"{OLDEST_HOURS}h",
        f"for {OLDEST_HOURS} hours nobody has heard of any backup of {{s}}",
        "start one by hand: kubectl create job --from=cronjob/NAME, and read how it ends",
    ),
    Alert(
        "ReadinessBackupUnwatched", f"absent({EXPECTED}{{m}})", "15m",
        "nobody watches the backups of {s}: the operator does not run, is not scraped, or does not know the store any more",
        "bring the operator and its scraping back; remove this rule only together with the store",
    ),
    Alert(
        "ReadinessBackupFailed", f"{FAILURE}{{m}} > ({SUCCESS}{{m}} or {FAILURE}{{m}} * 0)", "0s",
        "the last backup of {s} failed", "status.dataServices of the policy says why and what to do",
    ),
    Alert(
        "ReadinessBackupSuspicious", f"{SUSPICIOUS}{{m}} > 0", "0s",
        "the newest backup of {s} is much smaller or larger than those of the last week",
        "look whether data were lost or a client ran wild; older backups are kept meanwhile", "warning",
    ),
    Alert(
        "ReadinessBackupRetentionHeld", f"{HELD}{{m}} > 0", "0s",
        "retention deletes no backup of {s}, because deleting would leave too little",
        "mend the backups first; the log of the last retention Job names the guard", "warning",
    ),
    Alert(
        "ReadinessRestoreDrillOld", f"time() - {DRILLED}{{m}} > {OLDEST_DRILL_DAYS * 86400}", "1m",
        f"no backup of {{s}} has been restored successfully for {OLDEST_DRILL_DAYS} days",
        "see why its restore drill fails or does not start",
    ),
    Alert(
        "ReadinessRestoreDrillMissing", f"absent({DRILLED}{{m}})", f"{OLDEST_DRILL_DAYS}d",
        f"for {OLDEST_DRILL_DAYS} days nobody has heard of any restore of {{s}}",
        "start one by hand: kubectl create job --from=cronjob/NAME, and read how it ends",
    ),
    Alert(
        "ReadinessRestoreDrillFailed",
        f"{DRILL_FAILURE}{{m}} > ({DRILLED}{{m}} or {DRILL_FAILURE}{{m}} * 0)", "0s",
        "the last restore drill of {s} failed: its backups may be worth nothing",
        "status.dataServices of the policy says what differed; make a new backup at once and drill it",
    ),
)  # fmt: skip


def build_rules(store: Store) -> dict[str, Any]:
    """A rule file of Prometheus, and the spec of a PrometheusRule, which are the same."""
    group = {"name": f"readiness-backups-{store.policy}-{store.service}"}
    return {"groups": [group | {"rules": [_rule(alert, store) for alert in ALERTS]}]}


def _rule(alert: Alert, store: Store) -> dict[str, Any]:
    labels = {"namespace": store.namespace, "policy": store.policy, "service": store.service}
    matchers = ",".join(f'{name}="{value}"' for name, value in labels.items())
    said = {
        "summary": alert.summary.replace("{s}", f"{store.service} of {store.namespace}/{store.policy}"),
        "description": alert.fix,
    }  # fmt: skip
    if store.runbook:
        said["runbook_url"] = f"{CONFIGS.format(store.namespace)}/{store.runbook}"
        said["runbook"] = (
            f"kubectl -n {store.namespace} get configmap {store.runbook} -o jsonpath='{{.data.{_KEY}}}'"
        )
    return {
        "alert": alert.name,
        "expr": alert.expression.replace("{m}", f"{{{matchers}}}"),
        "for": alert.lasts,
        # an absence has no labels of its own but those that are asked for: a rule says them itself
        "labels": labels | {"severity": alert.severity},
        "annotations": said,
    }
