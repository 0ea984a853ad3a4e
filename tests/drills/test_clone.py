"""D1 and D4 to D6: a clone runs as the application does and is tied to nothing of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.model import Manifest
from readiness.script import Arm
from readiness.workload import matches, template_metadata

from .cloning import ARM, NAMES, PLACE, clone, deployment, refused, template

PLACES = ("containers", "initContainers")


def at(manifest: Any, path: str) -> Any:
    """`spec/containers/0/name`, or None."""
    for part in path.split("/"):
        if isinstance(manifest, list):
            manifest = manifest[int(part)] if int(part) < len(manifest) else None
        else:
            manifest = (manifest or {}).get(part)
    return manifest


CHANGED = [
    # what lets the clone run where there is room, once, and as nobody
    ("chart", "spec/restartPolicy", "Never"),
    ("chart", "spec/automountServiceAccountToken", False),
    ("chart", "spec/enableServiceLinks", False),
    ("chart", "spec/activeDeadlineSeconds", 301),
    ("chart", "spec/nodeName", None),
    ("chart", "spec/subdomain", None),
    ("chart", "spec/priorityClassName", None),
    ("chart", "spec/readinessGates", None),
    ("chart", "spec/containers/0/ports", [{"name": "http", "containerPort": 8080}]),
    ("chart", "spec/containers/0/livenessProbe", None),
    ("chart", "metadata/annotations/prometheus.io~scrape", None),
    ("chart", "metadata/annotations/cni.projectcalico.org~ipAddrs", None),
    ("chart", "metadata/annotations/fluentbit.io~parser", None),
    ("chart", "metadata/annotations/linkerd.io~inject", "disabled"),
    ("chart", "metadata/annotations/sidecar.istio.io~inject", "false"),
    ("chart", "metadata/labels/sidecar.istio.io~inject", "false"),
    ("chart", "metadata/labels/helm.sh~chart", None),
    ("chart", "spec/containers/0/env/0", {"name": "VERSION", "value": "nginx-18.1.0"}),
    # what decides how the application runs
    ("chart", "metadata/annotations/container.apparmor.security.beta.kubernetes.io~nginx", "runtime/default"),
    ("chart", "spec/serviceAccountName", "web"),
    ("chart", "spec/imagePullSecrets", [{"name": "registry"}]),
    ("chart", "spec/terminationGracePeriodSeconds", 45),
    ("chart", "spec/hostname", "web"),
    ("chart", "spec/nodeSelector", {"kubernetes.io/os": "linux"}),
    ("chart", "spec/tolerations/0/key", "dedicated"),
    ("chart", "spec/securityContext/fsGroup", 1001),
    ("chart", "spec/containers/0/resources", {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "192Mi"}}),
    ("chart", "spec/containers/0/lifecycle/preStop/exec/command/2", "sleep 5"),
    ("chart", "spec/containers/0/readinessProbe/httpGet/path", "/"),
    ("chart", "spec/containers/0/startupProbe", None),
    ("chart", "spec/containers/0/env/1/valueFrom/fieldRef/fieldPath", "status.podIP"),
    ("chart", "spec/initContainers/0/name", "preserve"),
    ("claims", "spec/initContainers/1/restartPolicy", "Always"),
    ("claims", "spec/containers/0/env/0/valueFrom/fieldRef/fieldPath", "metadata.name"),
    # of its own probes, the one that tells Ready and kills nobody
    ("claims", "spec/containers/0/startupProbe", {"httpGet": {"path": "/v2/", "port": 5000}, "failureThreshold": 2**31 - 1}),
    ("claims", "spec/containers/0/livenessProbe", None),
    ("rollout", "spec/containers/0/livenessProbe", None),
    ("rollout", "spec/containers/0/startupProbe/initialDelaySeconds", 0),
    ("rollout", "spec/containers/0/startupProbe/timeoutSeconds", 2),
    # rules of placement that speak of its own pods go, others stay
    ("chart", "spec/topologySpreadConstraints/0/labelSelector/matchLabels/tier", "batch"),
    ("chart", "spec/topologySpreadConstraints/1", None),
    ("chart", "spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/labelSelector/matchLabels", {"tier": "batch"}),
    ("chart", "spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/1", None),
    ("chart", "spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution", None),
    ("chart", "spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0/key", "disk"),
    # own volumes stay as they are, whatever outlives a pod is empty at the same path
    ("chart", "spec/volumes/0/emptyDir", {"medium": "Memory", "sizeLimit": "10Mi"}),
    ("chart", "spec/volumes/1/configMap/name", "web"),
    ("chart", "spec/volumes/2/secret/secretName", "web-tls"),
    ("claims", "spec/volumes/0", {"name": "shared", "emptyDir": {"sizeLimit": "2Gi"}}),
    ("claims", "spec/volumes/1", {"name": "cache", "emptyDir": {"sizeLimit": "2Gi"}}),
    ("claims", "spec/volumes/2", {"name": "data", "emptyDir": {"sizeLimit": "2Gi"}}),
    ("claims", "spec/containers/0/volumeMounts/0", {"name": "data", "mountPath": "/var/lib/registry", "subPath": "blobs"}),
    ("claims", "spec/securityContext/fsGroupChangePolicy", "OnRootMismatch"),
    ("rollout", "spec/volumes/0/emptyDir", {"sizeLimit": "2Gi"}),
    ("rollout", "spec/volumes/1/emptyDir", {"sizeLimit": "2Gi"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "expected"), CHANGED, ids=lambda v: str(v)[-60:])
def test_what_a_clone_keeps_and_loses(name: str, path: str, expected: Any):
    made = clone(template(name))

    found: Any = made
    for part in path.split("/"):
        found = at(found, part.replace("~", "/")) if "~" not in part else (found or {}).get(part.replace("~", "/"))  # fmt: skip
    assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_template_stays_as_it_was(name: str):
    workload = template(name)
    clone(workload)

    assert workload == template(name)


def test_a_clone_is_of_its_run_and_arm_and_owned_by_the_drills_pod():
    place = replace(PLACE, labels=(("readiness.dev/policy", "shop"),))
    made = clone(template("sources"), Arm("in-flight", ()), place)["metadata"]

    assert made["labels"] == {
        "app.kubernetes.io/managed-by": "readiness-operator",
        "app.kubernetes.io/part-of": "readiness",
        "istio.io/dataplane-mode": "none",
        "kuma.io/sidecar-injection": "disabled",
        "readiness.dev/arm": "in-flight",
        "readiness.dev/drill": "ab12",
        "readiness.dev/policy": "shop",
        "sidecar.istio.io/inject": "false",
    }
    assert made["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "drill-ab12-xyz", "uid": "0-1-2",
         "controller": True, "blockOwnerDeletion": False}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "index", "number"),
    [("chart", 0, "0"), ("chart", 4, "4"), ("claims", 0, "3"), ("claims", 2, "5")],
)
def test_the_name_ends_in_a_number_that_no_member_of_a_stateful_set_has(name, index, number):
    made = clone(template(name), place=replace(PLACE, index=index))

    assert made["metadata"]["name"].rpartition("-")[2] == number
    assert "hostname" not in made["spec"] or name == "chart"


def test_names_of_a_run_differ_and_fit_whatever_the_arm_is_called():
    long = "Boot Without " + "A_VERY_LONG_NAME" * 5
    names = {
        clone(deployment(), Arm(arm, ()), replace(PLACE, index=n))["metadata"]["name"]
        for arm in ("idle", "boot")
        for n in range(3)
    }
    fitted = clone(deployment(), Arm(long[:60], ()))["metadata"]["name"]

    assert len(names) == 6
    assert len(fitted) <= 63
    assert fitted == fitted.lower()
    assert "_" not in fitted


def test_nodes_are_avoided_where_possible_and_required_ones_kept():
    made = clone(template("chart"), place=replace(PLACE, avoid=("node-1", "node-2")))
    affinity = made["spec"]["affinity"]["nodeAffinity"]
    (rule,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]

    assert rule["preference"]["matchFields"] == [
        {"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in ("node-1", "node-2")
    ]  # fmt: skip
    assert "requiredDuringSchedulingIgnoredDuringExecution" in affinity


def test_only_a_priority_class_that_preempts_nobody_is_named():
    assert "preemptionPolicy" not in clone(deployment())["spec"]
    spec = clone(deployment(), place=replace(PLACE, priority_class="readiness-drill"))["spec"]

    assert (spec["priorityClassName"], spec["preemptionPolicy"]) == ("readiness-drill", "Never")


def test_a_container_is_not_restarted_by_rules_of_its_own():
    made = clone(deployment({"restartPolicy": "Always", "restartPolicyRules": [{}]}))

    assert made["spec"]["containers"][0].keys() & {"restartPolicy", "restartPolicyRules"} == set()


@pytest.mark.parametrize(
    "volume",
    [
        {"persistentVolumeClaim": {"claimName": "c"}},
        {"ephemeral": {"volumeClaimTemplate": {}}},
        {"csi": {"driver": "d"}},
        {"nfs": {"server": "s", "path": "/"}},
        {"awsElasticBlockStore": {"volumeID": "v"}},
        {"azureFile": {"shareName": "s", "secretName": "x"}},
        {"iscsi": {"iqn": "i"}},
        {"somethingOfTomorrow": {}},
    ],
    ids=lambda v: next(iter(v)),
)
def test_nothing_that_outlives_a_pod_is_mounted(volume: Manifest):
    made = clone(deployment(volumes=[{"name": "v", **volume}]))

    assert made["spec"]["volumes"] == [{"name": "v", "emptyDir": {"sizeLimit": "2Gi"}}]


def test_a_claim_of_a_stateful_set_wins_over_a_volume_of_its_name_as_in_the_cluster():
    workload = template("claims")
    workload["spec"]["template"]["spec"]["volumes"].append({"name": "data", "secret": {}})
    made = clone(workload)

    assert [v["name"] for v in made["spec"]["volumes"]] == ["shared", "cache", "data"]
    assert "emptyDir" in made["spec"]["volumes"][2]


@pytest.mark.parametrize("name", NAMES)
def test_no_claim_host_path_or_token_is_left_anywhere(name: str):
    text = json.dumps(clone(template(name)))

    for word in ("persistentVolumeClaim", "volumeClaimTemplate", "hostPath", "serviceAccountToken", "hostPort", "nfs"):  # fmt: skip
        assert word not in text


NET_ADMIN = {"securityContext": {"capabilities": {"add": ["CHOWN", "NET_ADMIN"]}}}
TOKEN = {"name": "t", "projected": {"sources": [{"configMap": {"name": "c"}}, {"serviceAccountToken": {"path": "t"}}]}}  # fmt: skip
CERTIFICATE = {"name": "t", "projected": {"sources": [{"podCertificate": {"keyType": "ED25519"}}]}}
WINDOWS = {"windowsOptions": {"hostProcess": True}}


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        (deployment(hostNetwork=True), "hostNetwork"),
        (deployment(hostPID=True), "hostPID"),
        (deployment(hostIPC=True), "hostIPC"),
        (deployment(volumes=[{"name": "d", "hostPath": {"path": "/"}}]), "volume d is a hostPath"),
        (deployment({"securityContext": {"privileged": True}}), "container app is privileged"),
        (deployment({"securityContext": WINDOWS}), "container app is privileged"),
        (deployment(securityContext=WINDOWS), "hostProcess"),
        (deployment(NET_ADMIN), "adds the capability NET_ADMIN"),
        (deployment({"volumeDevices": [{"name": "b", "devicePath": "/dev/b"}]}), "block device"),
        (deployment(resourceClaims=[{"name": "gpu"}]), "claims devices"),
        (deployment(volumes=[TOKEN]), "volume t holds the application's own credentials"),
        (deployment(volumes=[CERTIFICATE]), "volume t holds the application's own credentials"),
        (deployment(initContainers=[{"name": "i", "securityContext": {"privileged": True}}]), "container i is privileged"),
        ({"kind": "Rollout", "spec": {"workloadRef": {"name": "api"}}}, "no pod template of its own"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_what_is_unsafe_is_refused(workload: Manifest, words: str):
    problem = refused(workload)

    assert problem.reason == "Refused"
    assert words in problem.words
    assert problem.fix


@pytest.mark.parametrize("name", ["NET_BIND_SERVICE", "CHOWN", "CAP_SETUID"])
def test_what_runtimes_grant_anyway_is_not_refused(name: str):
    assert clone(deployment({"securityContext": {"capabilities": {"add": [name]}}}))


def test_a_container_that_is_not_there_is_told():
    assert "no container sidecar" in refused(deployment(), container="sidecar").words


KEYS = st.sampled_from(
    ["app", "tier", "app.kubernetes.io/name", "app.kubernetes.io/managed-by", "app.kubernetes.io/part-of",
     "sidecar.istio.io/inject", "istio.io/dataplane-mode", "readiness.dev/policy", "pod-template-hash"]
)  # fmt: skip
VALUES = st.sampled_from(["a", "b", "readiness", "readiness-operator", "false", "none", "shop", ""])


@given(labels=st.dictionaries(KEYS, VALUES, min_size=1), data=st.data())
def test_nothing_that_selects_by_the_templates_labels_selects_a_clone(labels, data):
    workload = deployment()
    workload["spec"]["template"]["metadata"]["labels"] = labels
    chosen = data.draw(st.sets(st.sampled_from(sorted(labels)), min_size=1))
    pairs = {key: labels[key] for key in chosen}
    place = replace(PLACE, labels=(("readiness.dev/policy", "shop"),))
    made = clone(workload, ARM, place)["metadata"]["labels"]

    assert matches({"matchLabels": pairs}, labels)
    assert not matches({"matchLabels": pairs}, made)
    expressions = [{"key": k, "operator": "In", "values": [v]} for k, v in pairs.items()]
    assert not matches({"matchExpressions": expressions}, made)
    assert made["readiness.dev/drill"] == "ab12"


@pytest.mark.parametrize("name", NAMES)
def test_its_own_selector_does_not_match_a_clone(name: str):
    workload = template(name)
    selector, labels = workload["spec"]["selector"], template_metadata(workload)["labels"]

    assert matches(selector, labels)
    assert not matches(selector, clone(workload)["metadata"]["labels"])
