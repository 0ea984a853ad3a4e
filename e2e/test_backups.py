"""A provided Redis and a provided RabbitMQ saved on real pods: their CronJobs' own Jobs, a real S3 server, and what the policy says."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

import image
from drillspace import Space, restricted
from operator_fixture import Operator, policy
from readiness import naming
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY
from readiness.model import Manifest
from recipes import Recipe, build_image
from test_redis import condition, told, until

pytestmark = pytest.mark.e2e
STORES: Final = {
    "redis": (Recipe("redis", ("redis-server",)), {"resources": {"limits": {"memory": "128Mi"}}}),
    "rabbitmq": (Recipe("rabbitmq", ("rabbitmq-server",)), {"resources": {"limits": {"memory": "512Mi"}}}),
}  # fmt: skip
"""By kind: its image, and what its members need."""
STORE: Final = naming.store("checkout", "cache")
CRON: Final = naming.store("checkout", "cache", naming.BACKUP)
KEYS: Final = {"AWS_ACCESS_KEY_ID": "writer", "AWS_SECRET_ACCESS_KEY": "canary-of-the-bucket"}
PASSWORD: Final = "canary-of-the-repository"
PORT: Final = 7070


def secret(name: str, **contents: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": contents,
    }


def s3(image_name: str) -> list[Manifest]:
    labels = {"app": "s3"}
    container = {
        "name": "s3", "image": image_name, "command": ["/usr/bin/versitygw", f"--port=:{PORT}", "posix", "/data"],
        "env": [{"name": "ROOT_ACCESS_KEY", "value": KEYS["AWS_ACCESS_KEY_ID"]},
                {"name": "ROOT_SECRET_KEY", "value": KEYS["AWS_SECRET_ACCESS_KEY"]}],
        "securityContext": CONTAINER_SECURITY, "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }  # fmt: skip
    security = POD_SECURITY | {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
    spec = {
        "automountServiceAccountToken": False, "securityContext": security, "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}], "terminationGracePeriodSeconds": 1,
    }  # fmt: skip
    service = {"selector": labels, "ports": [{"port": PORT}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "s3", "labels": labels}, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s3"}, "spec": service},
    ]  # fmt: skip


@pytest.fixture(scope="module", params=STORES)
def space(operator: Operator, request: pytest.FixtureRequest) -> Iterator[Space]:
    """A store that has formed, and a bucket server."""
    cluster, kind = operator.cluster, request.param
    recipe, needs = STORES[kind]
    store, bucket = (
        build_image(each, cluster.engine)
        for each in (recipe, Recipe("s3", None, go=("e2e/strangers/go/versitygw",)))
    )
    for each in (store, bucket):
        cluster.load(each.name, each.archive)
    with restricted(cluster, f"saved-{kind}") as found:
        operator.permit_data_services(found.name)
        for made in (secret("writer", **KEYS), secret("password", password=PASSWORD), *s3(bucket.name)):  # fmt: skip
            found.create(made)
        destination = {"s3": {"bucket": "backups", "endpoint": f"http://s3:{PORT}", "secretRef": {"name": "writer"}}}  # fmt: skip
        backups = {"destination": destination, "passwordSecretRef": {"name": "password"}}
        service = {"name": "cache", kind: {"image": store.name, **needs}}
        operator.apply(
            policy(found.name, "checkout", {"dataServices": [service], "backups": backups})
        )
        until(lambda: condition(found, "Provisioned") == "True", 240, lambda: told(found))
        yield found


def row(space: Space) -> dict[str, Any]:
    status = json.loads(space.kubectl("get", "rdy", "checkout", "-o", "json"))["status"]
    return dict(status["dataServices"][0].get("backup") or {})


def run(space: Space, name: str, cron: str = CRON) -> None:
    space.kubectl("create", "job", name, f"--from=cronjob/{cron}")


def words(space: Space, name: str) -> str:
    return space.kubectl("get", "pods", "-o", "wide") + space.cluster.attempt(
        "kubectl", "-n", space.name, "logs", f"job/{name}", "--all-containers"
    ).stdout  # fmt: skip


def test_a_backup_is_made_and_told(space: Space) -> None:
    assert condition(space, "BackupsHealthy") == "Unknown"
    began = time.monotonic()
    run(space, "first")
    until(lambda: row(space).get("lastSuccess", ""), 240, lambda: words(space, "first"))
    print(f"\nfrom kubectl create job to the policy's status: {time.monotonic() - began:.0f} s")
    until(lambda: condition(space, "BackupsHealthy") == "True", 10, lambda: told(space))

    assert row(space)["snapshots"] == 1
    assert row(space)["size"] > 0
    said = words(space, "first") + space.kubectl("get", "rdy,jobs,cronjobs,pods", "-l", naming.POLICY_LABEL, "-o", "json")  # fmt: skip
    assert PASSWORD not in said
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said


def fill(space: Space) -> None:
    """Something to count in a Redis, whichever member leads; a RabbitMQ has definitions."""
    if "redis" not in space.name:
        return
    login = ["--user", secret_of(space, "username"), "--pass", secret_of(space, "password"), "--no-auth-warning"]  # fmt: skip
    said = [
        space.cluster.attempt("kubectl", "-n", space.name, "exec", f"{STORE}-{n}", "-c", "redis", "--", "redis-cli", *login, "set", "greeting", "hello").stdout
        for n in range(3)
    ]  # fmt: skip
    assert any("OK" in each for each in said), said


def secret_of(space: Space, key: str, name: str = STORE) -> str:
    found = space.kubectl("get", "secret", name, "-o", f"jsonpath={{.data.{key}}}")
    return base64.b64decode(found).decode()


@pytest.mark.slow
def test_what_was_saved_can_be_restored(space: Space) -> None:
    fill(space)  # an empty snapshot proves nothing, and the drill says so
    run(space, "filled")
    space.kubectl("wait", "job/filled", "--for=condition=Complete", "--timeout=180s")
    run(space, "drilled", naming.store("checkout", "cache", naming.RESTORE_DRILL))
    until(lambda: row(space).get("restoreDrill", {}).get("lastSuccess", ""), 300, lambda: words(space, "drilled"))  # fmt: skip
    print(f"\nrestored: {row(space)['restoreDrill']['rtoSeconds']} s")

    assert row(space)["restoreDrill"]["snapshot"] == row(space)["snapshot"]


def restore(space: Space, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**space.cluster.environ, "PYTHONPATH": str(image.ROOT / "operator")}
    command = [sys.executable, "-m", "readiness", "restore", "cache", "-n", space.name, *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=900)  # fmt: skip


@pytest.mark.slow
def test_it_is_restored_into_an_instance_of_its_own(space: Space) -> None:
    """Beside the live one, which nobody touches; it goes with its policy, volumes and all."""
    before = space.kubectl("get", "statefulset", STORE, "-o", "jsonpath={.metadata.uid}/{.metadata.generation}")  # fmt: skip
    made = naming.restored("checkout", "cache")
    new = naming.store(made, "cache")
    began = time.monotonic()
    done = restore(space, "--yes", "--timeout=10m")
    print(f"\nfrom the command to a filled instance: {time.monotonic() - began:.0f} s")

    assert done.returncode == 0, done.stderr
    assert " holds snapshot " in done.stderr
    assert f"name Secret {new} " in done.stdout
    assert space.kubectl("get", "statefulset", STORE, "-o", "jsonpath={.metadata.uid}/{.metadata.generation}") == before  # fmt: skip
    assert condition(space, "BackupsHealthy") == "True", "the copy has no backups, and tells of none"  # fmt: skip
    if "redis" in space.name:
        login = ["--user", secret_of(space, "username", new), "--pass", secret_of(space, "password", new), "--no-auth-warning"]  # fmt: skip
        assert space.kubectl("exec", f"{new}-0", "-c", "redis", "--", "redis-cli", *login, "get", "greeting").strip() == "hello"  # fmt: skip
    again = restore(space, "--yes")
    assert (again.returncode, "ExistsAlready" in again.stderr) == (2, True)

    space.kubectl("delete", "readinesspolicy", made, "--wait=false")
    until(lambda: not left(space, made), 180, lambda: str(left(space, made)))


def left(space: Space, policy: str) -> list[str]:
    """Whatever has the policy's label."""
    kinds = "pods,statefulsets,persistentvolumeclaims,secrets,services,configmaps,networkpolicies,jobs"  # fmt: skip
    return space.kubectl("get", kinds, "-l", f"{naming.POLICY_LABEL}={policy}", "-o", "name").split()  # fmt: skip


def test_retention_keeps_the_only_one(space: Space) -> None:
    run(space, "retention", naming.store("checkout", "cache", naming.RETENTION))
    space.kubectl("wait", "job/retention", "--for=condition=Complete", "--timeout=180s")

    assert "the newest of" in words(space, "retention")


@pytest.mark.slow
def test_revoked_credentials_and_a_server_that_is_gone_are_named(space: Space) -> None:
    space.kubectl("patch", "secret", "writer", "--type=merge", "-p", json.dumps({"stringData": {"AWS_SECRET_ACCESS_KEY": "revoked"}}))  # fmt: skip
    run(space, "revoked")
    until(lambda: row(space).get("reason") == "Denied", 240, lambda: words(space, "revoked"))
    until(lambda: condition(space, "BackupsHealthy") == "False", 10, lambda: told(space))
    space.kubectl("delete", "job", "revoked", "--wait=false")

    space.kubectl("patch", "secret", "writer", "--type=merge", "-p", json.dumps({"stringData": KEYS}))  # fmt: skip
    space.kubectl("delete", "pod", "s3")
    run(space, "gone")
    until(lambda: row(space).get("reason") == "Unreachable", 300, lambda: words(space, "gone"))
