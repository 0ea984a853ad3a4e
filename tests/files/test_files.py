"""Manifests from disk: what is found, where it stands, and what is said when it cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.files import MAX_BYTES, InputError, load
from readiness.parsing import documents

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"


def no_stdin(limit: int) -> bytes:
    raise AssertionError("nobody asked for standard input")


def content(text: str):
    return [document.content for document in documents(text.encode())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", {"a": 1}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: 2026-11-21", {"a": "2026-11-21"}),
        ("a: 0777", {"a": 511}),
        ("a: yes", {"a": True}),
        ("a: 'yes'", {"a": "yes"}),
        ("a: ~", {"a": None}),
        ("a: !!str 5", {"a": "5"}),
        ('a: !!int "5"', {"a": 5}),
        ("a: !Ref x", {"a": "x"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, d: 1}\nc: {<<: *x, b: 2}", {"a": {"b": 1, "d": 1}, "c": {"b": 2, "d": 1}}),
        ("a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}",
         {"a": {"b": 1}, "c": {"b": 2, "d": 3}, "e": {"b": 1, "d": 3}}),
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("a: |\n  b\n  c\n", {"a": "b\nc\n"}),
    ],
)  # fmt: skip
def test_scalars_are_those_kubernetes_sees(text, expected):
    assert content(text) == [expected]


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ).filter(lambda value: isinstance(value, dict | list))
)
def test_whatever_pyyaml_writes_is_read_back(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    try:
        expected = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    if "<<" not in str(value):
        assert content(text) == [expected]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", ":2:1: not valid YAML: key 'a' stands twice"),
        ("a: [1", "not valid YAML"),
        ("a: *x", "undefined alias"),
        ("? {a: 1}\n: 2", "a key must be a scalar"),
        ("a: &x [*x]", "undefined alias 'x'"),
        ("a: !!int x", "'x' is not of type int"),
        ("a: " + "[" * 200 + "]" * 200, "more than 100 levels deep"),
        ("a: {{ .Values.replicas }}", "render it first: helm template"),
        ("{{- if .Values.on }}\na: 1\n{{- end }}", "render it first: helm template"),
        ("a: \x01", "not valid YAML"),
    ],
)
def test_bad_yaml_names_file_line_and_remedy(tmp_path, text, problem):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        load([str(file)], no_stdin)
    assert str(error.value).startswith(str(file))
    assert problem in str(error.value)


def test_a_bomb_of_aliases_is_refused(tmp_path):
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]")
    file = tmp_path / "bomb.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(InputError, match="aliases expand without bound"):
        load([str(file)], no_stdin)


def test_objects_have_file_and_line(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.yml").write_text(
        "# comment\n\n---\n" + POD + "---\n" + POD.replace("a}", "b}")
    )
    (tmp_path / "a.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}, indent="\t")
    )
    (tmp_path / ".hidden.yaml").write_text("a: [")
    (tmp_path / "notes.txt").write_text("a: [")
    found = load([str(tmp_path)], no_stdin)
    assert [(o.manifest["metadata"]["name"], Path(o.file).name, o.line) for o in found.objects] == [
        ("c", "a.json", 1),
        ("a", "b.yml", 4),
        ("b", "b.yml", 8),
    ]
    assert found.files == 2


def test_a_list_is_unfolded_with_the_lines_of_its_items():
    text = "apiVersion: v1\nkind: List\nitems:\n- {kind: Pod, apiVersion: v1, metadata: {name: a}}\n- kind: Pod\n  apiVersion: v1\n  metadata: {name: b}\n"
    found = load(["-"], lambda limit: text.encode())
    assert [(o.manifest["metadata"]["name"], str(o)) for o in found.objects] == [
        ("a", "<stdin>:4"),
        ("b", "<stdin>:5"),
    ]


def test_foreign_documents_are_counted_and_repeated_objects_named():
    text = "replicas: 3\n---\n[1]\n---\n" + POD + "---\n" + POD + "---\n# nothing\n"
    found = load(["-"], lambda limit: text.encode())
    assert (found.foreign, len(found.objects), found.objects[0].line) == (2, 1, 9)
    assert found.repeated == ("<stdin>:9: Pod/a stands already in <stdin>:5; the last one counts",)


def test_a_kustomization_beside_manifests_is_foreign_not_wrong():
    text = (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n---\n"
        + POD
    )
    found = load(["-"], lambda limit: text.encode())
    assert (found.foreign, len(found.objects)) == (1, 1)


def test_every_unreadable_file_is_told_at_once(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_bytes(b"a: \xff")
    (tmp_path / "c.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: 5\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        load([str(tmp_path), str(tmp_path / "none.yaml"), str(tmp_path / "empty")], no_stdin)
    problems = error.value.problems
    assert [Path(p.split(":")[0]).name for p in problems] == [
        "a.yaml",
        "b.yaml",
        "c.yaml",
        "none.yaml",
        "empty",
    ]
    assert "No such file" in problems[3]
    assert "no .yaml, .yml, .json file" in problems[4]


def test_a_file_without_end_is_not_read_to_its_end():
    asked = []

    def endless(limit: int) -> bytes:
        asked.append(limit)
        return b"#" * limit

    with pytest.raises(InputError, match="larger than 32 MiB"):
        load(["-"], endless)
    assert asked == [MAX_BYTES + 1]
