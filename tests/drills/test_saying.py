"""What a log says of what is asked, in any shape; and that nothing else of it comes out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from readiness.drills.codec import dump_timeline
from readiness.drills.saying import LONGEST_LINE, named, said_of, settled
from readiness.step import Logs
from readiness.timeline import Said, Timeline

FIELDS = ("path", "status", "message")
ERROR = Logs("trigger", about="/boom", fields=FIELDS)
WHOLE = '{"path": "/boom", "status": 500, "message": "broke"}'


@pytest.mark.parametrize(
    ("line", "variable", "found"),
    [
        ("DATA_DIR is not set", "DATA_DIR", True),
        ("missing: ['DATA_DIR']", "DATA_DIR", True),
        ("data_dir\n  Field required", "DATA_DIR", True),
        ('{"level":"error","message":"DATA_DIR: missing"}', "DATA_DIR", True),
        ("DATA_DIR_2 is not set", "DATA_DIR", False),
        ("MY_DATA_DIR is not set", "DATA_DIR", False),
        ("a variable is not set", "DATA_DIR", False),
        ("app.data-dir: missing", "app.data-dir", True),
        ("appXdata-dir: missing", "app.data-dir", False),
        ("", "DATA_DIR", False),
        ("x" * LONGEST_LINE + " DATA_DIR", "DATA_DIR", False),
    ],
)
def test_a_variable_is_named_when_its_name_stands_by_itself(line, variable, found):
    step = Logs("log", (named(variable),))
    said = said_of(step, line, 1.0)

    assert (bool(said.found), settled(step, said)) == (found, found)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (WHOLE, Said("trigger", 1.0, mentions=1, structured=1, complete=1)),
        (f"GET /boom 500\n{WHOLE}\n", Said("trigger", 1.0, mentions=2, structured=1, complete=1)),
        (f"{WHOLE}\n{WHOLE}", Said("trigger", 1.0, mentions=2, structured=2, complete=2)),
        ('{"path": "/other", "status": 500, "message": "broke"}', Said("trigger", 1.0)),
        ('{"path": "/boom", "status": 500}', Said("trigger", 1.0, mentions=1, structured=1, lacking=("message",))),
        ('{"path": "/boom", "status": null, "message": ""}', Said("trigger", 1.0, mentions=1, structured=1, lacking=("status", "message"))),
        ('{"path": "/boom", "status": 0, "message": false}', Said("trigger", 1.0, mentions=1, structured=1, complete=1)),
        ('{"path":"\\/boom","status":500,"message":"m"}', Said("trigger", 1.0, mentions=1, structured=1, complete=1)),
        ('{"/boom": 1}', Said("trigger", 1.0)),
        ('["/boom"]', Said("trigger", 1.0, mentions=1)),
        ('{"path": "/boom", "status": ', Said("trigger", 1.0, mentions=1)),
        ("[" * 9000 + "/boom", Said("trigger", 1.0, mentions=1)),
        ("\x00\ud800/boom", Said("trigger", 1.0, mentions=1)),
        ("", Said("trigger", 1.0)),
    ],
)  # fmt: skip
def test_a_line_is_about_the_request_and_has_its_fields(log, expected):
    assert said_of(ERROR, log, 1.0) == expected


@pytest.mark.parametrize(
    ("entry", "lacking"),
    [
        ({"http": {"status": 500}}, ()),
        ({"http.status": 500}, ()),
        ({"http": 500}, ("http.status",)),
        ({"http": {}}, ("http.status",)),
    ],
)
def test_a_field_within_another(entry, lacking):
    step = replace(ERROR, fields=("http.status",))

    assert said_of(step, json.dumps(entry | {"url": "/boom"}), 1.0).lacking == lacking


def test_no_text_of_a_log_leaves():
    secret = "hunter2-canary"
    log = "\n".join(
        (f"TOKEN={secret}", f'{{"path": "/boom", "{secret}": "{secret}", "status": "{secret}"}}', secret)
    )  # fmt: skip
    step = replace(ERROR, words=(named("TOKEN"), "="))
    line = dump_timeline("run", Timeline("arm", said=(said_of(step, log, 1.0),)))

    assert secret not in line
    assert "TOKEN" in line


@pytest.mark.parametrize(
    ("lines", "counted"),
    [
        (['{"message": "draining", "jobs": 1}'], (1, 1, (1,))),
        (['{"message": "Draining", "jobs": 0}', '{"message": "draining", "jobs": 2}'], (2, 2, (0, 2))),
        (['{"message": "other", "jobs": 1}'], (0, 0, ())),
        (["draining, jobs=1"], (1, 0, ())),
        (['{"message": "draining", "jobs": "1"}'], (1, 1, ())),
        (['{"message": "draining", "jobs": true}'], (1, 1, ())),
        (['{"message": "draining", "jobs": 1.0}'], (1, 1, ())),
        (['{"message": "draining"}'], (1, 1, ())),
        (['["draining", 1]'], (1, 0, ())),
    ],
)  # fmt: skip
def test_of_lines_with_a_word_their_integers_are_kept(lines, counted):
    said = said_of(Logs("jobs", ("draining",), number="jobs"), "\n".join(lines), 1.0)

    assert (said.mentions, said.structured, said.numbers) == counted


def test_an_integer_may_stand_within():
    said = said_of(Logs("jobs", ("bye",), number="worker.jobs"), '{"m": "bye", "worker": {"jobs": 3}}', 1.0)  # fmt: skip

    assert said.numbers == (3,)
