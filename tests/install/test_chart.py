"""The chart: what it renders, what it refuses, and that everything derived from it is up to date."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from readiness import settings
from readiness.cluster import own, project

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/readiness-operator"
sys.path.append(str(ROOT / "manifests"))

import generate  # noqa: E402 (a script beside the files it writes)

Objects = dict[tuple[str, str], dict[str, Any]]
NAME = "readiness-operator"
READ = ["get", "list", "watch"]
helm = pytest.mark.api  # helm is built from its Go module where it is not installed


def objects(*options: str, crds: bool = False) -> Objects:
    return {
        (each["kind"], each["metadata"]["name"]): each
        for each in generate.render(*options, crds=crds)
    }


def committed() -> Objects:
    found = yaml.load_all((ROOT / "manifests/base/operator.yaml").read_text(), yaml.CSafeLoader)
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def rules(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@helm
def test_everything_derived_is_up_to_date() -> None:
    assert generate.stale() == [], "run manifests/generate.py"


def test_crd_copies_are_the_originals() -> None:
    copies = {path.name: path.read_text() for path in (CHART / "files/crds").glob("*.yaml")}
    assert copies == {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    assert len(copies) == 4


def test_operator_reads_what_controls_read_and_no_secret() -> None:
    granted = rules(committed()["ClusterRole", NAME])
    seen = {(kind.api.rpartition("/")[0], kind.plural) for kind in project.KINDS}
    ours = {("readiness.dev", plural) for plural in own.PLURALS.values()}
    reads = {(group, name, verb) for group, name in seen | ours for verb in ("list", "watch")}
    single = {
        ("readiness.dev", "readinesspolicies", "get"),
        ("readiness.dev", "readinessreports", "get"),
    }
    writes = {
        ("readiness.dev", "readinesspolicies/status", "patch"),
        ("events.k8s.io", "events", "create"),
        ("events.k8s.io", "events", "patch"),
        *(("readiness.dev", "readinessreports", verb) for verb in ("create", "patch", "delete")),
    }
    assert granted == reads | single | writes
    assert not {resource for _, resource, _ in granted} & {"secrets", "*"}


def test_no_wildcard_and_lease_only_at_home() -> None:
    found = committed()
    roles = [each for (kind, _), each in found.items() if kind in ("Role", "ClusterRole")]
    assert not {part for role in roles for rule in rules(role) for part in rule if "*" in part}
    assert {resource for _, resource, _ in rules(found["Role", NAME])} == {"leases"}


def test_people_write_policies_never_verdicts_or_waivers() -> None:
    found = committed()
    edit, view = (rules(found["ClusterRole", f"{NAME}-{role}"]) for role in ("edit", "view"))
    assert {resource for _, resource, _ in edit} == {"readinesspolicies"}
    assert {verb for _, _, verb in view} == set(READ)
    approver = found["ClusterRole", f"{NAME}-waiver-approver"]
    assert not [label for label in approver["metadata"]["labels"] if "aggregate" in label]
    assert {resource for _, resource, _ in rules(approver)} == {"readinesswaivers"}


def test_pod_is_restricted() -> None:
    pod = committed()["Deployment", NAME]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert pod["enableServiceLinks"] is False, (
        "READINESS_OPERATOR_SERVICE_HOST would be an unknown setting"
    )
    assert pod["terminationGracePeriodSeconds"] > settings.Settings().stop_timeout + 10


def environment(deployment: dict[str, Any]) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {row["name"]: row.get("value", "from-field") for row in container["env"]}


def test_environment_is_what_settings_read() -> None:
    read = settings.Settings.read(environment(committed()["Deployment", NAME]))
    assert read.identity == read.operator_namespace == "from-field"
    assert read.lease_name == NAME


@helm
def test_values_reach_the_settings() -> None:
    found = objects(
        "--set",
        "egress.allow={*.example.com,10.0.0.0/8},egress.deny={192.0.2.0/24},log.level=debug",
    )
    read = settings.Settings.read(environment(found["Deployment", NAME]))
    assert read.egress_allow == ("*.example.com", "10.0.0.0/8")
    assert (read.denied_addresses, read.log_level) == (("192.0.2.0/24",), "debug")


@helm
def test_drills_reach_the_settings() -> None:
    images = "drills.parallel=1,drills.images.redis=redis:8,drills.images.mongodb=mongo:8,drills.images.rabbitmq=rabbit:4"
    read = settings.Settings.read(environment(objects("--set", images)["Deployment", NAME]))
    assert (read.drills_parallel, read.drills_redis_image) == (1, "redis:8")
    assert (read.drills_mongodb_image, read.drills_rabbitmq_image) == ("mongo:8", "rabbit:4")
    bare = settings.Settings.read(environment(committed()["Deployment", NAME]))
    assert bare.image == "readiness-operator:0.1.0"
    assert (bare.drills_redis_image, bare.drills_parallel) == (
        "",
        settings.Settings().drills_parallel,
    )


@helm
def test_images_of_data_services_reach_the_settings() -> None:
    images = "provision.images.redis=redis:8,provision.images.mongodb=mongo:8,provision.images.rabbitmq=rabbit:4,provision.images.resident=operator:0.9,provision.preview={mongodb}"
    read = settings.Settings.read(environment(objects("--set", images)["Deployment", NAME]))
    assert read.stores_redis_image == "redis:8"
    assert (read.stores_mongodb_image, read.stores_rabbitmq_image) == ("mongo:8", "rabbit:4")
    assert read.stores_resident_image == "operator:0.9"
    assert read.stores_preview == ("mongodb",)


@helm
def test_how_metrics_are_read_reaches_the_settings() -> None:
    given = "provision.images.redis-exporter=redis_exporter:1,prometheus.namespaces={monitoring,ops},prometheus.labels.release=prom,prometheus.labels.team=shop"
    read = settings.Settings.read(environment(objects("--set", given)["Deployment", NAME]))
    assert read.stores_redis_exporter_image == "redis_exporter:1"
    assert read.prometheus_namespaces == ("monitoring", "ops")
    assert read.prometheus_labels == (("release", "prom"), ("team", "shop"))


@helm
def test_data_services_are_granted_per_namespace() -> None:
    found = generate.render("--set", "provision.namespaces={shop,blog}", crds=False)
    granted = [each for each in found if each["metadata"]["name"] == "readiness-provision"]
    assert sorted((each["kind"], each["metadata"]["namespace"]) for each in granted) == [
        ("Role", "blog"), ("Role", "shop"), ("RoleBinding", "blog"), ("RoleBinding", "shop"),
    ]  # fmt: skip
    assert not any(each["metadata"]["name"] == "readiness-provision" for each in generate.render())


@helm
def test_prometheus_reaches_the_settings() -> None:
    given = "prometheus.url=http://prometheus.monitoring:9090"
    read = settings.Settings.read(environment(objects("--set", given)["Deployment", NAME]))
    assert read.prometheus == "http://prometheus.monitoring:9090"
    assert read.prometheus_matchers == settings.Settings().prometheus_matchers
    assert settings.Settings.read(environment(committed()["Deployment", NAME])).prometheus == ""


@helm
def test_drills_are_granted_per_namespace() -> None:
    found = generate.render(
        "--set", "drills.namespaces={shop,blog},imagePullSecrets[0].name=pull", crds=False
    )
    drills = [each for each in found if each["metadata"]["name"].startswith("readiness-drill")]
    assert {each["metadata"]["namespace"] for each in drills} == {"shop", "blog"}
    assert len(drills) == len({(each["kind"], each["metadata"]["name"]) for each in drills}) * 2
    assert {
        each["imagePullSecrets"][0]["name"] for each in drills if each["kind"] == "ServiceAccount"
    } == {"pull"}
    bound = {
        (each["metadata"]["name"], each["metadata"]["namespace"]): each["subjects"][0]
        for each in drills
        if each["kind"] == "RoleBinding"
    }
    assert bound["readiness-drill", "blog"] == {
        "kind": "ServiceAccount",
        "name": "readiness-drill",
        "namespace": "blog",
    }
    assert bound["readiness-drill-operator", "shop"] == {
        "kind": "ServiceAccount",
        "name": NAME,
        "namespace": "readiness-system",
    }
    assert not [key for key in committed() if key[1].startswith("readiness-drill")]


@helm
def test_evictions_are_granted_per_namespace_and_to_nobody_by_default() -> None:
    found = generate.render("--set", "disruptive.namespaces={shop}", crds=False)
    failover = [e for e in found if e["metadata"]["name"].startswith("readiness-failover")]
    rules = {e["metadata"]["name"]: e["rules"] for e in failover if e["kind"] == "Role"}

    assert {each["metadata"]["namespace"] for each in failover} == {"shop"}
    assert rules["readiness-failover"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
    ]
    assert not [key for key in committed() if key[1].startswith("readiness-failover")]


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_drills_of_one_namespace_without_helm(tmp_path: Path) -> None:
    base = os.path.relpath(ROOT / "manifests/drills", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(f"namespace: shop\nresources: [{base}]\n")
    done = subprocess.run(
        ["kubectl", "kustomize", str(tmp_path)], check=True, capture_output=True, text=True
    )
    built = list(yaml.safe_load_all(done.stdout))
    text = (ROOT / "manifests/drills/drills.yaml").read_text().replace("your-namespace", "shop")

    def order(each: dict[str, Any]) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    assert sorted(built, key=order) == sorted(yaml.safe_load_all(text), key=order)


REFUSED = [
    ("replicaCoun=2", "replicaCoun"),
    ("image.digest=sha256:abc", "digest"),
    ("image.repository=a:b", "repository"),
    ("log.level=loud", "level"),
    ("egress.allow={https://example.com/x}", "allow"),
    ("crds.keep=false", "keep"),
    ("drills.namespaces={Shop}", "namespaces"),
    ("drills.namespaces={shop,shop}", "namespaces"),
    ("drills.images.mysql=mysql:9", "mysql"),
    ("provision.namespaces={Shop}", "namespaces"),
    ("provision.images.mysql=mysql:9", "mysql"),
    ("drills.parallel=0", "parallel"),
    ("metrics.serviceMonitor.enabled=true", "enabled"),
    ("replicaCount=0", "replicaCount"),
]


@helm
@pytest.mark.parametrize(("option", "named"), REFUSED)
def test_refuses(option: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        objects("--set", option)


OPTIONS = [
    ("replicaCount=1", ("PodDisruptionBudget", NAME), False),
    ("pdb.create=false", ("PodDisruptionBudget", NAME), False),
    ("networkPolicy.create=false", ("NetworkPolicy", NAME), False),
    ("rbac.aggregate=false", ("ClusterRole", f"{NAME}-edit"), False),
    ("rbac.create=false", ("ClusterRole", NAME), False),
    ("serviceAccount.create=false", ("ServiceAccount", NAME), False),
    ("metrics.serviceMonitor.create=true", ("ServiceMonitor", NAME), True),
    ("flowSchema.create=true", ("FlowSchema", NAME), True),
]


@helm
@pytest.mark.parametrize(("option", "key", "present"), OPTIONS)
def test_switches(option: str, key: tuple[str, str], *, present: bool) -> None:
    assert (key in objects()) != present
    assert (key in objects("--set", option)) == present


FULL = """
image: {repository: registry.example.com:5000/ops/readiness, digest: "sha256:%s"}
imagePullSecrets: [{name: pull}]
fullnameOverride: gate
commonLabels: {team: platform}
serviceAccount: {name: other, annotations: {a: b}}
egress: {allow: [shop.example.com]}
extraEnv: [{name: HTTPS_PROXY, value: "http://proxy"}]
podAnnotations: {a: b}
podLabels: {c: d}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {}}
topologySpreadConstraints: [{topologyKey: rack, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]
priorityClassName: system-cluster-critical
networkPolicy: {metricsFrom: [{namespaceSelector: {matchLabels: {name: monitoring}}}]}
metrics: {serviceMonitor: {create: true, labels: {release: prometheus}}}
flowSchema: {create: true}
""" % ("a" * 64)  # fmt: skip


@helm
def test_every_value_has_its_effect(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(FULL)
    found = objects("--values", str(values))
    template = found["Deployment", "gate"]["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    assert container["image"] == f"registry.example.com:5000/ops/readiness@sha256:{'a' * 64}"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert [row["topologyKey"] for row in pod["topologySpreadConstraints"]] == ["rack"]
    assert (pod["nodeSelector"], pod["tolerations"]) == (
        {"kubernetes.io/os": "linux"},
        [{"operator": "Exists"}],
    )
    assert template["metadata"]["annotations"]["a"] == "b"
    assert template["metadata"]["labels"]["c"] == "d"
    assert pod["serviceAccountName"] == "other"
    assert found["ClusterRoleBinding", "gate"]["subjects"][0]["name"] == "other"
    assert found["ServiceAccount", "other"]["metadata"]["annotations"] == {"a": "b"}
    assert found["NetworkPolicy", "gate"]["spec"]["ingress"][0]["from"]
    assert found["ServiceMonitor", "gate"]["metadata"]["labels"]["release"] == "prometheus"
    assert all(each["metadata"]["labels"]["team"] == "platform" for each in found.values())


def test_every_value_is_in_the_schema_and_used() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    assert set(values) == set(schema["properties"]) - {"global"}
    templates = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    assert [key for key in values if f".Values.{key}" not in templates] == []


@helm
def test_crds_are_kept_and_whole() -> None:
    found = [
        each for (kind, _), each in objects(crds=True).items() if kind == "CustomResourceDefinition"
    ]
    assert len(found) == 4
    for each in found:
        original = yaml.safe_load(
            (ROOT / f"crds/readiness.dev_{each['spec']['names']['plural']}.yaml").read_text()
        )
        assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert each["spec"] == original["spec"]
