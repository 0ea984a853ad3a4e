"""BKP-006 and BKP-008 on what the operator itself would make: rules and page as they are, and changed by somebody."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import pytest

from readiness import leaks
from readiness.api import read_policy
from readiness.backups.alerts import ALERTS
from readiness.cluster.children import path_of
from readiness.controls.recovery import PLUGINS
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.scraping import served
from readiness.dataservices.wish import Wish, children_of, order_of
from readiness.incidents import Incidents, Loaded
from readiness.model import Manifest, Result, Verdict
from readiness.snapshot import Provided, Scraping, Snapshot
from readiness.subjects import subjects_of

BASE = "checkout-cache-9cd7d755"
RULE, PAGE = ("PrometheusRule", f"{BASE}-backup"), ("ConfigMap", f"{BASE}-runbook")
BUCKET = {"s3": {"bucket": "bak", "endpoint": "https://s3.example.com", "secretRef": {"name": "writer"}}}  # fmt: skip
SPEC: Manifest = {
    "dataServices": [{"name": "cache", "redis": {}}],
    "backups": {"destination": BUCKET, "passwordSecretRef": {"name": "password-of-backups"}},
}
FRAME = Provided(images={"redis": "redis:8"}, operator_image="operator:1", scraping=Scraping(labels={"release": "stack"}))  # fmt: skip
Children = dict[tuple[str, str], Manifest]


def children() -> Children:
    policy = {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u"}, "spec": SPEC}
    wish = Wish(policy, read_policy(SPEC), 0.0, "token")
    order = order_of(wish, Snapshot("shop", provided=FRAME), wish.spec.data_services[0])
    kind = next(each for each in KINDS if each.name == "redis")
    return {(c["kind"], c["metadata"]["name"]): c for c in children_of(wish, kind, order)}


BUILT = children()


def judged(id_: str, found: Children, spec: Manifest = SPEC, unserved: tuple[str, ...] = (), loaded: Loaded | None = None) -> Verdict:  # fmt: skip
    control = next(each for each in PLUGINS if each.id == id_)
    provided = Provided(children=found, unserved=frozenset(unserved))
    subject = subjects_of("checkout", read_policy(spec), Snapshot("shop", provided=provided, incidents=Incidents(loaded=loaded)), 1_800_000_000.0)["cache"]  # fmt: skip
    return control.judge(subject, MappingProxyType({}))


def without(*places: tuple[str, str]) -> Children:
    return {place: child for place, child in BUILT.items() if place not in places}


def changed(place: tuple[str, str], change: Callable[[Any], object]) -> Children:
    found = deepcopy(BUILT)
    change(found[place])
    return found


def rule(found: Manifest, number: int = 0) -> Any:
    return found["spec"]["groups"][0]["rules"][number]


CRON = ("CronJob", f"{BASE}-backup")
ROWS: dict[str, tuple[str, Children, Result, str]] = {
    "as it was made": ("BKP-006", BUILT, Result.PASS, "Alerted"),
    "nothing is made yet": ("BKP-006", {}, Result.UNKNOWN, "NotProvided"),
    "somebody took the rules away": ("BKP-006", without(RULE), Result.FAIL, "Missing"),
    "somebody gave it more time": ("BKP-006", changed(RULE, lambda r: rule(r).update({"for": "72h"})), Result.FAIL, "RulesDiffer"),
    "somebody took one alert out": ("BKP-006", changed(RULE, lambda r: r["spec"]["groups"][0]["rules"].pop()), Result.FAIL, "RulesDiffer"),
    "a page as it was written": ("BKP-008", BUILT, Result.PASS, "Written"),
    "a page where no rules are served": ("BKP-008", without(RULE), Result.PASS, "Written"),
    "no page is made yet": ("BKP-008", without(PAGE, CRON), Result.UNKNOWN, "NotProvided"),
    "somebody took the page away": ("BKP-008", without(PAGE), Result.FAIL, "Missing"),
    "a page of another day": ("BKP-008", changed(PAGE, lambda c: c["data"].update({"runbook.md": "# Restoring"})), Result.FAIL, "RunbookOutdated"),
    "an alert that leads elsewhere": ("BKP-008", changed(RULE, lambda r: rule(r, 3)["annotations"].update(runbook_url="https://wiki/x")), Result.FAIL, "NotLinked"),
    "an alert that leads nowhere": ("BKP-008", changed(RULE, lambda r: rule(r, 8)["annotations"].pop("runbook_url")), Result.FAIL, "NotLinked"),
}  # fmt: skip


@pytest.mark.parametrize(("id_", "found", "result", "reason"), ROWS.values(), ids=ROWS)
def test_what_is_there_is_held_against_what_should_be(
    id_: str, found: Children, result: Result, reason: str
):
    verdict = judged(id_, found)

    assert (verdict.result, verdict.reason, verdict.where) == (result, reason, "DataService/cache")
    assert verdict.result is Result.PASS or (verdict.expected and verdict.fix)
    assert verdict.result is not Result.FAIL or verdict.observed


def test_a_page_for_another_repository_is_no_way_back():
    moved = SPEC | {"backups": SPEC["backups"] | {"destination": {"s3": BUCKET["s3"] | {"prefix": "new"}}}}  # fmt: skip

    assert judged("BKP-008", BUILT, moved).reason == "RunbookOutdated"


def test_where_no_rules_are_served_nobody_knows_who_is_told():
    verdict = judged("BKP-006", without(RULE), unserved=("PrometheusRule",))

    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "RulesNotServed")
    assert "readiness render" in verdict.fix
    assert RULE not in {(c["kind"], c["metadata"]["name"]) for c in served(BUILT.values(), ("PrometheusRule",))}  # fmt: skip


def test_rules_carry_the_labels_by_which_prometheus_picks_them_and_the_page_no_secret():
    labels = BUILT[RULE]["metadata"]["labels"]

    assert labels["release"] == "stack"
    assert labels["readiness.dev/data-service"] == "cache"
    assert leaks.scan_config_map(BUILT[PAGE]) == ()


def test_every_alert_leads_to_the_page_by_its_address_in_the_cluster():
    said = [each["annotations"] for each in BUILT[RULE]["spec"]["groups"][0]["rules"]]

    assert {each["runbook_url"] for each in said} == {f"https://kubernetes.default.svc/api/v1/namespaces/shop/configmaps/{PAGE[1]}"}  # fmt: skip
    assert path_of(BUILT[PAGE]) in said[0]["runbook_url"]
    assert {each["runbook"] for each in said} == {f"kubectl -n shop get configmap {PAGE[1]} -o jsonpath='{{.data.runbook\\.md}}'"}  # fmt: skip
    assert all(each["summary"] and each["description"] for each in said)


def test_no_backups_no_page():
    none = {"dataServices": [{"name": "cache", "redis": {}, "backup": {"enabled": False}}]}

    assert judged("BKP-006", {}, SPEC | none).reason == "NoBackupWanted"
    assert judged("BKP-008", {}, SPEC | none).reason == "NoBackupWanted"


NAMES = frozenset(("shop", "checkout", "cache", alert.name) for alert in ALERTS)
NEW = {"creationTimestamp": "2027-01-15T07:55:00Z"}  # five minutes before


@pytest.mark.parametrize(
    ("loaded", "rule", "result", "reason", "says"),
    [
        (None, {}, Result.PASS, "Alerted", "READINESS_PROMETHEUS names none"),
        (Loaded(NAMES), {}, Result.PASS, "Alerted", "and the operator's Prometheus evaluates them"),
        (Loaded(NAMES | {("other", "checkout", "cache", "X")}), {}, Result.PASS, "Alerted", "evaluates them"),
        (Loaded(), {}, Result.FAIL, "NotLoaded", "ReadinessBackupOld"),
        (Loaded(NAMES - {("shop", "checkout", "cache", "ReadinessBackupMissing")}), {}, Result.FAIL, "NotLoaded", "does not evaluate ReadinessBackupMissing of cache"),
        (Loaded(frozenset(("other", *rest) for _, *rest in NAMES)), {}, Result.FAIL, "NotLoaded", "of cache"),
        (Loaded(), NEW, Result.UNKNOWN, "NotLoadedYet", "has not loaded it yet"),
        (Loaded(problem="answers 503"), {}, Result.UNKNOWN, "RulesNotSeen", "the operator's Prometheus answers 503"),
    ],
)  # fmt: skip
def test_alerts_are_loaded_where_a_prometheus_is_known(loaded: Loaded | None, rule: Manifest, result: Result, reason: str, says: str):  # fmt: skip
    verdict = judged("BKP-006", changed(RULE, lambda c: c["metadata"].update(rule)), loaded=loaded)

    assert (verdict.result, verdict.reason) == (result, reason)
    assert says in verdict.message
