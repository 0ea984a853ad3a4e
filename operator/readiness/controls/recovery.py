"""BKP: whether somebody is told when backups go wrong, and has the way back at hand.

What is judged are the objects in the cluster, held against what they should say: an alert that somebody changed, or a page
that names another repository, is as bad as none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.backing import DECLARED, on_backups
from readiness.backups import alerts
from readiness.backups.runbook import PAGE, build_runbook, way_of
from readiness.control import Control, Subject, failed, passed, unknown
from readiness.inspecting import KINDS
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import listed
from readiness.stores import Store
from readiness.workload import stamp_of

if TYPE_CHECKING:
    from readiness.api.backups import Backups

RULE: Final = "PrometheusRule"
LOADING_SECONDS: Final = 600
"""How long a Prometheus operator and its Prometheus may take to load a rule."""
_REPAIR: Final = (
    "the operator makes it again within a minute; see the condition Provisioned of the policy"
)


def judge_alerts(subject: Subject, store: Store, _backups: Backups) -> Verdict:
    """BKP-006: every rule stands as it was tested, for this very store, and is evaluated by the Prometheus that we know."""
    name = naming.store(store.policy, store.name, naming.BACKUP)
    expected = f"{len(alerts.ALERTS)} alerts in {RULE}/{name}"
    if RULE in subject.snapshot.provided.unserved:
        return unknown(
            "RulesNotServed", f"the cluster serves no {RULE}, so whether anybody loads alerts of backups cannot be seen", expected=expected,
            fix="install the CRDs of the Prometheus operator; or load the rules that `readiness render` prints, and have a ReadinessWaiver approved",
        )  # fmt: skip
    found = subject.snapshot.provided.children.get((RULE, name))
    if found is None:
        return _absent(subject, store, f"{RULE}/{name}")
    rules = alerts.build_rules(alerts.Store(*_where(subject, store), _runbook(store)))
    if found.get("spec") != rules:
        return failed("RulesDiffer", f"{RULE}/{name} does not say what was tested", expected=expected, observed="other rules", fix=_REPAIR)  # fmt: skip
    return _unloaded(subject, store, found) or passed("Alerted", _alerted(subject, name))


def _unloaded(subject: Subject, store: Store, rule: Manifest) -> Verdict | None:
    """Whether the operator's Prometheus, where it has one, evaluates them."""
    loaded, name = subject.snapshot.incidents.loaded, rule["metadata"]["name"]
    expected = f"the alerts of {RULE}/{name} among the rules of the operator's Prometheus"
    if loaded is None:
        return None
    if loaded.problem:
        words = f"whether the alerts of {store.name} are loaded cannot be seen: the operator's Prometheus {loaded.problem}"
        return unknown("RulesNotSeen", words, expected=expected, fix="see READINESS_PROMETHEUS of the operator, and what stands before its /api/v1/rules")  # fmt: skip
    there = {alert for *where, alert in loaded.rules if tuple(where) == _where(subject, store)}
    missing = [alert.name for alert in alerts.ALERTS if alert.name not in there]
    if not missing:
        return None
    if subject.now - stamp_of(rule["metadata"].get("creationTimestamp")) < LOADING_SECONDS:
        words = f"{RULE}/{name} is new, and the operator's Prometheus has not loaded it yet"
        return unknown("NotLoadedYet", words, expected=expected, fix="wait some minutes")
    return failed(
        "NotLoaded", f"the operator's Prometheus does not evaluate {listed(missing)} of {store.name}", expected=expected,
        observed=f"{len(there)} of {len(alerts.ALERTS)}",
        fix="READINESS_PROMETHEUS_LABELS of the operator has to match its ruleSelector, and its ruleNamespaceSelector this namespace",
    )  # fmt: skip


