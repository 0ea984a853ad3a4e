"""Scenes: what is sent, what an answer makes of them, and that nothing of an answer comes out but what was asked for."""

from __future__ import annotations

import pytest

from readiness.scenario import Scene, Unmet, extracted, filled_body, filled_path, place_in, unmet

DONE = Scene("done", "/", asserts=(("state", "done"), ("effects", "1")))


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/jobs/{id}", "/jobs/a%2Fb%20%3F%26%25"),
        ("/jobs?s={seconds}&id={id}", "/jobs?s=30&id=a%2Fb%20%3F%26%25"),
        ("/jobs/{other}", "/jobs/%7Bother%7D"),
        ("/", "/"),
    ],
)
def test_a_path_is_filled_with_one_value_and_nothing_more(path, sent):
    assert filled_path(Scene("a", path), {"id": "a/b ?&%", "seconds": "30"}) == sent


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ('{"seconds": {seconds}}', b'{"seconds": 30}'),
        ('{"id": "{id}"}', b'{"id": "a\\"b\\\\"}'),
        ('{"a": {b}}', b'{"a": {b}}'),
        ("", b""),
    ],
)
def test_a_body_is_filled_inside_its_texts(body, sent):
    assert filled_body(Scene("a", "/", body=body), {"id": 'a"b\\', "seconds": "30"}) == sent


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [
        (200, b'{"state": "done", "effects": 1}', ()),
        (201, b'{"state": "done", "effects": "1", "more": {}}', ()),
        (404, b'{"state": "done", "effects": 1}', (Unmet("status"),)),
        (200, b'{"state": "working", "effects": 0}', (Unmet("state"), Unmet("effects", "less"))),
        (200, b'{"state": "done", "effects": 2}', (Unmet("effects", "more"),)),
        (200, b'{"state": "done"}', (Unmet("effects", "absent"),)),
        (200, b'{"state": "done", "effects": [1]}', (Unmet("effects", "absent"),)),
        (200, b'{"state": "done", "effects": 1.5}', (Unmet("effects"),)),
        (200, b"[]", (Unmet("state", "absent"), Unmet("effects", "absent"))),
        (200, b"not json", (Unmet("state", "absent"), Unmet("effects", "absent"))),
        (200, b"\xff", (Unmet("state", "absent"), Unmet("effects", "absent"))),
        (200, b"[" * 100_000, (Unmet("state", "absent"), Unmet("effects", "absent"))),
    ],
)
def test_an_answer_holds_all_or_it_is_told_what_it_lacks(status, body, wrong):
    assert unmet(DONE, status, body) == wrong


@pytest.mark.parametrize(
    ("declared", "status", "right"),
    [
        ((), 299, True),
        ((), 300, False),
        ((), 0, False),
        ((404, 410), 410, True),
        ((202,), 200, False),
    ],
)
def test_a_status_is_right_where_it_is_declared(declared, status, right):
    assert (unmet(Scene("a", "/", status=declared), status, b"") == ()) is right


@pytest.mark.parametrize(
    ("body", "taken", "wrong"),
    [
        (b'{"job": {"id": "a1"}}', {"id": "a1"}, ()),
        (b'{"job": {"id": 7}}', {"id": "7"}, ()),
        (b'{"job.id": "flat"}', {"id": "flat"}, ()),
        (b'{"job": [{"id": 1}]}', {}, (Unmet("job.id", "absent"),)),
        (b'{"job": {"id": ""}}', {}, (Unmet("job.id", "absent"),)),
        (b'{"job": {"id": "' + b"a" * 257 + b'"}}', {}, (Unmet("job.id", "absent"),)),
    ],
)
def test_what_is_extracted_is_a_short_scalar(body, taken, wrong):
    scene = Scene("start", "/", extracts=(("id", "job.id"),))

    assert (extracted(scene, body), unmet(scene, 200, body)) == (taken, wrong)


@pytest.mark.parametrize(
    ("place", "value"),
    [("a.0.b", 1), ("a.1.b", None), ("a.x", None), ("a.0", {"b": 1}), ("c", None), ("a.b.c", None)],
)
def test_places_lead_through_lists(place, value):
    assert place_in({"a": [{"b": 1}]}, place) == value
