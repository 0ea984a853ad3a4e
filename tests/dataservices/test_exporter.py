"""What tells Prometheus of data services: exporters beside their members, ServiceMonitors where they can be, and what is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from rendered import IMAGES, NAME, built, wish_of

from readiness.dataservices.kinds import KINDS
from readiness.dataservices.provision import provide
from readiness.model import Manifest
from readiness.snapshot import Provided, Scraping, Snapshot

PLACES = {"redis": 9121, "mongodb": 9216}
METRICS = {"redis": 6, "mongodb": 3, "rabbitmq": 1}
TLS = {"tls": {"secretRef": {"name": "cache-tls"}}}
FOUND = {"metrics": {"serviceMonitor": True}}


def container(found: dict[str, Manifest]) -> Manifest:
    (only,) = found["Deployment/exporter"]["spec"]["template"]["spec"]["containers"]
    return dict(only)


def env(found: dict[str, Manifest]) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(found)["env"]}


@pytest.mark.parametrize("kind", PLACES)
def test_an_exporter_is_no_affair_of_the_members(kind: str):
    found = built(kind)
    pod = found["Deployment/exporter"]["spec"]["template"]["spec"]
    without = built(kind, images={kind: f"{kind}:1"})

    assert container(found)["image"] == f"{kind}_exporter:1"
    assert found["StatefulSet/"] == without["StatefulSet/"], "with it or without it, no member starts again"  # fmt: skip
    assert not any("exporter" in each for each in without)
    labels = found["Deployment/exporter"]["spec"]["template"]["metadata"]["labels"]
    for other in ("Service/", "PodDisruptionBudget/", "StatefulSet/", "NetworkPolicy/"):
        spec = found.get(other, {}).get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {"none": ""}
        assert not selector.get("matchLabels", selector).items() <= labels.items()
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("allowPrivilegeEscalation", False),
        ("readOnlyRootFilesystem", True),
        ("capabilities", {"drop": ["ALL"]}),
    ],
)
def test_its_container_may_nothing(kind: str, key: str, value: Any):
    made = container(built(kind))

    assert made["securityContext"][key] == value
    assert made["resources"]["limits"].keys() == {"memory"}
    assert made["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "command" not in made, "where an image has its program is the image's affair"


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize(
    ("namespaces", "rule"),
    [
        ((), {}),
        (("monitoring",), {"from": [{"podSelector": {}}, {"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["monitoring"]}]}}]}),
    ],
)  # fmt: skip
def test_its_wall_lets_scrapers_in_and_itself_to_the_members_only(
    kind: str, namespaces: tuple[str, ...], rule: Any
):
    found = built(kind, scraping=Scraping(namespaces))
    wall = found["NetworkPolicy/exporter"]["spec"]

    assert wall["ingress"] == [{**rule, "ports": [{"port": PLACES[kind], "protocol": "TCP"}]}]
    assert wall["policyTypes"] == ["Ingress", "Egress"]
    *members, names = wall["egress"]
    assert [port["port"] for port in names["ports"]] == [53, 53]
    reached = {port["port"] for each in members for port in each["ports"]}
    assert reached == {"redis": {6379, 26379}, "mongodb": {27017}}[kind]
    assert all(each["to"][0]["podSelector"]["matchLabels"] for each in members)


def test_metrics_of_a_rabbitmq_are_its_own_and_have_the_same_readers():
    open_ = built("rabbitmq")["NetworkPolicy/"]["spec"]["ingress"][-1]
    named = built("rabbitmq", scraping=Scraping(("monitoring",)))["NetworkPolicy/"]["spec"]["ingress"][-1]  # fmt: skip

    assert open_ == {"ports": [{"port": 15692, "protocol": "TCP"}]}
    assert named["ports"] == open_["ports"]
    assert [list(each) for each in named["from"]] == [["podSelector"], ["namespaceSelector"]]


def test_the_exporter_of_a_redis_has_passwords_for_its_servers_and_nobody_else():
    found = built("redis")
    text = base64.b64decode(found["Secret/access"]["data"]["exporter.json"]).decode()
    logins = json.loads(text)
    password = base64.b64decode(found["Secret/credentials"]["data"]["exporter"]).decode()

    hosts = [f"{NAME}-{n}.{NAME}-members.shop.svc:6379" for n in range(3)]
    hosts += [f"{NAME}-sentinel-{n}.{NAME}-sentinels.shop.svc:26379" for n in range(3)]
    assert logins == {f"redis://exporter@{host}": password for host in hosts}
    assert env(found)["REDIS_ADDR"] == "", "it asks only whom it is told to"
    assert env(found)["REDIS_EXPORTER_CONFIG_COMMAND"] == "-", "CONFIG GET answers with passwords"
    assert "REDIS_PASSWORD" not in env(found), "one that would be sent to whomever a caller names"
    acls = base64.b64decode(found["Secret/access"]["data"]["member.acl"]).decode()
    assert "user exporter on #" in acls
    assert " -@all +ping +info +latency|latest +latency|histogram +slowlog|len\n" in acls


def test_with_tls_it_speaks_nothing_else():
    found = built("redis", TLS)

    assert env(found)["REDIS_EXPORTER_TLS_CA_CERT_FILE"] == "/tls/ca.crt"
    assert env(found)["REDIS_EXPORTER_TLS_SERVER_KEY_FILE"] == "/tls/tls.key"
    assert container(found)["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    logins = base64.b64decode(found["Secret/access"]["data"]["exporter.json"]).decode()
    assert all(each.startswith("rediss://") for each in json.loads(logins))


def test_the_exporter_of_a_mongodb_is_told_its_members_and_logs_in_as_monitor():
    found = built("mongodb")

    hosts = [f"mongodb://{NAME}-{n}.{NAME}-members.shop.svc:27017" for n in range(3)]
    assert env(found)["MONGODB_URI"] == ",".join(hosts)
    assert env(found)["MONGODB_USER"] == "monitor"
    assert env(found)["MONGODB_PASSWORD"] == {"secretKeyRef": {"name": f"{NAME}-credentials", "key": "monitor"}}  # fmt: skip


@pytest.mark.parametrize("kind", PLACES)
def test_a_new_password_or_member_starts_it_again_and_nothing_else_does(kind: str):
    def template(spec: dict[str, Any] | None = None, **credentials: str) -> Any:
        user = {"redis": "exporter", "mongodb": "monitor"}[kind]
        known = {"cache": {user: "old", **credentials}}
        return built(kind, spec, credentials=known)["Deployment/exporter"]["spec"]["template"]

    user = {"redis": "exporter", "mongodb": "monitor"}[kind]
    assert template() == template()
    assert template() == template(app="another")
    assert template() != template(**{user: "new"})
    assert template() != template({"replicas": 5})


@pytest.mark.parametrize("kind", METRICS)
def test_a_service_monitor_is_made_when_it_is_asked_for(kind: str):
    assert "ServiceMonitor/" not in built(kind)

    found = built(kind, FOUND, scraping=Scraping((), {"release": "prom"}))
    monitor = found["ServiceMonitor/"]
    own = {"readiness.dev/policy": "checkout", "readiness.dev/data-service": "cache"}
    assert monitor["metadata"]["labels"].items() >= {"release": "prom", **own}.items()
    assert monitor["spec"]["selector"] == {"matchLabels": own}
    assert monitor["spec"]["targetLabels"] == [*own]
    assert len(monitor["spec"]["endpoints"]) == METRICS[kind]
    named = [c for c in found.values() if c["kind"] == "Service" and any(p["name"] == "metrics" for p in c["spec"]["ports"])]  # fmt: skip
    assert len(named) == 1, "every other Service of the same labels would be scraped, too"
    assert named[0]["metadata"]["labels"].items() >= own.items()
    assert list(found)[-1] == "ServiceMonitor/", "what may fail comes last"


@pytest.mark.parametrize("kind", PLACES)
def test_each_member_is_read_under_its_own_name(kind: str):
    first = built(kind, FOUND)["ServiceMonitor/"]["spec"]["endpoints"][0]
    host = f"{NAME}-0.{NAME}-members.shop.svc"

    target = {"redis": f"redis://{host}:6379", "mongodb": f"{host}:27017"}[kind]
    assert first == {
        "port": "metrics", "path": "/scrape", "params": {"target": [target]},
        "relabelings": [{"targetLabel": "instance", "replacement": host}, {"targetLabel": "pod", "replacement": f"{NAME}-0"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), [("redis", f"{NAME}-sentinel.shop.svc"), ("rabbitmq", f"{NAME}.shop.svc")]
)
def test_with_tls_prometheus_believes_the_authority_and_a_name_of_the_certificate(kind: str, name: str):  # fmt: skip
    for each in built(kind, {**FOUND, **TLS})["ServiceMonitor/"]["spec"]["endpoints"]:
        assert each["scheme"] == "https"
        assert each["tlsConfig"] == {"ca": {"secret": {"name": "cache-tls", "key": "ca.crt"}}, "serverName": name}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "frame", "reason", "words"),
    [
        ("redis", {}, "", ""),
        ("redis", {"unserved": frozenset({"Rollout"})}, "", ""),
        ("redis", {"unserved": frozenset({"ServiceMonitor"})}, "MonitorNotServed", "install the CRDs of the Prometheus operator"),
        ("rabbitmq", {"unserved": frozenset({"ServiceMonitor"})}, "MonitorNotServed", f"ServiceMonitor/{NAME} cannot be made"),
        ("redis", {"images": {"redis": "redis:1"}}, "NoExporter", "READINESS_STORES_REDIS_EXPORTER_IMAGE"),
        ("mongodb", {"images": {"mongodb": "mongodb:1"}}, "NoExporter", "READINESS_STORES_MONGODB_EXPORTER_IMAGE"),
    ],
)  # fmt: skip
def test_what_is_in_the_way_of_metrics_is_told_and_stops_nothing(
    kind: str, frame: dict[str, Any], reason: str, words: str
):
    provided = Provided(**{"images": IMAGES, "preview": ("mongodb",), **frame})
    decided = provide(wish_of(kind, FOUND), Snapshot("shop", provided=provided), KINDS)
    written = {write.child["kind"] for write in decided.writes}

    (service,) = decided.services
    assert (service.reason, service.obstacles) == (reason, ())
    assert words in service.doing
    assert "StatefulSet" in written
    assert ("ServiceMonitor" in written) is (reason == "")


@pytest.mark.parametrize(
    ("status", "reason"), [({"readyReplicas": 1}, ""), ({"replicas": 1}, "ExporterNotReady")]
)
def test_an_exporter_that_does_not_run_is_told_of_and_stops_nothing(status: Manifest, reason: str):
    there = {**built("redis")["Deployment/exporter"], "status": status}
    provided = Provided(images=IMAGES, children={("Deployment", f"{NAME}-exporter"): there})
    (service,) = provide(wish_of("redis", {}), Snapshot("shop", provided=provided), KINDS).services

    assert (service.reason, service.obstacles) == (reason, ())
    assert not reason or f"kubectl describe deployment {NAME}-exporter" in service.doing
