"""`readiness check` on manifests: exit codes, what is judged by what, and words for mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import BAD, GOOD, MANIFESTS

POLICY = """
apiVersion: readiness.dev/v1alpha1
kind: ReadinessPolicy
metadata: {name: shop, namespace: shop}
spec:
  targets: [{name: web, workloadRef: {kind: Deployment, name: cart}}]
"""
WAIVER = """
---
apiVersion: readiness.dev/v1alpha1
kind: ReadinessWaiver
metadata: {name: tag, namespace: shop, creationTimestamp: "2999-01-01T00:00:00Z"}
spec: {policyRef: shop, controls: [SEC-011], targets: [cart], owner: team-shop, expires: "2999-02-01T00:00:00Z",
  reason: The registry cannot hold digests until its migration.}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: %s\n"


@pytest.mark.parametrize(
    ("words", "stdin", "code"),
    [
        ([GOOD], "", 0),
        ([BAD], "", 1),
        ([str(MANIFESTS)], "", 1),
        ([BAD, "--skip", "CFG-004", "--skip", "sec-011"], "", 0),
        ([BAD, "--skip", "CFG-004", "--fail-on", "P0"], "", 0),
        ([BAD, "--skip", "CFG-004", "--fail-on", "p1"], "", 1),
        (["-"], SERVICE, 3),
        (["-"], "", 3),
        (["-"], DEPLOYMENT % "{}", 3),
        (["-"], DEPLOYMENT % "[]", 2),
        (["-"], DEPLOYMENT % "{template: {spec: {containers: [a]}}}", 2),
        (["-"], POLICY, 3),
        (["-"], POLICY.replace("kind: Deployment", "kind: Deploy"), 2),
        (["-"], POLICY + "  typo: 1\n", 2),
        (["-"], POLICY + "  profiles: [nope]\n", 2),
        ([GOOD, "--profile", "baseline", "--profile", "baseline"], "", 0),
        ([], "", 2),
        ([GOOD, "--url", "http://x"], "", 2),
        ([GOOD, "--skip", "SHD-999"], "", 2),
        ([GOOD, "--profile", "nope"], "", 2),
        ([GOOD, "--output", "pdf"], "", 2),
        (["/none.yaml"], "", 2),
        (["-"], "a: [", 2),
        (["-"], "{{ .Values.x }}", 2),
        (["--url", "ftp://x"], "", 2),
        (["--url", "http://x:99999"], "", 2),
        (["--url", "http://x", "--deep-health", "/h"], "", 2),
    ],
)
def test_exit_codes(readiness, words, stdin, code):
    ended = readiness("check", *words, stdin=stdin)
    assert ended.code == code, ended.err
    if code == 2:
        assert ended.out == ""
        assert "readiness check: " in ended.err
    if code == 3:
        assert ended.err or "Could not tell" in ended.out


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["/none.yaml"], "", "/none.yaml: cannot be read: No such file or directory"),
        (["-"], "a: 1\nb: }", "<stdin>:2:4: not valid YAML"),
        (["-"], "a: {{ x }}", "helm template … | readiness check -"),
        (["-"], SERVICE, "expected a Deployment, StatefulSet, DaemonSet or Rollout"),
        (
            ["-"],
            POLICY + "  typo: 1\n",
            "<stdin>:2: ReadinessPolicy/shop: spec.typo: unknown field",
        ),
        (
            ["-"],
            POLICY + "  profiles: [nope]\n",
            "<stdin>:2: ReadinessPolicy/shop: spec.profiles: no profile 'nope'; there are: api,",
        ),
        (["-"], DEPLOYMENT % "[]", "<stdin>:1: Deployment/a: spec: expected a mapping"),
        ([GOOD, "--skip", "SHD-00"], "", "did you mean SHD-0"),
        (
            [GOOD, GOOD],
            "",
            f"good.yaml:6: Deployment/checkout stands already in {GOOD}:6; the last one counts",
        ),
        (
            [GOOD, "--profile", "nope"],
            "",
            "expected one of api, baseline, data, fastapi-mongo, job-queue, omnios, or3-cloud",
        ),
        (["--url", "ftp://x"], "", "externalURL"),
    ],
)
def test_mistakes_are_named_with_a_remedy(readiness, words, stdin, said):
    assert said in readiness("check", *words, stdin=stdin).err


def findings(ended):
    return {(row["target"], row["id"]): row for row in json.loads(ended.out)["findings"]}


