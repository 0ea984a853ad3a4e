"""The choke point: nothing that forges, misleads or leaks gets through."""

from __future__ import annotations

import json
import logging

import pytest

from readiness.logs import Lines, run
from readiness.redact import LIMIT, Redactor, clean

CANARY = "c4n4ry-Zq9!x"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("two\r\nlines\tand tab", "two lines and tab"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("nul\x00bell\x07c1\x9b", "nulbellc1"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("line\u2028sep", "linesep"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("žluťoučký kůň ≤ 5 s …", "žluťoučký kůň ≤ 5 s …"),
        ("x" * 5000, "x" * (LIMIT - 1) + "…"),
    ],
)
def test_clean(text, seen):
    assert clean(text) == seen


def test_known_secrets_are_replaced_even_across_the_cut():
    redactor = Redactor()
    redactor.learn(CANARY)
    redactor.learn("abc")  # too short to be told from prose

    assert redactor.text(f"abc password={CANARY}!") == "abc password=[redacted]!"
    assert CANARY[:6] not in redactor.text("x" * (LIMIT - 6) + CANARY)


def test_a_longer_secret_goes_before_its_beginning():
    redactor = Redactor()
    redactor.learn("secret-1")
    redactor.learn("secret-1-and-more")

    assert redactor.text("secret-1-and-more") == "[redacted]"


@pytest.mark.parametrize("bad", [f"a {CANARY} b", "a\x1b[2Jb", "a\u202eb", "a\nb"])
def test_manifests_are_cleaned_wherever_the_text_stands(bad):
    redactor = Redactor()
    redactor.learn(CANARY)
    cleaned = redactor.tree({"a": [{"b": bad, "n": 1, "t": True, "none": None}]})

    text = json.dumps(cleaned, ensure_ascii=False)
    assert CANARY not in text
    assert clean(cleaned["a"][0]["b"]) == cleaned["a"][0]["b"]
    assert (cleaned["a"][0]["n"], cleaned["a"][0]["t"]) == (1, True)


def test_a_manifest_with_nothing_to_hide_stays_as_it_is():
    manifest = {"a": ["b", {"c": "≥ 2 replicas"}]}

    assert Redactor().tree(manifest) is manifest


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_record_is_one_line_without_secrets_also_in_tracebacks(as_json):
    redactor = Redactor()
    redactor.learn(CANARY)
    lines = Lines(redactor, as_json=as_json)
    try:
        raise ValueError(f"refused\n{CANARY}")
    except ValueError:
        import sys

        record = logging.LogRecord(
            "x", logging.ERROR, "f", 1, "failed %s\n{}", (CANARY,), sys.exc_info()
        )
    token = run.set("abc123")
    try:
        line = lines.format(record)
    finally:
        run.reset(token)

    assert "\n" not in line
    assert CANARY not in line
    assert "abc123" in line
    assert "ValueError" in line
    if as_json:
        assert json.loads(line)["run"] == "abc123"
