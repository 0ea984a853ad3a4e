"""D2: every name of a declared store leads a clone to the throw-away one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.drills.hosts import is_local, spellings
from readiness.script import Store, Upstream

from .cloning import CACHE, PLACE, clone, deployment, refused

HERE = ("cache", "cache.shop", "cache.shop.svc", "cache.shop.svc.cluster.local")
POD = {
    "cache-0.cache", "cache-0.cache.shop", "cache-0.cache.shop.svc", "cache-0.cache.shop.svc.cluster.local",
    "cache-0.cache.svc", "cache-0.cache.svc.cluster.local",
}  # fmt: skip


def aliases(*stores: Store, **given: Any) -> dict[str, list[str]]:
    workload = deployment(**given)
    found = clone(workload, stores=stores)["spec"]["hostAliases"]
    return {each["ip"]: each["hostnames"] for each in found}


@pytest.mark.parametrize("host", HERE)
def test_a_service_is_known_by_each_of_its_names_whichever_is_declared(host: str):
    assert set(HERE) <= set(spellings(host, "shop"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("cache", set(HERE)),
        ("cache.infra.svc", {"cache.infra", "cache.infra.svc", "cache.infra.svc.cluster.local"}),
        ("cache.shop.svc.corp.local", {*HERE, "cache.shop.svc.corp.local"}),
        ("cache-0.cache", POD),
        ("a.b.cache.example.com", {"a.b.cache.example.com"}),
    ],
)
def test_spellings(host: str, expected: set[str]):
    assert set(spellings(host, "shop")) == expected


def test_all_hosts_of_all_stores_lead_away():
    db = Store("db", "mongodb", ("db-0.db.shop.svc", "a.b.mongo.example.com"), 27017)
    found = aliases(CACHE, db)

    assert found["10.1.1.1"] == sorted(HERE)
    assert {"db-0.db", "db-0.db.shop.svc.cluster.local", "a.b.mongo.example.com"} <= set(
        found["10.1.1.2"]
    )


def test_the_templates_own_aliases_stay_and_ours_win():
    own = [
        {"ip": "10.7.7.7", "hostnames": ["Cache.shop", "legacy", "localhost"]},
        {"ip": "10.7.7.8", "hostnames": ["cache"]},
    ]
    found = aliases(CACHE, hostAliases=own)

    assert found == {"10.1.1.1": sorted(HERE), "10.7.7.7": ["legacy"]}


def test_hosts_of_an_upstream_lead_to_the_sink_where_there_is_one():
    calls = Upstream("llm", "LLM_URL", hosts=("API.example.com", "llm"))
    found = clone(deployment(), upstreams=(calls,))["spec"]["hostAliases"]
    without = clone(deployment(), place=replace(PLACE, sinks={}), upstreams=(calls,))

    assert [each["ip"] for each in found] == ["10.1.1.9"]
    assert {"api.example.com", "llm", "llm.shop.svc"} <= set(found[0]["hostnames"])
    assert without["spec"]["hostAliases"] == []


def test_a_store_beside_the_application_is_its_own():
    assert aliases(Store("side", "redis", ("localhost", "127.0.0.1"), 6379)) == {}


@pytest.mark.parametrize("host", ["10.0.0.7", "2001:db8::1", "0x0a000007", "1.2", "my_cache", "cache.", "", "-a"])  # fmt: skip
def test_what_is_no_name_cannot_be_led_away(host: str):
    problem = refused(deployment(), stores=(Store("cache", "redis", (host,), 6379),))

    assert problem.reason == "Refused"
    assert "store cache is known by" in problem.words
    assert "Service" in problem.fix


@pytest.mark.parametrize("stores", [{}, {"cache": ""}])
def test_without_a_throw_away_store_no_clone_meets_the_real_one(stores: dict[str, str]):
    place = replace(PLACE, stores=stores)

    assert refused(deployment(), place=place, stores=(CACHE,)).reason == "StoreUnavailable"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("redis.localhost", True), ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True),
        ("[::1]", True), ("0.0.0.0", True), ("::", True), ("10.0.0.1", False), ("localhost.evil", False),
        ("", False), ("127.0.0.1.nip.io", False),
    ],
)  # fmt: skip
def test_what_is_the_pod_itself(host: str, local: bool):
    assert is_local(host) is local