def test_json_of_every_workload(readiness):
    found = findings(readiness("check", str(MANIFESTS), "-o", "json"))
    fails = {key for key, row in found.items() if row["result"] == "Fail"}
    assert fails == {("cart", "CFG-004"), ("cart", "SEC-011")}
    assert {key[0] for key in found} == {"cart", "checkout"}
    assert (found["cart", "CFG-004"]["file"], found["cart", "CFG-004"]["line"]) == (BAD, 7)


def test_no_format_tells_the_secret(readiness):
    for format_ in ("human", "json", "yaml", "sarif", "junit", "markdown", "github"):
        ended = readiness("check", BAD, "-v", "-o", format_)
        assert "CFG-004" in ended.out
        assert "hunter2-canary" not in ended.out + ended.err


def test_a_policy_among_the_files_decides_what_is_judged(readiness, tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    found = findings(readiness("check", str(tmp_path), BAD, "-o", "json"))
    assert found["web", "SEC-011"]["result"] == "Fail"
    assert found["web", "SEC-011"]["subject"] == "Deployment/cart"
    assert found["", "GAT-001"]["result"] == "Pass"
    assert found["", "GAT-001"]["file"] == str(tmp_path / "policy.yaml")
    (tmp_path / "policy.yaml").write_text(POLICY + "  controls: [{id: SEC-011, mode: audit}]\n")
    found = findings(readiness("check", str(tmp_path), BAD, "-o", "json"))
    assert found["web", "SEC-011"]["counts"] is False


def test_one_target_that_is_not_among_the_files_is_unproven(readiness):
    policy = POLICY.replace("cart", "checkout").replace(
        "}}]", "}}, {name: gone, workloadRef: {kind: Deployment, name: gone}}]"
    )
    ended = readiness("check", GOOD, "-", "-o", "json", stdin=policy)
    assert ended.code == 3
    gone = {
        (row["result"], row["reason"])
        for row in json.loads(ended.out)["findings"]
        if row["target"] == "gone"
    }
    assert gone == {("Unknown", "TargetNotFound")}


def test_a_waiver_among_the_files_excuses_and_stays_visible(readiness, tmp_path):
    (tmp_path / "waiver.yaml").write_text(WAIVER)
    found = findings(readiness("check", str(tmp_path), BAD, "-o", "json"))
    assert found["cart", "SEC-011"]["result"] == "Waived"
    assert found["cart", "CFG-004"]["result"] == "Fail"
    expired = WAIVER.replace("2999-02-01", "2020-02-01")
    (tmp_path / "waiver.yaml").write_text(expired)
    found = findings(readiness("check", str(tmp_path), BAD, "-o", "json"))
    assert found["cart", "SEC-011"]["result"] == "Fail"
    assert found["", "GAT-005"]["result"] == "Fail"


def test_workloads_cannot_exempt_themselves(readiness, tmp_path):
    text = (
        Path(BAD)
        .read_text()
        .replace(
            "metadata: {name: cart, namespace: shop}",
            'metadata: {name: cart, namespace: shop, annotations: {readiness.dev/ignore.CFG-004: "why"}}',
        )
    )
    assert readiness("check", "-", stdin=text).code == 1


def test_more_workloads_than_a_policy_may_have_targets(readiness):
    text = "---\n".join(Path(GOOD).read_text().replace("checkout", f"app-{i}") for i in range(60))
    found = json.loads(readiness("check", "-", "-o", "json", stdin=text).out)
    assert len({row["target"] for row in found["findings"]}) == 60
    assert found["summary"]["fail"] == 0


def test_kinds_and_namespaces_that_share_a_name_are_told_apart(readiness):
    text = "".join(
        f"---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: a.b, namespace: {space}}}\nspec: {{}}\n"
        for kind in ("Deployment", "StatefulSet")
        for space in ("x", "y")
    )
    found = json.loads(readiness("check", "-", "-o", "json", stdin=text).out)["findings"]
    assert {(row["namespace"], row["subject"]) for row in found} == {
        (space, f"{kind}/a.b") for kind in ("Deployment", "StatefulSet") for space in ("x", "y")
    }


GOLDEN = f"""\
Deployment/cart  namespace shop  {BAD}:7
  P0  Fail      CFG-004  PlainSecret
      secret as plain text: spec.template.spec.containers[app].env[DB_PASSWORD]
"""


def test_human_output(readiness):
    ended = readiness("check", BAD)
    assert ended.out.startswith(GOLDEN)
    assert "  6 of 8 hold: CFG-003, HLT-005" in ended.out
    assert ended.out.endswith(
        "Not met: 2 of 8 findings at P1 or above fail.\nNext: readiness explain CFG-004\n"
    )
    assert "\x1b" not in ended.out
    assert ended.err == ""
