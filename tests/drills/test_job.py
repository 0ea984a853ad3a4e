"""The Job of a drill: one attempt, bounded, restricted, with its order unharmed."""

from __future__ import annotations

from readiness.drills.codec import load_script
from readiness.drills.job import build_job
from readiness.failover import FailoverScript, StoreSubject
from readiness.script import Arm, Edit, Script
from readiness.step import Boot

from .cloning import CACHE, SUBJECT

SCRIPT = Script(
    "ab12", SUBJECT, (Arm("boot", (Boot(30),), (Edit("A", "$(B) $$ {sink}"),)),),
    deadline=90.5, labels=(("readiness.dev/policy", "shop"),),
)  # fmt: skip
OWNER = {"apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "name": "shop", "uid": "9"}  # fmt: skip
JOB = build_job(SCRIPT, "operator:1", OWNER)
POD = JOB["spec"]["template"]["spec"]
APP = POD["containers"][0]


def test_it_is_bounded_and_tried_once():
    spec = JOB["spec"]

    assert (spec["backoffLimit"], POD["restartPolicy"]) == (0, "Never")
    assert spec["ttlSecondsAfterFinished"] == 300
    assert spec["activeDeadlineSeconds"] == 91 + 60
    assert APP["resources"] == {
        "requests": {"cpu": "50m", "memory": "96Mi"},
        "limits": {"cpu": "1", "memory": "256Mi"},
    }


def test_its_owner_and_labels():
    meta, inner = JOB["metadata"], JOB["spec"]["template"]["metadata"]

    assert meta["ownerReferences"] == [OWNER]
    assert build_job(SCRIPT, "operator:1")["metadata"]["ownerReferences"] == []
    assert meta["namespace"] == "shop"
    assert meta["labels"]["readiness.dev/drill"] == inner["labels"]["readiness.dev/drill-runner"] == "ab12"  # fmt: skip
    assert "readiness.dev/drill" not in inner["labels"]
    assert meta["labels"]["readiness.dev/policy"] == inner["labels"]["readiness.dev/policy"] == "shop"  # fmt: skip
    assert inner["labels"]["sidecar.istio.io/inject"] == "false"
    assert inner["annotations"]["linkerd.io/inject"] == "disabled"


def test_its_order_arrives_as_it_is():
    env = {entry["name"]: entry for entry in APP["env"]}
    told = env["READINESS_DRILL"]["value"]

    assert "$(" not in told.replace("$$", "")
    assert load_script(told.replace("$$", "$")) == SCRIPT
    assert env["READINESS_IMAGE"]["value"] == APP["image"] == "operator:1"
    assert APP["args"] == ["drill-job"]
    fields = {name: e["valueFrom"]["fieldRef"]["fieldPath"] for name, e in env.items() if "valueFrom" in e}  # fmt: skip
    assert fields == {
        "POD_NAME": "metadata.name", "POD_UID": "metadata.uid", "POD_NAMESPACE": "metadata.namespace",
        "POD_IP": "status.podIP", "HOST_IP": "status.hostIP",
    }  # fmt: skip


def test_it_works_as_its_own_service_account():
    assert (POD["serviceAccountName"], POD["automountServiceAccountToken"]) == ("readiness-drill", True)  # fmt: skip
    assert POD["volumes"] == APP["volumeMounts"] == []


def test_a_failover_drill_is_another_and_has_what_applications_have_and_one_password_more():
    subject = StoreSubject("shop", "queue", "rabbitmq", ("q-0.n.shop.svc",), 5672, "bound", monitor="known")  # fmt: skip
    job = build_job(FailoverScript("ab12", subject, ()), "operator:1")
    pod = job["spec"]["template"]["spec"]
    (volume,), (mount,) = pod["volumes"], pod["containers"][0]["volumeMounts"]

    assert pod["serviceAccountName"] == "readiness-failover"
    assert mount == {"name": volume["name"], "mountPath": "/binding", "readOnly": True}
    assert [each["secret"] for each in volume["projected"]["sources"]] == [
        {"name": "bound"},
        {"name": "known", "items": [{"key": "monitoring-password", "path": "monitoring"}]},
    ]


def test_names_of_runs_differ():
    from dataclasses import replace

    other = replace(SCRIPT, run="zz99", subject=replace(SUBJECT, stores=(CACHE,)))
    assert build_job(other, "o:1")["metadata"]["name"] != JOB["metadata"]["name"]
