"""Correction 16: a clone that would know a store which the policy does not declare does not run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.drills.addresses import hosts_named, hosts_within, is_store_name
from readiness.drills.undeclared import undeclared_store
from readiness.script import Arm, Edit, Store, Upstream
from readiness.timeline import Problem

from .cloning import ARM, CACHE, PLACE, SUBJECT, answer, clone, deployment, template

MINE = {"standalone": False}
DB = Store("db", "mongodb", ("db", "mongo.example.com"), 27017, "db-auth")


def env(name: str, value: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": value}]}


def secret(name: str, of: str = "app", key: str = "value") -> dict[str, Any]:
    return {"env": [{"name": name, "valueFrom": {"secretKeyRef": {"name": of, "key": key}}}]}


def config(name: str, of: str = "app", key: str = "value") -> dict[str, Any]:
    return {"env": [{"name": name, "valueFrom": {"configMapKeyRef": {"name": of, "key": key}}}]}


def words(container: dict[str, Any], **subject: Any) -> str:
    """Of the refusal; empty when the clone may run."""
    made = answer(deployment(container), **{**MINE, **subject})
    if isinstance(made, Problem):
        assert made.reason == "Refused"
        assert made.words.startswith("UndeclaredStore: ")
        assert "spec.targets[api].uses" in made.fix
        assert "shutdown.standalone: true" in made.fix
        return made.words
    return ""


ADDRESSES = [
    # by scheme, under any name
    ("X", "redis://cache:6379/0", "cache"),
    ("X", "rediss://:p%40ss@cache.shop:6380", "cache.shop"),
    ("X", "redis+sentinel://s1:26379,s2:26379/mymaster", "s1"),
    ("X", "mongodb://u:p@m0:27017,m1:27017/shop?replicaSet=rs0", "m0"),
    ("X", "mongodb+srv://cluster0.example.net/shop", "mongodb+srv://cluster0.example.net"),
    ("X", "amqp://guest:guest@jobs/%2F", "jobs"),
    ("X", "amqps://jobs.example.com", "jobs.example.com"),
    ("X", "postgres://u@pg/db", "pg"),
    ("X", "postgresql+asyncpg://u:p@pg.shop.svc:5433/db", "pg.shop.svc"),
    ("X", "jdbc:mysql://mysql:3306/db?useSSL=false", "mysql"),
    ("X", "mysql+pymysql://u:p@10.0.0.9/db", "10.0.0.9"),
    ("X", "mariadb://maria/db", "maria"),
    ("X", "kafka://broker-0", "broker-0"),
    ("X", "nats://nats:4222", "nats"),
    ("X", "memcached://mc", "mc"),
    ("X", "nats://10.1.1.1:4222,nats://n1:4222", "n1"),
    ("X", "amqp://localhost;amqp://jobs", "jobs"),
    ("X", "Redis://CACHE", "cache"),
    ("X", "redis://cache./0", "cache."),
    ("X", "redis://[2001:db8::7]:6379/0", "[2001:db8::7]"),
    ("X", '{"cache": {"url": "redis://cache/1"}}', "cache"),
    # by port
    ("X", "cache:6379", "cache"),
    ("X", "m0:27017;m1:27018", "m0"),
    ("X", "user:secret@tcp(sql.shop:3306)/db", "sql.shop"),
    ("X", "10.0.0.9:5432", "10.0.0.9"),
    ("X", "http://search:9200", "search"),
    ("X", "PLAINTEXT://broker:9092", "broker"),
    ("X", "mc-0:11211,mc-1:11211", "mc-0"),
    ("X", "thin:@//ora.example.com:1521/x", "ora.example.com"),
    # by name
    ("REDIS_HOST", "cache", "cache"),
    ("SPRING_DATA_REDIS_HOST", "cache", "cache"),
    ("redis.host", "cache", "cache"),
    ("redisHost", "cache", "cache"),
    ("MONGO_URL", "https://proxy/mongo", "proxy"),
    ("MONGODB_ADDON_HOST", "m.example.com:28000", "m.example.com"),
    ("RABBITMQ_NODES", "r0,r1", "r0"),
    ("AMQP_ADDRESS", "jobs:5673", "jobs"),
    ("DATABASE_URL", "https://db.example.com", "db.example.com"),
    ("DB_HOST", "pg", "pg"),
    ("PGHOST", "pg", "pg"),
    ("POSTGRES_DSN", "host=pg user=app dbname=x", "pg"),
    ("MYSQL_DSN", "app:pw@tcp(sql:3307)/x", "sql"),
    ("SQL_CONNECTION_STRING", "Server=mssql.shop;Database=x;User Id=sa", "mssql.shop"),
    ("KAFKA_BOOTSTRAP_SERVERS", "k-0:9094,k-1:9094", "k-0"),
    ("ELASTICSEARCH_HOSTS", "http://es.shop", "es.shop"),
    ("ELASTICSEARCH_HOSTS", "http://localhost:9201,http://es.shop:9201", "es.shop"),
    ("appRedisHost", "cache", "cache"),
    ("MEMCACHED_SERVERS", "mc", "mc"),
    ("BACKEND_HOST", "redis-master.infra", "redis-master.infra"),
    ("DB_CONNECTION", "host=pg;db=x", "pg"),
    ("QUEUE_HOST", "q", "q"),
    ("JOB_QUEUE_URL", "http://jobs:8080", "jobs"),
    ("CACHE_HOST", "10.96.0.12", "10.96.0.12"),
    ("ETCD_ENDPOINTS", "http://etcd:2380", "etcd"),
    ("S3_ENDPOINT", "https://minio.shop:9000", "minio.shop"),
    ("AWS_ENDPOINT_URL", "http://localstack.dev:4566", "localstack.dev"),
    ("TEMPORAL_ADDRESS", "temporal.infra:7000", "temporal.infra"),
    # by its form: connection strings
    ("DSN", "host=db user=x", "db"),
    ("DSN", "app:pw@tcp(sql:3307)/x", "sql"),
    ("ConnectionStrings__Default", "Server=sql,1433;Database=x", "sql"),
    ("X", "Server=tcp:sql.shop,1500;Initial Catalog=x", "sql.shop"),
    ("X", "Data Source=ora.shop;User Id=app", "ora.shop"),
    ("X", "pgsql:host=pg;dbname=x", "pg"),
    ("X", "DefaultEndpointsProtocol=https;AccountName=shopjobs;AccountKey=a2V5", "shopjobs"),
    # by its domain
    ("X", "https://sqs.eu-west-1.amazonaws.com/1/jobs", "sqs.eu-west-1.amazonaws.com"),
    ("X", "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKey=x", "ns.servicebus.windows.net"),
    ("X", "orders.abc.eu-west-1.rds.amazonaws.com", "orders.abc.eu-west-1.rds.amazonaws.com"),
    ("X", "AccountEndpoint=https://shop.documents.azure.com:443/;AccountKey=x", "shop.documents.azure.com"),
    ("X", "etcd://etcd", "etcd"),
    ("X", "etcd-0:2379", "etcd-0"),
]  # fmt: skip
NONE = [
    ("REDIS_SENTINELS", "3"), ("KAFKA_BROKER", "true"), ("REDIS_HOST", "None"), ("PORT", "6379"), ("LOG_LEVEL", "info"), ("BASE_URL", "https://shop.example.com"),
    ("REDIS_URL", ""), ("REDIS_ENABLED", "true"), ("REDIS_DB", "3"), ("REDIS_KEY_PREFIX", "shop:"),
    ("REDIS_PORT", "6379"), ("KAFKA_TOPIC", "orders"), ("MYSQL_DATABASE", "shop"), ("QUEUE_CONNECTION", "redis"),
    ("CACHE_DRIVER", "redis"), ("DB_CONNECTION", "mysql"), ("DATABASE", "postgres"),
    ("ELASTIC_APM_SERVER_URL", "http://apm:8200"), ("PGP_KEYSERVER", "hkps://keys.example.org"), ("DATABASE_URL", "sqlite:///data/app.db"), ("DATABASE_URL", "file:./dev.db"),
    ("DATABASE_URL", "sqlite::memory:"), ("REDIS_URL", "redis://localhost:6379/0"),
    ("MONGO_URL", "mongodb://127.0.0.1:27017,[::1]:27017/x"), ("LISTEN", "0.0.0.0:9200"), ("BIND", ":5432"),
    ("POSTGRES_HOST", "/var/run/postgresql"), ("DATABASE_URL", "postgresql:///app?host=/run/pg"),
    ("TIME", "12:30:00"), ("VERSION", "redis:7.2"), ("SMTP_HOST", "mail:25"), ("PEERS", "a:7946,b:7946"),
    ("REDIS_URL", "redis://$(POD_IP):6379"),
    ("S3_BUCKET", "orders"), ("S3_REGION", "eu-west-1"), ("AWS_REGION", "eu-west-1"), ("CACHE_TTL", "60s"), ("CACHE_DIR", "/tmp/cache"), ("CACHE_CONTROL", "public, max-age=60"),
    ("CACHE_URL", "memory"), ("CACHE_URL", "locmem://"), ("QUEUE_NAME", "jobs"), ("QUEUE_SIZE", "100"), ("QUEUE_URL", "sync"), ("CACHE_NODES", "3"),
    ("SENTRY_DSN", "https://key@o1.ingest.sentry.io/2"), ("MAILER_DSN", "smtp://mail:25"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4317"),
    ("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=1;IngestionEndpoint=https://eu.in.applicationinsights.azure.com/"),
    ("ConnectionStrings__Default", "Data Source=app.db"), ("SQL_CONNECTION_STRING", "Data Source=app.sqlite3;Password=x"), ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
    ("HTTP_PROXY", "http://proxy:3128"), ("NO_PROXY", "10.0.0.0/8,.svc,.cluster.local"), ("OIDC_ISSUER_URL", "https://login.example.com"), ("AUTH_SERVER_URL", "http://keycloak:8080"),
    ("VAULT_ADDR", "https://vault:8200"), ("CDN_URL", "https://cdn.example.com"), ("PROMETHEUS_URL", "http://prometheus:9090"), ("GRPC_HOST", "orders:50051"), ("SMTP_SERVER", "mail"),
    ("LOG_FORMAT", "host=%h user=%u"), ("JAVA_OPTS", "-Xmx1g -Dserver.port=8080"), ("DB_POOL_SIZE", "5"), ("HOSTNAME", "api-0"), ("SERVER_NAME", "shop.example.com"),
    ("HEALTHCHECK_URL", "http://localhost:8080/health"), ("DOCS_URL", "https://neon.tech"), ("ASSETS", "https://shop.s3.eu-west-1.amazonaws.com/x.css"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "host"), ADDRESSES)
def test_an_address_of_a_store_refuses_and_is_named(name: str, value: str, host: str):
    found = words(env(name, value))

    assert f"{name} of container app leads to {host}," in found


@pytest.mark.parametrize(("name", "value"), NONE)
def test_what_is_no_address_of_a_store_does_not(name: str, value: str):
    container = env(name, value)
    field = {"fieldRef": {"fieldPath": "status.podIP"}}
    container["env"].insert(0, {"name": "POD_IP", "valueFrom": field})

    assert words(container) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://u:p@cache:6379/0"),
        ("REDIS_URL", "redis://CACHE.shop.svc.cluster.local/0"),
        ("MONGO_URL", "mongodb://db.shop:27017,mongo.example.com:27017/x"),
        ("REDIS_HOST", "cache.shop"),
        ("REDIS_URL", "redis://10.1.1.1:6379"),
    ],
)
def test_a_declared_host_may_be_told_in_any_spelling(name: str, value: str):
    assert words(env(name, value), stores=(CACHE, DB)) == ""


@pytest.mark.parametrize(
    "value",
    [
        "mongodb://db,mongo2.example.com/x",
        "mongodb+srv://mongo.example.com/x",
        "redis://cache.other.svc/0",
        "redis://10.0.0.7:6379",
        "redis://cache.shop.svc.corp.local",
    ],
)
def test_one_host_that_is_not_declared_is_enough(value: str):
    assert words(env("X", value), stores=(CACHE, DB))


def test_the_owners_word_is_taken():
    assert words(env("REDIS_URL", "redis://cache"), standalone=True) == ""
    assert words(secret("DATABASE_URL"), standalone=True) == ""


def test_but_not_where_no_network_holds_the_clone_to_it():
    told = {"standalone": True, "unisolated": True}
    made = answer(deployment(env("REDIS_URL", "redis://cache")), **told)

    assert isinstance(made, Problem)
    assert made.fix.endswith("or drill where NetworkPolicies hold")
    assert clone(deployment(env("REDIS_URL", "redis://cache")), stores=(CACHE,), **told)


MOUNTED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"secretName": "app-config"}, {}, "volume v"),
    ({"secretName": "app-config"}, {"standalone": True}, ""),
    ({"secretName": "app-config"}, {"stores": (CACHE,)}, ""),
    ({"secretName": "cache-auth"}, {"stores": (CACHE,)}, ""),
    ({"secretName": "web-tls"}, {}, ""),
    ({"secretName": "signing-keys"}, {}, ""),
    ({"secretName": "app", "items": [{"key": "tls.crt", "path": "server.crt"}, {"key": "tls.key", "path": "server.key"}]}, {}, ""),
    ({"secretName": "app", "items": [{"key": "tls.crt", "path": "tls.crt"}, {"key": "yaml", "path": "application.yaml"}]}, {}, "volume v"),
    ({"secretName": "app", "items": [{"key": "x", "path": "database-url"}]}, {"stores": (CACHE,)}, "file database-url of volume v"),
    ({"secretName": "app", "items": [{"key": "amqp.uri", "path": "x"}]}, {"stores": (CACHE,)}, "file x of volume v"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "subject", "where"), MOUNTED)
@pytest.mark.parametrize("projected", [False, True])
def test_files_of_a_secret_are_judged_by_their_names(source, subject, where, projected):
    own = {("name" if key == "secretName" else key): value for key, value in source.items()}
    volume = {"projected": {"sources": [{"secret": own}]}} if projected else {"secret": source}
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/etc/app"}]}
    workload = deployment(mount, volumes=[{"name": "v", **volume}])
    made = answer(workload, **{**MINE, **subject})

    assert (made.words.split(" comes from ")[0] if isinstance(made, Problem) else "") == (where and f"UndeclaredStore: {where}")  # fmt: skip


@pytest.mark.parametrize(("path", "refuses"), [("/etc/tls", False), ("/etc/app", True)])
def test_where_a_secret_is_mounted_tells_what_it_is_for(path: str, refuses: bool):
    mount = {"volumeMounts": [{"name": "v", "mountPath": path}]}
    workload = deployment(mount, volumes=[{"name": "v", "secret": {"secretName": "web"}}])

    assert isinstance(answer(workload, **MINE), Problem) is refuses


def test_a_volume_that_nobody_mounts_is_not_looked_at():
    assert clone(deployment(volumes=[{"name": "v", "secret": {"secretName": "app"}}]), **MINE)


@pytest.mark.parametrize(
    "password", ["hunter2/canary", "hunter2#canary", "hunter2?canary", "hunter2,canary"]
)  # fmt: skip
@pytest.mark.parametrize(
    "url", ["redis://user:{}@cache:6379", "redis://{}@cache", "user:p@{}@tcp(cache:3307)"]
)
def test_no_password_is_shown_also_where_a_url_is_malformed(url: str, password: str):
    found = words(env("REDIS_URL", url.format(password)), stores=(replace(CACHE, hosts=("user",)),))

    assert found
    assert "hunter2" not in found
    assert "canary" not in found


HIDDEN = [
    ("DATABASE_URL", "x", True), ("REDIS_HOST", "x", True), ("MONGO_CONFIG", "x", True), ("X", "redis-url", True),
    ("X", "mongodbUri", True), ("AMQP", "x", True), ("REDIS_PASSWORD", "x", False), ("MONGO_USERNAME", "x", False),
    ("DB_NAME", "x", False), ("DATABASE", "x", True), ("PGPASSWORD", "x", False), ("SESSION_SECRET", "x", False), ("REDIS_DB", "x", False),
    ("API_TOKEN", "mysql-password", False), ("FEEDBACK_URL", "x", False),
    ("QUEUE_URL", "x", True), ("CACHE_HOST", "x", True), ("S3_ENDPOINT", "x", True), ("DSN", "x", True), ("ConnectionStrings__Default", "x", True),
    ("X", "connectionString", True), ("S3_BUCKET", "x", False), ("S3_SECRET_KEY", "x", False), ("CACHE_SECRET", "x", False), ("SENTRY_DSN", "x", False),
    ("APPLICATIONINSIGHTS_CONNECTION_STRING", "x", False), ("QUEUE_TOKEN", "x", False), ("AWS_SECRET_ACCESS_KEY", "x", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "key", "refuses"), HIDDEN)
@pytest.mark.parametrize("reference", [secret, config])
def test_what_cannot_be_seen_is_judged_by_its_name(reference, name, key, refuses):
    found = words(reference(name, key=key))

    assert bool(found) is refuses
    assert not refuses or "/app, so that its host cannot be seen" in found


def test_a_secret_of_a_declared_store_is_trusted():
    assert words(secret("REDIS_URL", "cache-auth", "uri"), stores=(CACHE,)) == ""
    assert words(secret("REDIS_URL", "other", "uri"), stores=(CACHE,))
    both = secret("HOST", "cache-auth", "host")
    both["env"].append({"name": "REDIS_URL", "value": "redis://$(HOST):6379/0"})
    assert words(both, stores=(CACHE,)) == ""
    both["env"][0]["valueFrom"]["secretKeyRef"]["name"] = "other"
    assert "an address that cannot be read" in words(both, stores=(CACHE,))


def test_values_of_config_maps_are_seen_where_the_drill_has_read_them():
    place = replace(PLACE, configs={"app": {"value": "redis://cache", "other": "redis://evil"}})
    workload = deployment(config("X"))

    assert isinstance(answer(workload, place=place, **MINE), Problem)
    assert clone(workload, place=place, stores=(CACHE,), **MINE)
    assert clone(deployment(config("REDIS_URL", key="absent")), place=place, **MINE)


@pytest.mark.parametrize(
    ("source", "subject", "refuses"),
    [
        ({"secretRef": {"name": "app"}}, {}, True),
        ({"secretRef": {"name": "app"}}, {"standalone": True}, False),
        ({"secretRef": {"name": "app"}}, {"stores": (CACHE,)}, False),
        ({"secretRef": {"name": "app"}}, {"stores": (CACHE,), "declared": ("DATABASE_URL",)}, True),
        ({"secretRef": {"name": "app"}}, {"stores": (CACHE,), "declared": ("TOKEN",)}, False),
        ({"secretRef": {"name": "cache-auth"}}, {"stores": (CACHE,), "declared": ("REDIS_URL",)}, False),
        ({"configMapRef": {"name": "unread"}}, {}, True),
        ({"configMapRef": {"name": "plain"}}, {}, False),
        ({"configMapRef": {"name": "urls"}}, {}, True),
        ({"configMapRef": {"name": "urls"}}, {"stores": (CACHE,)}, False),
        ({"configMapRef": {"name": "hosts"}, "prefix": "REDIS_"}, {}, True),
        ({"configMapRef": {"name": "hosts"}}, {}, False),
    ],
)  # fmt: skip
def test_env_from(source: dict[str, Any], subject: dict[str, Any], refuses: bool):
    configs = {"plain": {"A": "1"}, "urls": {"URL": "redis://cache"}, "hosts": {"HOST": "cache"}}
    place = replace(PLACE, configs=configs)
    made = answer(deployment({"envFrom": [source]}), place=place, **{**MINE, **subject})

    assert isinstance(made, Problem) is refuses


def test_a_name_that_env_explains_does_not_come_from_env_from():
    container = {**env("REDIS_URL", "redis://cache"), "envFrom": [{"secretRef": {"name": "app"}}]}

    assert words(container, stores=(CACHE,), declared=("REDIS_URL",)) == ""


def test_an_explicit_arm_is_asked_the_same():
    arm = Arm("boot", (), (), explicit=True)
    told = {**MINE, "stores": (CACHE,)}

    assert isinstance(answer(template("sources"), arm, declared=("DATABASE_URL",), **told), Problem)
    assert clone(template("sources"), arm, declared=("TOKEN",), **told)


CALLED = Upstream("llm", "REDIS_URL")


def test_what_the_arm_takes_away_or_replaces_does_not_refuse():
    workload = deployment(env("REDIS_URL", "redis://cache"))

    assert clone(workload, Arm("boot", (), (Edit("REDIS_URL"),)), **MINE)
    assert clone(workload, Arm("slow", (), (CALLED.edit,)), upstreams=(CALLED,), **MINE)
    assert isinstance(answer(workload, Arm("x", (), (Edit("A", "redis://prod"),)), **MINE), Problem)


@pytest.mark.parametrize(
    "given_",
    [
        {"args": ["--redis-addr=cache:6390"]},
        {"args": ["--redis-host", "cache"]},
        {"command": ["server", "--store", "redis://cache"]},
        {"command": ["sh", "-c", "exec server --dsn postgres://u@pg/db"]},
        {"args": ["--kafka-brokers=k:9094"]},
        {"args": ["-redis-addr", "$(B)"], "env": [{"name": "B", "value": "cache"}]},
        {"args": ["-broker", "$(B)"], "env": [{"name": "B", "value": "amqp://jobs"}]},
    ],
)
def test_the_command_line_is_read_too(given_: dict[str, Any]):
    found = answer(deployment(given_), **MINE)

    assert isinstance(found, Problem)


def test_a_command_line_without_a_store_is_none():
    args = ["--listen", "0.0.0.0:8080", "--redis-db=0", "--redis-timeout", "5s", "-v", "redis"]

    assert clone(deployment({"args": args}), **MINE)


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("spring:\n  data:\n    mongodb:\n      uri: mongodb://db/x\n", True),
        ("redis.host = cache\n", True),
        ('cache:\n  host: "redis-main"\n', True),
        ("# redis://example.com\n; postgres://x\nlevel: info\n", False),
        ("server { listen 80; proxy_pass http://api:8000; }", False),
    ],
)
@pytest.mark.parametrize("projected", [False, True])
def test_files_of_config_maps_are_read_too(text: str, refuses: bool, projected: bool):
    source = {"configMap": {"name": "files"}}
    volume = {"projected": {"sources": [source]}} if projected else source
    workload = deployment(volumes=[{"name": "v", **volume}])
    made = answer(workload, ARM, replace(PLACE, configs={"files": {"app.conf": text}}), **MINE)

    assert isinstance(made, Problem) is refuses


def test_init_containers_are_asked_too():
    workload = deployment(initContainers=[{"name": "migrate", **env("DATABASE_URL", "postgres://pg/x")}])  # fmt: skip
    made = answer(workload, **MINE)

    assert isinstance(made, Problem)
    assert "container migrate" in made.words


def test_a_pod_as_admission_left_it_can_be_asked_the_same():
    pod = clone(deployment(), **MINE)
    pod["spec"]["containers"][0]["env"] = [{"name": "REDIS_URL", "value": "redis://prod"}]

    assert undeclared_store(pod, replace(SUBJECT, **MINE), PLACE)


@given(name=st.text(max_size=300), value=st.text(max_size=3000))
def test_any_text_is_read(name: str, value: str):
    list(hosts_within(value))
    list(hosts_named(name, value))
    is_store_name(name)


@pytest.mark.parametrize("text", ["redis://" * 20_000, "a" * 200_000, "a." * 100_000, "1:" * 100_000, "[" * 100_000, "@(" * 50_000, "host=" * 40_000, "user" + " " * 100_000, "es-" + "-a" * 100_000, "sqs." * 50_000])  # fmt: skip
def test_a_hostile_text_takes_no_time(text: str):
    list(hosts_within(text))
    list(hosts_named("REDIS_URL", text))
    is_store_name(text)
