"""Every control against its table: `tests/controls/<ID>.yaml`, situations in, verdicts out.

control: SHD-008
given:                        # the situation all rows start from; absent parts are empty
  policy: {...}               # ReadinessPolicy spec without targets
  target: {...}               # a target of it; default: Deployment `api`
  workload: {...}
  pods: [...]                 # also kept as snapshot.pods of the target
  hops: [{kind: pod, name: a, host: a, port: 80}]
  hop_problems: {edge: {reason: EgressRefused, message: …}}
  snapshot: {...}             # fields of Snapshot; leaks and grants as mappings, terminations and passages as their texts
  params: {...}               # on top of the control's defaults
  now: "2026-01-01T00:00:00Z"
  store: cache                # the data service that is judged, of policy.dataServices; its pods and workloads:
                              # snapshot.housed, and for one of ours snapshot.provided {pods, children}, by its name
  answers:                    # first matching entry answers a request; none: it has no answer
  - {hop: pod, path: /health, method: GET, header: {Origin: https://x}, nth: 0,
     answer: {status: 200, headers: {content-type: text/html}, body: ok}}   # or json: {...}
  - {service: cache, answer: {told: {cache-0: {info: {role: master}}}, silent: {cache-1: Unreachable}, refused: {cache-0: [config]},
     sentinels: {s-0: {quorum: true}}, problem: {reason: NotConsented, words: …, fix: …}}}
rows:
- name: what the row shows
  set: {workload/spec/replicas: 3, pods/0/status: null}    # null removes; `+` appends to a list
  secret: hunter2             # text (or list of texts) that no verdict may show
  expect: {result: Fail, reason: X, message: a substring, observed: a substring}
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

import readiness.controls
from readiness.api.policy import PolicySpec
from readiness.api.target import Target
from readiness.control import Control, Requirement, Subject
from readiness.inspection import StoreAnswer, StoreRequest, Told
from readiness.model import Result, Verdict
from readiness.naming import store_labels
from readiness.passages import parse_passages
from readiness.registry import discover
from readiness.request import (
    Answer,
    Hop,
    HopKind,
    HttpAnswer,
    HttpRequest,
    Outcome,
    Request,
    WireAnswer,
)
from readiness.snapshot import Grant, Housed, Leak, Provided, Seen, Snapshot
from readiness.stores import stores_of
from readiness.subjects import subjects_of
from readiness.terminations import parse_terminations
from readiness.timeline import Problem

TABLES = sorted(Path(__file__).parent.glob("*-*.yaml"))
TARGET = {"name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}}
CONTROLS = discover(readiness.controls, Requirement)


def tables() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in TABLES:
        table = yaml.load(path.read_text(), yaml.CSafeLoader)
        for row in table["rows"]:
            yield f"{table['control']}: {row['name']}", table, row


ROWS = list(tables())


def amended(situation: Any, path: str, value: Any) -> Any:
    """`situation` with one place set (None: removed); missing mappings on the way are made."""
    here, _, rest = path.partition("/")
    if isinstance(situation, list):
        index = len(situation) if here == "+" else int(here)
        new = amended(situation[index], rest, value) if rest else value
        return [*situation[:index], *([] if new is None else [new]), *situation[index + 1 :]]
    found = dict(situation or {})
    found[here] = amended(found.get(here), rest, value) if rest else value
    return {k: v for k, v in found.items() if v is not None}


def snapshot_of(given: Mapping[str, Any], target: Target) -> Snapshot:
    fields = dict(given.get("snapshot") or {})
    fields["leaks"] = tuple(Leak(**leak) for leak in fields.get("leaks", ()))
    fields["grants"] = tuple(
        Grant(**{k: tuple(v) if isinstance(v, list) else v for k, v in grant.items()})
        for grant in fields.get("grants", ())
    )
    if lines := fields.pop("terminations", None):
        fields["terminations"] = {target.name: tuple(parse_terminations("; ".join(lines)))}
    if lines := fields.pop("passages", None):
        fields["passages"] = {target.name: tuple(parse_passages("; ".join(lines)))}
    if housed := fields.pop("housed", None):
        fields["housed"] = {k: Housed(**v | {n: tuple(v.get(n) or ()) for n in ("pods", "sets")}) for k, v in housed.items()}  # fmt: skip
    if ours := fields.pop("provided", None):
        fields["provided"] = provided_of(ours)
    if service := fields.pop("service", None):
        fields["services"] = {target.name: service}
    if given.get("workload"):
        fields["workloads"] = {target.name: given["workload"]}
    fields["pods"] = {target.name: tuple(given.get("pods") or ())}
    frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Snapshot(**frozen)


def provided_of(ours: Mapping[str, Any]) -> Provided:
    """What the operator runs, by service: pods, children, and what its looks see."""
    pods = {name: tuple(each.get("pods") or ()) for name, each in ours.items()}
    children = [
        child | {"metadata": child["metadata"] | {"labels": store_labels("shop", name)}}
        for name, each in ours.items() for child in each.get("children") or ()
    ]  # fmt: skip
    return Provided(
        children={(c["kind"], c["metadata"]["name"]): c for c in children}, pods=pods,
        seen={name: Seen(**each["seen"]) for name, each in ours.items() if "seen" in each},
    )  # fmt: skip


def store_answer(fields: Mapping[str, Any]) -> StoreAnswer:
    refused, rows = fields.get("refused") or {}, []
    for part, sentinel in (("sentinels", True), ("told", False)):
        for name, facts in (fields.get(part) or {}).items():
            rows.append(
                Told(name, facts or {}, frozenset(refused.get(name, ())), sentinel=sentinel)
            )
    rows += [Told(name, error=word) for name, word in (fields.get("silent") or {}).items()]
    return StoreAnswer(tuple(rows), Problem(**fields["problem"]) if "problem" in fields else None)


def subject_of(control: Control, given: Mapping[str, Any]) -> Subject:
    target = Target.model_validate(TARGET | (given.get("target") or {}))
    policy = PolicySpec.model_validate({**(given.get("policy") or {}), "targets": [target]})
    defaults = {param.name: param.default for param in control.params}
    now = given.get("now", "2026-01-01T00:00:00Z")
    snapshot = snapshot_of(given, target)
    if control.stores:
        store = subjects_of("shop", policy, snapshot, datetime.fromisoformat(now).timestamp())[given["store"]]  # fmt: skip
        return replace(store, params=MappingProxyType(defaults | (given.get("params") or {})))
    return Subject(
        policy=policy,
        target=target,
        snapshot=snapshot,
        stores=stores_of("shop", policy, snapshot),
        workload=given.get("workload"),
        pods=tuple(given.get("pods") or ()),
        hops=tuple(Hop(**hop | {"kind": HopKind(hop["kind"])}) for hop in given.get("hops", ())),
        hop_problems={
            kind: Verdict(Result.UNKNOWN, **problem)
            for kind, problem in (given.get("hop_problems") or {}).items()
        },
        params=MappingProxyType(defaults | (given.get("params") or {})),
        now=datetime.fromisoformat(now).timestamp(),
    )


def answers(request: Request, entry: Mapping[str, Any]) -> bool:
    if isinstance(request, StoreRequest) or "service" in entry:
        return getattr(request, "service", None) == entry.get("service")
    hop = entry.get("hop")
    if hop is not None and hop not in (request.hop.kind.value, str(request.hop)):
        return False
    if entry.get("nth", request.nth) != request.nth:
        return False
    if isinstance(request, HttpRequest):
        sent = {k.lower(): v for k, v in request.headers}
        return (
            entry.get("path", request.path) == request.path
            and entry.get("method", request.method) == request.method
            and all(sent.get(k.lower()) == v for k, v in (entry.get("header") or {}).items())
        )
    script = b"".join(part for part in request.script if isinstance(part, bytes))
    return str(entry.get("script", "")).encode() in script


def answer_of(request: Request, fields: Mapping[str, Any]) -> Answer:
    if isinstance(request, StoreRequest):
        return store_answer(fields)
    made = dict(fields) | {"outcome": Outcome(fields.get("outcome", "response"))}
    if not isinstance(request, HttpRequest):
        return WireAnswer(**made | {"data": str(made.get("data", "")).encode()})
    if "json" in made:
        made["body"] = json.dumps(made.pop("json"))
    headers = made.get("headers") or {}
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    made["headers"] = tuple((str(k).lower(), str(v)) for k, v in pairs)
    return HttpAnswer(**made | {"body": str(made.get("body", "")).encode()})


def judged(control: Control, given: Mapping[str, Any]) -> Verdict:
    subject = subject_of(control, given)
    seen: dict[Request, Answer] = {}
    for request in control.ask(subject):
        entry = next((e for e in given.get("answers") or () if answers(request, e)), None)
        if entry is not None:
            seen[request] = answer_of(request, entry["answer"])
    return control.judge(subject, seen)


def situation(table: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    given = copy.deepcopy(table.get("given") or {})
    for path, value in (row.get("set") or {}).items():
        given = amended(given, path, value)
    return given


def texts(verdict: Verdict) -> str:
    parts = (verdict.reason, verdict.message, verdict.expected, verdict.observed, verdict.fix)
    return "\n".join((*parts, verdict.where, verdict.via, verdict.evidence))


@pytest.mark.parametrize(
    ("table", "row"), [(table, row) for _, table, row in ROWS], ids=[name for name, _, _ in ROWS]
)
def test_row(table: dict[str, Any], row: dict[str, Any]) -> None:
    control = CONTROLS[table["control"]]
    assert isinstance(control, Control)
    given = situation(table, row)
    untouched = copy.deepcopy(given)
    verdict = judged(control, given)
    expect = dict(row["expect"])
    assert (verdict.result, verdict.reason) == (expect.pop("result"), expect.pop("reason")), verdict
    for name, part in expect.items():
        assert part in getattr(verdict, name), verdict
    if verdict.result is Result.FAIL:
        assert verdict.expected, verdict
        assert verdict.observed, verdict
    secrets = row.get("secret") or []
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        assert secret not in texts(verdict)
    assert given == untouched, "a judge must not change what it reads"
    assert judged(control, given) == verdict, "a repeated look must give an equal verdict"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_table_shows_every_side(path: Path) -> None:
    table = yaml.load(path.read_text(), yaml.CSafeLoader)
    assert table["control"] == path.stem
    shown = {row["expect"]["result"] for row in table["rows"]}
    assert shown >= {"Pass", "Fail", "Unknown"}
    names = [row["name"] for row in table["rows"]]
    assert len(names) == len(set(names))
