"""The table of docs/cli.md, enforcement × verdict: status of a policy → exit code of a pipeline."""

from __future__ import annotations

import pytest

from readiness.gate import awaited_of, gate_of, verdict_of
from readiness.model import Severity

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
LATER, EARLIER = "2027-01-15T09:00:00Z", "2027-01-15T07:59:59Z"


def policy(
    compliant=None,
    reason="Why",
    *,
    enforcement="enforce",
    until=LATER,
    seen=3,
    ready="True",
    accepted="True",
):
    found = {
        "metadata": {"name": "p", "namespace": "n", "generation": 3},
        "spec": {"enforcement": enforcement},
    }
    if compliant:
        found["status"] = {
            "observedGeneration": seen,
            "validUntil": until,
            "conditions": [
                {"type": "Accepted", "status": accepted, "reason": "R", "message": "m"},
                {"type": "Ready", "status": ready, "reason": "R", "message": "m"},
                {"type": "Compliant", "status": compliant, "reason": reason, "message": "m"},
            ],
        }
    return found


TABLE = [
    # what, policy, code under enforce, words
    ("holds", policy("True"), 0, "Compliant is True"),
    ("fails", policy("False", "P0Failed"), 1, "P0Failed"),
    ("unproven", policy("Unknown", "Unproven"), 3, "Unproven"),
    ("no target yet", policy("Unknown", "TargetNotFound"), 3, "TargetNotFound"),
    ("expired pass", policy("True", until=EARLIER), 3, "valid until 2027-01-15T07:59:59Z"),
    ("expired fail", policy("False", until=EARLIER), 3, "valid until"),
    ("never valid", policy("True", until=None), 3, "valid until never"),
    ("garbled time", policy("True", until="soon"), 3, "valid until soon"),
    ("older generation", policy("True", seen=2), 3, "is for generation 2, the policy is at 3"),
    ("not judged", policy(), 3, "has not been judged"),
    (
        "refused spec",
        policy("Unknown", "InvalidSpec", until=None, accepted="False"),
        3,
        "InvalidSpec",
    ),
]


@pytest.mark.parametrize(("what", "found", "code", "words"), TABLE, ids=[row[0] for row in TABLE])
def test_gate(what, found, code, words):
    decided = gate_of(found, NOW)
    assert (decided.code, words in decided.message) == (code, True)
    assert bool(decided.fix) == (code != 0)
    audit = {**found, "spec": {"enforcement": "audit"}}
    told = gate_of(audit, NOW)
    assert told.code == 0
    assert words in told.message
    assert ("does not count" in told.message) == (code != 0)
    assert gate_of(audit, NOW, strict=True) == decided == verdict_of(found, NOW)
    assert gate_of({**found, "spec": {}}, NOW).code == 0


@pytest.mark.parametrize(
    ("found", "goal", "code"),
    [
        (None, "ready", 3),
        (None, "compliant", 3),
        (policy(), "ready", 3),
        (policy("Unknown", "TargetNotFound"), "ready", 0),
        (policy("Unknown", "TargetNotFound"), "compliant", 3),
        (policy("True", ready="Unknown"), "ready", 3),
        (policy("True", seen=2), "ready", 3),
        (policy("False", enforcement="audit"), "compliant", 1),
        (policy("True", until=EARLIER), "compliant", 3),
        (policy("True"), "compliant", 0),
    ],
)
def test_wait(found, goal, code):
    assert awaited_of(found, NOW, goal).code == code


def leveled(level, *failures, compliant="False", **rest):
    """A policy at a level, with what stands in its failures: `P1/Fail`."""
    rows = [dict(zip(("severity", "result"), text.split("/"), strict=True)) for text in failures]
    found = policy(compliant, **rest)
    found["status"] |= {"level": level, "failures": rows}
    return found


@pytest.mark.parametrize(
    ("what", "found", "asked", "code", "words"),
    [
        ("reached", leveled("P1", compliant="True"), "P1", 0, "P1 is asked, P1 is reached"),
        ("more than asked", leveled("P3", compliant="True"), "P0", 0, "P3 is reached"),
        ("less, whatever Compliant is", leveled("P0", "P1/Fail"), "P0", 0, "P0 is reached"),
        ("more than Compliant asks", leveled("P1", "P2/Fail", compliant="True"), "P2", 1, "1 findings fail"),
        ("fails", leveled("", "P0/Fail", "P0/Unknown"), "P1", 1, "none is reached: 1 findings fail"),
        ("unproven", leveled("P0", "P1/Unknown", "P2/Fail"), "P1", 3, "1 findings are unproven"),
        ("below what is asked", leveled("P1", "P2/Unknown", "P3/Fail"), "P2", 3, "1 findings are unproven"),
        ("refused spec", policy("Unknown", "InvalidSpec", until=None, accepted="False"), "P3", 3, "InvalidSpec"),
        ("expired", leveled("P3", compliant="True", until=EARLIER), "P0", 3, "valid until"),
        ("older generation", leveled("P3", compliant="True", seen=2), "P0", 3, "generation 2"),
        ("not judged", policy(), "P0", 3, "has not been judged"),
    ],
)  # fmt: skip
def test_gate_at_a_level(what, found, asked, code, words):
    decided = gate_of(found, NOW, level=Severity(asked))
    assert (decided.code, words in decided.message) == (code, True), decided
    assert bool(decided.fix) == (code != 0)
    audit = {**found, "spec": {"enforcement": "audit"}}
    assert gate_of(audit, NOW, level=Severity(asked)).code == 0
    assert gate_of(audit, NOW, strict=True, level=Severity(asked)) == decided