def _alerted(subject: Subject, name: str) -> str:
    words = f"{RULE}/{name} has an alert for every way in which backups go wrong, and for silence"
    if subject.snapshot.incidents.loaded is None:
        return f"{words}; whether a Prometheus loads them nobody was asked, as READINESS_PROMETHEUS names none"
    return f"{words}, and the operator's Prometheus evaluates them"


def judge_runbook(subject: Subject, store: Store, backups: Backups) -> Verdict:
    """BKP-008: the page is there, names what is declared now, and alerts lead to it."""
    name = _runbook(store)
    found = subject.snapshot.provided.children.get(("ConfigMap", name))
    if found is None:
        return _absent(subject, store, f"ConfigMap/{name}")
    service = next((s for s in subject.policy.data_services if s.name == store.name), None)
    page = build_runbook(way_of(store.kind, _where(subject, store), backups, service))
    if (found.get("data") or {}).get(PAGE) != page:
        return failed(
            "RunbookOutdated", f"ConfigMap/{name} is not the way back of what is declared", expected="the page for this repository",
            observed="another one", fix=_REPAIR,
        )  # fmt: skip
    if unlinked := _unlinked(subject, store):
        return failed(
            "NotLinked", f"alerts of {store.name} do not lead to ConfigMap/{name}", expected="its address in runbook_url of each",
            observed=unlinked, fix=_REPAIR,
        )  # fmt: skip
    return passed("Written", f"ConfigMap/{name} holds the way back, with and without us")


def _unlinked(subject: Subject, store: Store) -> str:
    """The first alert that leads elsewhere; where the cluster serves no rules, none does."""
    rule = subject.snapshot.provided.children.get((RULE, naming.store(store.policy, store.name, naming.BACKUP))) or {}  # fmt: skip
    rows = (each for group in (rule.get("spec") or {}).get("groups") or () for each in group.get("rules") or ())  # fmt: skip
    end = f"/{_runbook(store)}"
    return next((str(each.get("alert")) for each in rows if not _leads(each, end)), "")


def _leads(rule: Manifest, end: str) -> bool:
    return str((rule.get("annotations") or {}).get("runbook_url", "")).endswith(end)


def _absent(subject: Subject, store: Store, what: str) -> Verdict:
    """Once its backups are made, what belongs to them is missing; before, nothing has been made yet."""
    cron = ("CronJob", naming.store(store.policy, store.name, naming.BACKUP))
    if cron not in subject.snapshot.provided.children:
        return unknown("NotProvided", f"backups of {store.name} are not provided yet", expected=what, fix="see the condition Provisioned of the policy")  # fmt: skip
    return failed("Missing", f"{what} is not there", expected=what, observed="none", fix=_REPAIR)


def _runbook(store: Store) -> str:
    return naming.store(store.policy, store.name, naming.RUNBOOK)


def _where(subject: Subject, store: Store) -> tuple[str, str, str]:
    return subject.snapshot.namespace, store.policy, store.name


PLUGINS: Final = (
    Control(
        id="BKP-006", title="Backups alert", severity=Severity.P0, needs=(DECLARED,), stores=KINDS,
        criterion="A PrometheusRule of the store has, word by word, the alerts that promtool has proved: older than 26 h, missing, unwatched, failed, suspicious, "
        "retention held, restore older than 8 days, missing, failed. The operator exports their metrics, and its Prometheus, where it has one (READINESS_PROMETHEUS), evaluates them. Who is told is OBS-008's.",
        fix="install the CRDs of the Prometheus operator", judge=on_backups(judge_alerts), checklists=("002/8.a6",),
    ),
    Control(
        id="BKP-008", title="The way back is written down", severity=Severity.P0, needs=(DECLARED,), stores=KINDS,
        criterion="A ConfigMap of the store holds the commands that restore what is declared now, and every alert's runbook_url leads to it.",
        fix="let the operator provide it", judge=on_backups(judge_runbook), checklists=("002/8.a4", "003/G7"),
    ),
)  # fmt: skip
