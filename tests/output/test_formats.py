"""Every format of findings, from the same sheet: structure, escapes, and what decides."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import jsonschema
import pytest
import yaml

from readiness.model import Result, Severity
from readiness.output import FORMATS, render
from readiness.output.sheet import Outcome, Row, Rule, Sheet, Style, outcome_of

NASTY = 'a|b <c> & "d" %0A,:\n\x1b[31mé'
PASS = Row(
    "HDR-001",
    "api",
    Result.PASS,
    Severity.P0,
    "Fine",
    "holds",
    namespace="shop",
    subject="Deployment/api",
    file="dir/a b.yaml",
    line=7,
)
FAIL = replace(
    PASS,
    id="CFG-004",
    result=Result.FAIL,
    reason="PlainSecret",
    message=NASTY,
    expected="none",
    observed="one",
    fix="move it",
)
UNKNOWN = replace(
    PASS,
    id="HLT-005",
    result=Result.UNKNOWN,
    severity=Severity.P1,
    reason="NotSeen",
    message="not seen",
    file="<stdin>",
)
WAIVED = replace(FAIL, id="SEC-001", result=Result.WAIVED, reason="Leak", message="waived by w")
AUDIT = replace(FAIL, id="SEC-010", counts=False, message="audited")
POLICY = Row("GAT-001", "", Result.PASS, Severity.P0, "Order", "in order")
RULES = {"CFG-004": Rule("No secret", "No value is a secret.", "Move it.", "P0")}
SHEET = Sheet(
    (PASS, FAIL, UNKNOWN, WAIVED, AUDIT, POLICY),
    rules=RULES,
    extra={"needCluster": 2},
    notes=("2 more.",),
    version="1.2.3",
)
STYLE = Style(width=80)


@pytest.mark.parametrize(
    ("rows", "fail_on", "outcome"),
    [
        ((), "P1", Outcome.UNPROVEN),
        ((POLICY,), "P1", Outcome.UNPROVEN),
        ((PASS, POLICY, WAIVED), "P3", Outcome.MET),
        ((PASS, FAIL), "P0", Outcome.NOT_MET),
        ((UNKNOWN, FAIL), "P1", Outcome.NOT_MET),
        ((UNKNOWN,), "P1", Outcome.UNPROVEN),
        ((UNKNOWN,), "P0", Outcome.MET),
        ((AUDIT,), "P0", Outcome.UNPROVEN),
        ((AUDIT, PASS), "P0", Outcome.MET),
        ((replace(UNKNOWN, result=Result.BLOCKED),), "P1", Outcome.UNPROVEN),
        ((replace(FAIL, severity=Severity.P2),), "P1", Outcome.MET),
        ((replace(FAIL, severity=Severity.P2),), "P2", Outcome.NOT_MET),
    ],
)
def test_outcome(rows, fail_on, outcome):
    assert outcome_of(rows, Severity(fail_on)) is outcome


@pytest.mark.parametrize("format_", ["json", "yaml"])
def test_data(format_):
    text = render(format_, SHEET, STYLE)
    found = json.loads(text) if format_ == "json" else yaml.safe_load(text)
    assert found["summary"] == {
        "total": 6, "pass": 2, "fail": 2, "unknown": 1, "optInRequired": 0, "blocked": 0,
        "notApplicable": 0, "waived": 1, "needCluster": 2, "failOn": "P1", "verdict": "NotMet",
    }  # fmt: skip
    rows = found["findings"]
    assert [row["id"] for row in rows] == [row.id for row in SHEET.rows]
    for row in rows:
        assert row.keys() >= {"id", "target", "result", "severity", "reason", "message"}
    assert rows[1] == {
        "id": "CFG-004", "target": "api", "result": "Fail", "severity": "P0", "reason": "PlainSecret",
        "message": NASTY, "expected": "none", "observed": "one", "fix": "move it",
        "subject": "Deployment/api", "namespace": "shop", "file": "dir/a b.yaml", "line": 7, "counts": True,
    }  # fmt: skip


TEXT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}


def closed(properties, *required):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


# The part of the official SARIF 2.1.0 schema that we use, closed: nothing else may appear.
SARIF = closed(
    {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": closed(
            {
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "tool": closed({"driver": closed(
                    {
                        "name": {"type": "string", "minLength": 1}, "informationUri": {"type": "string", "format": "uri"},
                        "version": {"type": "string"},
                        "rules": {"type": "array", "uniqueItems": True, "items": closed(
                            {
                                "id": {"type": "string"}, "shortDescription": TEXT, "fullDescription": TEXT, "help": TEXT,
                                "defaultConfiguration": closed({"level": LEVEL}),
                                "properties": closed({"tags": {"type": "array", "uniqueItems": True, "items": {"type": "string"}}}),
                            }, "id")},
                    }, "name")}, "driver"),
                "results": {"type": "array", "items": closed(
                    {
                        "ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": 0},
                        "kind": {"enum": ["notApplicable", "pass", "fail", "review", "open", "informational"]},
                        "level": LEVEL, "message": TEXT,
                        "locations": {"type": "array", "items": closed({
                            "logicalLocations": {"type": "array", "items": closed({"fullyQualifiedName": {"type": "string"}})},
                            "physicalLocation": closed({
                                "artifactLocation": closed({"uri": {"type": "string", "pattern": r"^[!-~]+$"}}, "uri"),
                                "region": closed({"startLine": {"type": "integer", "minimum": 1}}, "startLine"),
                            }, "artifactLocation")})},
                        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                        "suppressions": {"type": "array", "items": closed(
                            {"kind": {"enum": ["inSource", "external"]}, "status": {"enum": ["accepted", "underReview", "rejected"]},
                             "justification": {"type": "string"}}, "kind")},
                    }, "message")},
            }, "tool")},
    }, "version", "runs")  # fmt: skip


def test_sarif():
    found = json.loads(render("sarif", SHEET, STYLE))
    jsonschema.validate(found, SARIF)
    run = found["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    told = [
        (
            rules[r["ruleIndex"]]["id"] == r["ruleId"],
            r["ruleId"],
            r["kind"],
            r["level"],
            "suppressions" in r,
        )
        for r in run["results"]
    ]
    assert told == [
        (True, "CFG-004", "fail", "error", False),
        (True, "HLT-005", "open", "none", False),
        (True, "SEC-001", "fail", "error", True),
        (True, "SEC-010", "fail", "error", False),
    ]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "dir/a%20b.yaml"}, "region": {"startLine": 7}}
    assert "physicalLocation" not in run["results"][1]["locations"][0]
    assert rules[0]["help"]["text"] == "Move it."
    absolute = replace(SHEET, rows=(replace(FAIL, file="/tmp/x.yaml"),))
    result = json.loads(render("sarif", absolute, STYLE))["runs"][0]["results"][0]
    assert (
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        == "file:///tmp/x.yaml"
    )


def test_junit():
    root = ET.fromstring(render("junit", SHEET, STYLE))
    assert root.attrib == {
        "name": "readiness",
        "tests": "6",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    cases = {case.get("name").split()[0]: case for case in root.iter("testcase")}
    assert [child.tag for child in cases["CFG-004"]] == ["failure"]
    assert "expected: none" in cases["CFG-004"].find("failure").text
    assert [child.tag for child in cases["HLT-005"]] == ["error"]
    assert (
        [child.tag for child in cases["SEC-001"]]
        == [child.tag for child in cases["SEC-010"]]
        == ["skipped"]
    )
    assert len(cases["HDR-001"]) == 0
    for suite in root:
        assert int(suite.get("tests")) == len(suite)


def test_github():
    lines = render("github", SHEET, STYLE).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(
        '::error file=dir/a b.yaml,line=7,title=CFG-004 P0 PlainSecret::Deployment/api: a|b <c> & "d" %250A,:'
    )
    assert lines[1].startswith("::warning file=<stdin>,line=7,title=HLT-005")
    assert lines[2].startswith("::warning ")


def test_markdown():
    text = render("markdown", SHEET, STYLE)
    rows = [line for line in text.splitlines() if line.startswith("| P")]
    assert len(rows) == 3
    assert "a\\|b &lt;c&gt; &amp;" in rows[0]
    assert [len(row.replace("\\|", "").split("|")) for row in rows] == [8, 8, 8]


GOLDEN = """\
Deployment/api  namespace shop  dir/a b.yaml:7
  P0  Fail      CFG-004  PlainSecret
      a|b <c> & "d" %0A,: [31mé
      expected    none
      observed    one
      fix         move it
  1 of 2 hold: HDR-001

Deployment/api  namespace shop  <stdin>:7
  P1  Unknown   HLT-005  NotSeen
      not seen
"""


def test_human_is_plain_and_fits():
    text = render("human", replace(SHEET, rows=(PASS, FAIL, UNKNOWN)), STYLE)
    assert text.startswith(GOLDEN)
    assert text.endswith(
        "\n3 findings: 1 pass, 1 fail, 1 unknown.\n2 more.\n"
        "Not met: 1 of 3 findings at P1 or above fail.\nNext: readiness explain CFG-004\n"
    )
    assert all(len(line) <= 80 for line in text.splitlines())
    verbose = render("human", SHEET, Style(verbose=True))
    assert "P0  Pass      HDR-001  Fine" in verbose
    assert "(does not count)" in verbose


def test_colour_only_repeats_words():
    import re

    coloured = render("human", SHEET, replace(STYLE, colour=True))
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == render("human", SHEET, STYLE)


@pytest.mark.parametrize("format_", FORMATS)
def test_no_format_chokes_on_nothing(format_):
    assert isinstance(render(format_, Sheet(()), STYLE), str)


@pytest.mark.parametrize("format_", [f for f in FORMATS if f not in ("json", "yaml", "sarif")])
def test_no_format_lets_escape_sequences_out(format_):
    assert "\x1b" not in render(format_, SHEET, STYLE)
