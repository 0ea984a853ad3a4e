"""The commands that read verdicts, against a real API server whose statuses this test writes."""

from __future__ import annotations

import json
import time

import pytest

from readiness import plan, rules
from readiness.cli.worlds import Defaults, worlds_of
from readiness.files import load
from readiness.model import Manifest

from .conftest import BAD, GOOD

pytestmark = pytest.mark.api
PATH = "/apis/readiness.dev/v1alpha1/namespaces/cli/readinesspolicies"


def spec(workload: str) -> Manifest:
    return {
        "targets": [
            {
                "name": "web",
                "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload},
            }
        ]
    }


@pytest.fixture(scope="module")
def cluster(api_server):
    """Namespace `cli` with one policy that fails, one that holds, and one nobody has judged."""
    api_server.kubectl("create", "namespace", "cli")
    for name, workload, file in (
        ("bad", "cart", BAD),
        ("good", "checkout", GOOD),
        ("new", "x", ""),
    ):
        body = {
            "apiVersion": "readiness.dev/v1alpha1",
            "kind": "ReadinessPolicy",
            "metadata": {"name": name},
            "spec": spec(workload),
        }
        policy = api_server.request("POST", PATH, body)
        if file:
            judge(api_server, policy, file)
    yield api_server
    api_server.kubectl("delete", "namespace", "cli", "--wait=false")


def judge(api_server, policy: Manifest, file: str) -> None:
    """Writes what the operator would write, judged from the manifests."""
    objects = list(load([file], lambda limit: b"").objects)
    for item in objects:
        item.manifest["metadata"]["namespace"] = "cli"
    here = type(objects[0])(policy, "", 0)
    world = next(iter(worlds_of([here, *objects], Defaults())))
    decided = plan.make(rules.load(), plan.Situation(policy, world.snapshot, {}, time.time()), {})
    api_server.request(
        "PUT", f"{PATH}/{policy['metadata']['name']}/status", {**policy, "status": decided.status}
    )
    for report in decided.reports:
        api_server.request("POST", PATH.replace("policies", "reports"), report)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["gate", "bad"], 0, "spec.enforcement is audit, so this does not count"),
        (["gate", "bad", "--strict"], 1, "CFG-004"),
        (["gate", "good", "--strict"], 0, "Compliant is True"),
        (["gate", "new", "--strict"], 3, "has not been judged"),
        (["gate", "good", "--strict", "--level", "p3"], 0, "level P3 is asked, P3 is reached"),
        (["gate", "bad", "--strict", "--level", "P1"], 1, "level P1 is asked, none is reached"),
        (["gate", "bad", "--level", "P1"], 0, "so this does not count"),
        (["gate", "bad", "--level", "P4"], 2, "invalid choice"),
        (
            ["gate", "none"],
            2,
            "no ReadinessPolicy 'none' in namespace cli; there are: bad, good, new",
        ),
        (["wait", "good", "--timeout", "5s"], 0, "Compliant is True"),
        (["wait", "bad", "--for", "ready"], 0, "Ready is True"),
        (["wait", "bad", "--timeout", "100ms"], 1, "Compliant is False"),
        (["wait", "none", "--timeout", "100ms"], 3, "no such policy"),
        (["status"], 0, "P0Failed"),
        (["status", "bad"], 0, "CFG-004"),
        (["report", "bad"], 0, "SEC-011"),
        (["report", "bad", "--target", "web"], 0, "SEC-011"),
        (["report", "bad", "--target", "api"], 2, "the policy has web"),
        (["report", "new"], 3, "no report of new yet"),
    ],
)
def test_commands(readiness, cluster, words, code, said):
    ended = readiness(*words, "-n", "cli", "--kubeconfig", str(cluster.kubeconfig))
    assert ended.code == code, ended.err
    assert said in " ".join((ended.out + ended.err).split())


@pytest.mark.parametrize("format_", ["json", "yaml", "sarif", "junit", "markdown", "github"])
def test_formats_of_gate_and_report(readiness, cluster, format_):
    options = ["-n", "cli", "--kubeconfig", str(cluster.kubeconfig), "-o", format_]
    gate = readiness("gate", "bad", "--strict", *options)
    assert (gate.code, "CFG-004" in gate.out) == (1, True)
    assert "CFG-004" in readiness("report", "bad", *options).out
    if format_ == "json":
        assert json.loads(gate.out)["summary"]["verdict"] == "NotMet"
        told = json.loads(readiness("gate", "new", "--strict", *options).out)
        assert told["summary"]["verdict"] == "Unproven"


def test_status_as_data(readiness, cluster):
    options = ["-n", "cli", "--kubeconfig", str(cluster.kubeconfig), "-o", "json"]
    found = json.loads(readiness("status", *options).out)["items"]
    assert [item["metadata"]["name"] for item in found] == ["bad", "good", "new"]
    assert "cli" in readiness("status", "-A", "--kubeconfig", str(cluster.kubeconfig)).out


def test_the_namespace_is_that_of_the_context(readiness, cluster, tmp_path):
    import yaml

    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = "cli"
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    assert readiness("gate", "good", "--kubeconfig", str(tmp_path / "config")).code == 0


@pytest.fixture
def contexts(cluster, tmp_path):
    """A kubeconfig without a current context: `here` in namespace cli, `there` where nobody answers."""
    import yaml

    config = yaml.safe_load(cluster.kubeconfig.read_text())
    (known,), (user,) = config["clusters"], config["users"]
    config["clusters"].append({"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}})
    config["contexts"] = [
        {"name": "here", "context": {"cluster": known["name"], "user": user["name"], "namespace": "cli"}},
        {"name": "there", "context": {"cluster": "gone", "user": user["name"]}},
    ]  # fmt: skip
    del config["current-context"]
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    return ["--kubeconfig", str(tmp_path / "config")]


@pytest.mark.parametrize(
    "words", [["status", "good"], ["report", "good"], ["gate", "good"], ["wait", "good", "--timeout", "1s"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_command_chooses_cluster_and_namespace_alike(readiness, contexts, words):
    assert readiness(*words, *contexts, "--context", "here").code == 0
    assert readiness(*words, *contexts, "--context", "here", "-n", "default").code in (2, 3)
    assert readiness(*words, *contexts, "--context", "there").code == 3
    assert readiness(*words, *contexts).code == 3
    ended = readiness(*words, *contexts, "--context", "nope")
    assert (ended.code, "no context 'nope'; there are: here, there" in ended.err) == (2, True)


def test_a_server_that_does_not_answer_cannot_tell(readiness, cluster, tmp_path):
    import yaml

    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    ended = readiness("gate", "good", "--kubeconfig", str(tmp_path / "config"))
    assert ended.code == 3
    assert "--context or --kubeconfig" in ended.err
    (tmp_path / "config").write_text("a: 1")
    assert readiness("status", "--kubeconfig", str(tmp_path / "config")).code == 3
