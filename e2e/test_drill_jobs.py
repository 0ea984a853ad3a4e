"""Workers on pods, drilled from the command line: a real Redis as throw-away store, two clones that share it.

Minutes for each worker, so it runs with the slow suite; tests/apps/test_job_matrix.py tries every defect on processes.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

import image
import jobs
from clusters import Cluster
from drillcli import type_drill
from drillspace import restricted
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY
from recipes import Recipe, build_image

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
Manifest = dict[str, Any]
SPACE: Final = "drill-jobs"
REDIS: Final = Recipe("redis", ("redis-server",))
DEFECTS: Final = ("SHD-007/always-none", "SHD-009/acknowledged-first", "SHD-009/effect-first", "CFG-014/again")  # fmt: skip
ROWS: Final = dict.fromkeys(jobs.VARIANTS, "") | {
    id_.lower().replace("/", "-"): id_ for id_ in DEFECTS
}
AT_ONCE = 2
FAMILIES: Final = {"shutdown": ("SHD-007", "SHD-009"), "startup": ("CFG-014",)}


@pytest.fixture(scope="module")
def found(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Manifest]]]:  # fmt: skip
    """Findings by worker and control."""
    ours, redis, specimen = (
        image.operator_image(),
        build_image(REDIS, cluster.engine),
        image.specimen_images()[0],
    )
    for each in (ours, redis, specimen):
        cluster.load(each.name, each.archive)
    with restricted(cluster, SPACE) as space:
        rights = (image.ROOT / "manifests" / "drills" / "drills.yaml").read_text()
        cluster.run("kubectl", "apply", "-f", "-", text=rights.replace("your-namespace", SPACE))
        for name, defect in ROWS.items():
            space.create(deployment(name, specimen.name, defect))
        folder, images = tmp_path_factory.mktemp("policies"), (ours.name, redis.name)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield dict(zip(ROWS, pool.map(lambda name: drilled(cluster, name, folder, images), ROWS), strict=True))  # fmt: skip
        assert space.left() == []


@pytest.mark.parametrize("name", ROWS)
def test_a_worker_fails_exactly_the_controls_that_its_defect_names(found: dict[str, dict[str, Manifest]], name: str) -> None:  # fmt: skip
    wrong = {id_: row["reason"] for id_, row in found[name].items() if row["result"] != "Pass"}
    defect = jobs.DEFECTS.get(ROWS[name])

    assert wrong == jobs.expected(defect), found[name]
    assert found[name].keys() == set(jobs.CONTROLS)


def drilled(
    cluster: Cluster, name: str, folder: Path, images: tuple[str, str]
) -> dict[str, Manifest]:
    """What `readiness drill` says of one worker."""
    path = folder / f"{name}.json"
    spec = {"targets": [jobs.target(name)], "dataServices": jobs.STORES}
    path.write_text(json.dumps({"apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "metadata": {"name": name}, "spec": spec}))  # fmt: skip
    rows: list[Manifest] = []
    for family, ids in FAMILIES.items():
        words = [f"--control={id_}" for id_ in ids]
        meets = ("--policy", str(path), "--image", images[0], "--store-image", f"redis={images[1]}")
        done = type_drill(cluster, SPACE, family, name, *meets, *words)
        assert done.stdout, done.stderr
        rows += json.loads(done.stdout)["findings"]
    return {row["id"]: row for row in rows}


def deployment(name: str, specimen: str, defect: str) -> Manifest:
    """A worker; its own replicas are none, so that only clones need a queue."""
    env = jobs.ENVIRONMENT | {"QUEUE": "queue:6379", "DEFECTS": defect, "PYTHONPATH": image.SPECIMEN_HOME}  # fmt: skip
    container = {
        "name": "app", "image": specimen, "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "worker", *jobs.VARIANTS.get(name, ())],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "securityContext": CONTAINER_SECURITY,
    }  # fmt: skip
    labels = {"app": name}
    pod = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": jobs.GRACE,
           "securityContext": POD_SECURITY}  # fmt: skip
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
