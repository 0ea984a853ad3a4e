"""TLS of data services: what a Secret is good for, what is refused, and what is rendered."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from bench import CACHE, Bench, bench
from certificates import secret_of
from toykind import NOW, wish

from readiness.api.dataservice import DataService
from readiness.cluster.certificates import certificate_of
from readiness.dataservices.kind import Kind
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.order import Order
from readiness.dataservices.provision import provide
from readiness.dataservices.telling import provisioned_of
from readiness.dataservices.tls import changed_tls
from readiness.model import Manifest
from readiness.snapshot import Certificate, Provided, Snapshot

__all__ = ["bench"]
AUTHORITY, OTHER = trustme.CA(), trustme.CA()
GOOD = secret_of("keys", AUTHORITY, "*.a.svc", "b.svc")
BY_NAME = {kind.name: kind for kind in KINDS}


def changed(**data: str | None) -> Manifest:
    """The good Secret with some of its keys replaced, or without them."""
    found = {**GOOD["data"], **data}
    return {**GOOD, "data": {key: text for key, text in found.items() if text is not None}}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


STRANGER = secret_of("keys", OTHER, "b.svc")["data"]
OLD = secret_of("keys", AUTHORITY, "b.svc", until=datetime.now(UTC) - timedelta(hours=1))
TRIED: list[tuple[Manifest | None, str]] = [
    (GOOD, ""),
    (None, "does not exist"),
    ({"metadata": {"name": "keys"}}, "has no tls.crt and no tls.key and no ca.crt"),
    (changed(**{"ca.crt": None}), "has no ca.crt"),
    (changed(**{"tls.key": STRANGER["tls.key"]}), "holds no PEM, or a key that does not belong to the certificate"),
    (changed(**{"tls.crt": encoded("no certificate")}), "holds no PEM, or a key that does not belong to the certificate"),
    (changed(**{"ca.crt": encoded("no certificate")}), "holds no PEM, or a key that does not belong to the certificate"),
    (changed(**{"ca.crt": "!"}), "holds no PEM, or a key that does not belong to the certificate"),
    (changed(**{"ca.crt": STRANGER["ca.crt"]}), "holds a certificate that ca.crt does not vouch for: unable to get local issuer certificate"),
    (OLD, "holds a certificate that ca.crt does not vouch for: certificate has expired"),
]  # fmt: skip


@pytest.mark.parametrize(("secret", "problem"), TRIED, ids=[row[1][:40] for row in TRIED])
def test_a_secret_is_tried_out(secret: Manifest | None, problem: str):
    found = certificate_of("keys", secret)

    assert found.problem == problem
    if not problem:
        assert found == Certificate("keys", AUTHORITY.cert_pem.bytes().decode(), ("*.a.svc", "b.svc"), mutual=True)  # fmt: skip
        assert [found.is_for(name) for name in ("x.a.svc", "b.svc", "a.svc", "x.y.a.svc", "c.svc")] == [True, True, False, False, False]  # fmt: skip


def test_a_certificate_for_servers_only_is_told_from_one_that_also_calls(tmp_path: Path):
    """As who signs his own makes it."""
    files = {"tls.key": tmp_path / "key", "tls.crt": tmp_path / "crt"}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x",
         "-addext", "subjectAltName=DNS:b.svc", "-addext", "extendedKeyUsage=serverAuth",
         "-keyout", str(files["tls.key"]), "-out", str(files["tls.crt"])],
        check=True, capture_output=True,
    )  # fmt: skip
    files["ca.crt"] = files["tls.crt"]
    data = {key: encoded(path.read_text()) for key, path in files.items()}
    found = certificate_of("keys", {"data": data})

    assert (found.problem, found.names, found.mutual) == ("", ("b.svc",), False)


def ordered(kind: str, certificate: Certificate | None = None, **spec: Any) -> Order:
    given = {"tls": {"secretRef": {"name": "keys"}}, **spec}
    service = DataService.model_validate({"name": "cache", kind: given})
    known = {each.key: each.key for each in BY_NAME[kind].credentials}
    return Order("shop", "checkout", service, "image", "op", "ops", 3, known, certificate=certificate)  # fmt: skip


def named(kind: str) -> tuple[str, ...]:
    """Every name of a service, as its refusal asks for them."""
    (refusal,) = BY_NAME[kind].problems(ordered(kind, Certificate("keys", "ca", (), mutual=True)))
    return tuple(refusal.fix.removeprefix("issue it for ").split(", "))


def test_it_is_asked_for_every_name():
    set_ = "checkout-cache-9cd7d755"
    assert named("redis") == (f"*.{set_}-members.shop.svc", f"*.{set_}-sentinels.shop.svc", f"{set_}-sentinel.shop.svc")  # fmt: skip
    assert named("rabbitmq") == (f"*.{set_}-nodes.shop.svc", f"{set_}.shop.svc")


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_what_is_of_no_use_is_refused_with_the_command(kind: str):
    def refused(**given: Any) -> list[tuple[str, str, str]]:
        found = Certificate("keys", **{"ca": "ca", "names": named(kind), "mutual": True, **given})
        return [(r.reason, r.message, r.fix) for r in BY_NAME[kind].problems(ordered(kind, found))]

    assert refused() == []
    assert BY_NAME[kind].problems(ordered(kind)) == (), "without a cluster nobody knows"
    ((reason, message, fix),) = refused(problem="does not exist")
    assert (reason, message) == ("CertificateUnusable", "Secret/keys does not exist")
    assert fix.startswith("kubectl -n shop create secret generic keys --from-file=tls.crt --from-file=tls.key --from-file=ca.crt")  # fmt: skip
    ((_, message, _),) = refused(names=named(kind)[1:])
    assert message == f"Secret/keys: its certificate is not for {named(kind)[0]}"
    hosts = [name for name in named(kind) if not name.startswith("*")]
    for part in (n.removeprefix("*.") for n in named(kind) if n.startswith("*")):
        hosts += [f"{part.partition('.')[0].rpartition('-')[0]}{'-sentinel' if 'sentinel' in part else ''}-{n}.{part}" for n in range(3)]  # fmt: skip
    assert refused(names=tuple(hosts)) == [], "each by its name is as good"
    assert len(refused(mutual=False)) == (kind == "rabbitmq"), "only its members call each other"


def built(kind: str) -> dict[tuple[str, str], Manifest]:
    order = ordered(kind, Certificate("keys", "the authority", named(kind), mutual=True))
    main = order.name()
    return {(c["kind"], c["metadata"]["name"].removeprefix(main).lstrip("-")): c for c in BY_NAME[kind].build(order)}  # fmt: skip


def binding(kind: str) -> dict[str, str]:
    return {k: base64.b64decode(v).decode() for k, v in built(kind)["Secret", ""]["data"].items()}


@pytest.mark.parametrize(
    ("kind", "port", "scheme"), [("redis", "26379", "rediss+sentinel"), ("rabbitmq", "5671", "amqps")]
)  # fmt: skip
def test_a_binding_says_whom_to_trust(kind: str, port: str, scheme: str):
    found = binding(kind)

    assert (found["port"], found["ca.crt"]) == (port, "the authority")
    assert found["uri"].startswith(f"{scheme}://")


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_every_pod_reads_the_secret_and_only_what_it_needs_of_it(kind: str):
    sets = [child for (of, _), child in built(kind).items() if of == "StatefulSet"]
    for each in sets:
        spec = each["spec"]["template"]["spec"]
        items = [{"key": key, "path": key} for key in ("tls.crt", "tls.key", "ca.crt")]
        volume = {"name": "tls", "secret": {"secretName": "keys", "defaultMode": 0o440, "items": items}}  # fmt: skip
        assert volume in spec["volumes"]
        for container in spec["containers"]:
            (mount,) = [m for m in container["volumeMounts"] if m["name"] == "tls"]
            assert mount["readOnly"]
            assert "subPath" not in mount, "such a file never changes"
    assert len(sets) == (2 if kind == "redis" else 1)


def test_redis_listens_with_tls_only_and_calls_with_it():
    found = built("redis")
    lines = found["ConfigMap", "config"]["data"]["redis.conf"].splitlines()
    conf = dict(line.split(" ", 1) for line in lines if not line.startswith("#"))
    wanted = {
        "port": "0", "tls-port": "6379", "tls-replication": "yes", "tls-auth-clients": "no",
        "tls-cert-file": "/tls/tls.crt", "tls-key-file": "/tls/tls.key", "tls-ca-cert-file": "/tls/ca.crt",
    }  # fmt: skip
    assert wanted.items() <= conf.items()
    for part in ("", "sentinel"):
        (server,) = found["StatefulSet", part]["spec"]["template"]["spec"]["containers"]
        assert {"name": "TLS", "value": "/tls"} in server["env"]
    acl = base64.b64decode(found["Secret", "access"]["data"]["member.acl"]).decode()
    (keeper,) = [line for line in acl.splitlines() if line.startswith("user keeper ")]
    assert keeper.endswith("+config|set"), "a renewed certificate is read when its setting is made"


@pytest.mark.parametrize("name", ["tls-port", "tls-cert-file", "tls-auth-clients"])
def test_the_operator_sets_what_tls_rests_on(name: str):
    given = ordered("redis", config=[{"name": name, "value": "x"}])
    assert [each.reason for each in BY_NAME["redis"].problems(given)] == ["ManagedSetting"]


def test_rabbitmq_listens_with_tls_only_and_its_members_and_programs_speak_it():
    found = built("rabbitmq")
    text = found["ConfigMap", "conf"]["data"]["10-operator.conf"]
    conf = dict(line.split(" = ", 1) for line in text.splitlines())
    wanted = {"listeners.tcp": "none", "listeners.ssl.default": "5671", "management.ssl.port": "15671", "prometheus.ssl.port": "15691"}  # fmt: skip
    assert wanted.items() <= conf.items()
    assert {key: value for key, value in conf.items() if key.startswith(("listeners.tcp", "management.tcp", "prometheus.tcp"))} == {"listeners.tcp": "none", "prometheus.tcp.listener": "none"}  # fmt: skip
    for of in ("ssl_options", "management.ssl", "prometheus.ssl"):
        assert [conf[f"{of}.{key}"] for key in ("cacertfile", "certfile", "keyfile")] == [f"/etc/rabbitmq/tls/{file}" for file in ("ca.crt", "tls.crt", "tls.key")]  # fmt: skip

    (server,) = found["StatefulSet", ""]["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value", "") for each in server["env"]}
    how = "-proto_dist inet_tls -ssl_dist_optfile /etc/rabbitmq/scripts/distribution.config"
    assert [env["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"], env["RABBITMQ_CTL_ERL_ARGS"]] == [how, how]
    assert "verify_peer" in found["ConfigMap", "scripts"]["data"]["distribution.config"]
    assert {port["name"]: port["containerPort"] for port in server["ports"]}["amqp"] == 5671
    wall = json.dumps(found["NetworkPolicy", ""])
    assert all(str(port) in wall for port in (5671, 15671, 15691))
    assert "15672" not in wall


@pytest.mark.parametrize("kind", KINDS[:2], ids=lambda kind: kind.name)
@pytest.mark.parametrize("before", [False, True])
def test_tls_stays_as_it_was_when_the_service_was_created(kind: Kind, before: bool):
    """Members with it and without it do not understand each other."""
    plain, encrypted = ordered(kind.name, tls=None), ordered(kind.name)
    was, becomes = (encrypted, plain) if before else (plain, encrypted)
    live = kind.build(was)

    assert list(changed_tls(was, kind.name, live)) == []
    assert [each.reason for each in changed_tls(becomes, kind.name, live)] == ["TlsChanged"]


@pytest.mark.api
async def test_the_secret_is_looked_for_until_it_serves_and_its_key_is_kept_nowhere(bench: Bench):
    tls = {"tls": {"secretRef": {"name": "keys"}}}
    policy = bench.policy({"name": "cache", "redis": {**CACHE["redis"], **tls, "storage": "0"}})

    async def found() -> Certificate:
        await bench.children.refresh(policy)
        return bench.children.view(policy).certificates["cache"]

    assert (await found()).problem == "does not exist"
    bench.children.case(policy).curious = True
    secrets = f"/api/v1/namespaces/{bench.namespace}/secrets"
    bench.server.request("POST", secrets, {**GOOD, "metadata": {"name": "keys"}})
    assert (await found()).problem == "does not exist", "not at every pass"
    bench.now += 20
    assert (await found()).names == ("*.a.svc", "b.svc")
    key = base64.b64decode(GOOD["data"]["tls.key"]).decode()
    assert key not in repr(bench.children.view(policy))

    bench.children.case(policy).curious = False
    renewed = secret_of("keys", AUTHORITY, "c.svc")["data"]
    bench.server.http.patch(f"{secrets}/keys", json={"data": renewed}, headers={"Content-Type": "application/merge-patch+json"})  # fmt: skip
    bench.now += 20
    assert (await found()).names == ("*.a.svc", "b.svc")
    bench.now += 300
    assert (await found()).names == ("c.svc",)
    await bench.children.refresh(bench.policy(CACHE))
    assert bench.children.view(policy).certificates == {}


def test_a_secret_that_is_missing_is_told_and_looked_for_again():
    policy = {
        "metadata": {"name": "shop", "namespace": "shop", "uid": "u"},
        "spec": {"dataServices": [{"name": "cache", "redis": {"tls": {"secretRef": {"name": "keys"}}}}]},
    }  # fmt: skip
    seen = Provided(images={"redis": "redis:7"}, certificates={"cache": certificate_of("keys", None)})  # fmt: skip
    found = provide(wish(policy), Snapshot("shop", provided=seen), KINDS)

    assert found.writes == ()
    assert found.next_at == NOW + 20
    status, reason, message = provisioned_of(found)
    assert (status, reason) == ("False", "CertificateUnusable")
    assert message.startswith("cache: Secret/keys does not exist (kubectl -n shop create secret ")
