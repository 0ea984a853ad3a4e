"""`readiness drill`: what options make of a target, mistakes with their remedy, when looks repeat."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest

from readiness import rules
from readiness.cli import drill, drill_target, drilled, kube
from readiness.cli.console import Console, UnprovenError, UsageError
from readiness.control import Subject
from readiness.drills.codec import dump_timeline, load_script
from readiness.model import Manifest, Outcome, Result
from readiness.script import Arm
from readiness.snapshot import Snapshot
from readiness.step import Logs
from readiness.subjects import subject_of
from readiness.timeline import Ending, Exchange, Moment, Problem, Said, Timeline

LABELS = {"app": "api"}
WORKLOAD: Manifest = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
    "spec": {"template": {"metadata": {"labels": LABELS}, "spec": {"containers": [
        {"name": "app", "image": "app:1", "ports": [{"containerPort": 8080}]},
    ]}}},
}  # fmt: skip
SERVICES: dict[str, Manifest] = {
    "other": {"metadata": {"name": "other"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 1}]}},
    "api": {"metadata": {"name": "api"}, "spec": {"selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}},
}  # fmt: skip


def options(*words: str, which: str = "shutdown") -> argparse.Namespace:
    return drill.build_parser("readiness drill", "x").parse_args([which, "deploy/api", *words])


@pytest.mark.parametrize(
    ("words", "declared", "expected"),
    [
        ((), {}, {"service": {"name": "api", "port": "http"}, "shutdown": {}}),
        (("--service", "api:80"), {}, {"service": {"name": "api", "port": 80}}),
        (("--slow", "/s?n={seconds}"), {}, {"shutdown": {"slowRequest": {"path": "/s?n={seconds}"}}}),
        (("--drain", "5s"), {"shutdown": {"drain": "9s", "lameDuck": "1s"}}, {"shutdown": {"drain": "5s", "lameDuck": "1s"}}),
        (("--fast", "/up"), {"health": {"path": "/old"}}, {"health": {"path": "/up"}}),
        (("--standalone",), {}, {"shutdown": {"standalone": True}}),
        (("--required", "B"), {"config": {"env": [{"name": "A"}, {"name": "B", "invalid": ["x"]}], "startupFail": "9s"}},
         {"config": {"env": [{"name": "A"}, {"name": "B", "invalid": ["x"], "required": True}], "startupFail": "9s"}}),
        (("--bootstrap", "seeded"), {"config": {"startupFail": "9s"}}, {"config": {"bootstrapPattern": "seeded", "startupFail": "9s"}}),
        (("--trigger", "/boom"), {"errors": {"trigger": "/old", "logFields": ["path"]}}, {"errors": {"trigger": "/boom", "logFields": ["path"]}}),
        (("--takes", "/in"), {"limits": {"body": "1M", "request": {"path": "/old", "method": "PUT"}}}, {"limits": {"body": "1M", "request": {"path": "/in", "method": "PUT"}}}),
        (("--body-limit", "5M"), {}, {"limits": {"body": "5M"}}),
        (("--container", "app"), {}, {"container": "app"}),
        (("--deep", "/deep"), {"health": {"path": "/up", "maxLatency": "2s"}}, {"health": {"path": "/up", "maxLatency": "2s", "deepPath": "/deep"}}),
        (("--deep", "/deep"), {}, {"health": {"path": "/", "deepPath": "/deep"}}),
        (("--upstream", "llm=LLM_URL/v1", "--upstream", "pay=PAY_URL", "--call", "POST /ask", "--timeout", "5s"), {"upstreams": [{"name": "old", "urlEnv": "OLD"}]},
         {"upstreams": [{"name": "llm", "urlEnv": "LLM_URL", "path": "/v1", "call": {"path": "/ask", "method": "POST"}, "timeout": "5s"},
                        {"name": "pay", "urlEnv": "PAY_URL", "call": {"path": "/ask", "method": "POST"}, "timeout": "5s"}]}),
        (("--upstream", "llm=LLM_URL", "--call", "/ask"), {}, {"upstreams": [{"name": "llm", "urlEnv": "LLM_URL", "call": {"path": "/ask", "method": "GET"}}]}),
        ((), {"upstreams": [{"name": "old", "urlEnv": "OLD"}]}, {"upstreams": [{"name": "old", "urlEnv": "OLD"}]}),
        ((), {"service": {"name": "mine", "port": 1}}, {"service": {"name": "mine", "port": 1}}),
    ],
)  # fmt: skip
def test_options_win_over_what_is_declared_and_the_rest_is_found(words, declared, expected):
    target = drill_target.declare(options(*words), declared, WORKLOAD, SERVICES)

    assert {key: target[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["drill", "shutdown", "api"], "expected KIND/NAME"),
        (["drill", "shutdown", "cronjob/api"], "expected KIND/NAME"),
        (["drill", "backup", "deploy/api"], "invalid choice"),
        (["drill", "shutdown"], "required"),
    ],
)
def test_mistakes_have_a_remedy(readiness, words, said):
    ended = readiness(*words)

    assert (ended.code, said in ended.err) == (2, True)


@pytest.mark.parametrize("ref", ["deploy/a", "Deployment/a", "deployments/a", "sts/a", "rollout/a"])
def test_kinds_are_named_as_kubectl_names_them(ref):
    assert drill.workload_of(ref)[1] == "a"


POLICY = """
apiVersion: readiness.dev/v1alpha1
kind: ReadinessPolicy
metadata: {name: mine}
spec: {targets: [{name: api, workloadRef: {kind: Deployment, name: api}}]}
"""


@pytest.mark.parametrize(("text", "names"), [(POLICY, ["mine"]), ("kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}", [])])  # fmt: skip
def test_a_policy_may_come_from_a_file(tmp_path, text, names):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    console = Console({}, io.StringIO(), io.StringIO(), io.StringIO())

    assert [p["metadata"]["name"] for p in drill_target.read_file(str(path), console)] == names


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml"):
        drill_target.read_file(str(tmp_path / "none.yaml"), Console({}, io.StringIO(), io.StringIO(), io.StringIO()))  # fmt: skip


def test_wrong_options_are_named_with_their_field():
    with pytest.raises(UsageError, match="drain"):
        drill_target.read_spec(
            {"targets": [drill_target.declare(options("--drain", "soon"), {}, WORKLOAD, {}) | {"workloadRef": {"kind": "Deployment", "name": "api"}}]}
        )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--upstream", "LLM_URL"), "llm=LLM_URL/v1"), (("--upstream", "=LLM_URL"), "llm=LLM_URL/v1")],
)
def test_an_upstream_has_a_name_and_a_variable(words, said):
    with pytest.raises(UsageError, match=said):
        drill_target.declare(options(*words), {}, WORKLOAD, {})


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("redis=cache", {"name": "cache", "external": {"redis": {"hosts": ["cache"]}}}),
        ("mongodb=db.shop.svc:27018", {"name": "db", "external": {"mongodb": {"hosts": ["db.shop.svc"], "port": 27018}}}),
    ],
)  # fmt: skip
def test_a_store_has_a_kind_and_a_host(text, store):
    assert drill_target.store_of(text) == store


@pytest.mark.parametrize("text", ["cache", "redis", "mysql=db", "redis=cache:x"])
def test_what_is_no_store_is_told_how_to_be_one(text):
    with pytest.raises(UsageError, match="redis=cache:6379"):
        drill_target.store_of(text)


@pytest.mark.parametrize(
    ("which", "ids"),
    [
        ("upstreams", {"CFG-012", "REL-002", "REL-003"}), ("dependencies", {"HLT-004", "HA-010"}),
        ("errors", {"ERR-002"}),
    ],
)  # fmt: skip
def test_a_drill_is_the_controls_that_belong_together(which, ids):
    assert drilled.controls_of(which, ()).keys() == ids
    assert "CFG-012" not in drilled.controls_of("startup", ())


Behave = Callable[[int, Arm], Timeline]


@dataclass
class Board:
    """Jobs whose arms end as told, look by look."""

    behave: Behave
    looks: list[list[str]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    async def start(self, job: Manifest) -> Problem | None:
        told = job["spec"]["template"]["spec"]["containers"][0]["env"]
        order = next(e["value"] for e in told if e["name"] == "READINESS_DRILL")
        script = load_script(order.replace("$$", "$"))
        self.looks.append(sorted(arm.name for arm in script.arms))
        self.lines = [
            dump_timeline(script.run, self.behave(len(self.looks), a)) for a in script.arms
        ]
        return None

    async def log(self, run: str) -> AsyncIterator[str]:
        for line in self.lines:
            yield line

    async def last_word(self, run: str) -> str:
        digest = hashlib.sha256("".join(self.lines).encode()).hexdigest()
        return json.dumps({"run": run, "sha256": digest})

    async def delete(self, run: str) -> None:
        self.deleted.append(run)


def ended(arm: Arm, after: float) -> Timeline:
    """A clone that ended so many seconds after SIGTERM, with nothing open."""
    fast = tuple(
        Exchange("fast", n, n, 7.0, 7.001, 7.002, 7.003, Outcome.RESPONSE, 200, 2, whole=True)
        for n in range(5)
    )
    end = Ending(10 + after, "app", 0, 0, "Completed", 1000.0, float(int(1010 + after)))
    moments = (Moment(1.0, "ready"), Moment(10.0, "stopped"), Moment(10.5 + after, "gone"))
    return Timeline(arm.name, 1000.0, 10.0, 30.0, 0.0, 1, container="app", node="n", exchanges=fast, moments=moments, endings=(end,))  # fmt: skip


def subject(args: argparse.Namespace | None = None) -> Subject:
    target = drill_target.declare(args or options(), {}, WORKLOAD, SERVICES)
    target["workloadRef"] = {"kind": "Deployment", "name": "api"}
    policy = drill_target.read_spec({"targets": [target], "safety": {"allow": ["drill"]}})
    snapshot = Snapshot("shop", workloads={"target": WORKLOAD}, services=SERVICES)
    return subject_of(policy, policy.targets[0], snapshot, 0.0)


@pytest.mark.parametrize(
    ("seconds", "words", "result", "looks"),
    [
        ((0.5,), (), Result.PASS, 1),
        ((9, 9), (), Result.FAIL, 2),
        ((9, 0.5, 9), (), Result.FAIL, 3),
        ((9, 0.5, 0.5), (), Result.UNKNOWN, 3),
        ((9,), ("--once",), Result.FAIL, 1),
    ],
    ids=["pass", "two agree", "two of three", "one of three", "once"],
)
def test_what_did_not_pass_is_repeated_on_clean_clones(seconds, words, result, looks):
    board = Board(lambda look, arm: ended(arm, seconds[look - 1]))
    args, told = options("--control", "SHD-006", *words), io.StringIO()
    console = Console({}, io.StringIO(), io.StringIO(), told)

    seen = asyncio.run(drilled.drill_all(board, subject(), drilled.Images("image"), args, console))

    assert seen.looks["SHD-006"].standing.result is result
    assert len(board.looks) == len(board.deleted) == looks
    assert told.getvalue().count("because of SHD-006 LingersWhenIdle\n") == seconds[
        : looks - 1
    ].count(9)


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (("--slow", "/s?n={seconds}"), {"readiness-drill-shutdown-api.html"}),
        (("--no-picture",), set()),
        (("--svg", "stop.svg"), {"stop.svg"}),
        (("--html", "stop.html"), {"stop.html"}),
        (("-o", "json"), set()),
        (("-o", "json", "--html", "stop.html"), {"stop.html"}),
    ],
)
def test_the_picture_is_drawn_as_it_was_asked_for(words, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = io.StringIO()
    arm = next(iter(drilled.controls_of("shutdown", ["SHD-006"]).values())).ask(subject())[0].arm
    seen = drilled.Drilled({}, {arm.name: (ended(arm, 0.5),)})

    drilled.draw(options(*words), seen, (), Console({}, io.StringIO(), io.StringIO(), told))

    assert {path.name for path in tmp_path.iterdir()} == files
    assert all(name in told.getvalue() for name in files)


@pytest.mark.parametrize(
    ("seconds", "spoiled"),
    [((9, 0.5, 0.5), ()), ((9, 9), ()), ((0.5,), ()), ((9, 9, 9, 0.5, 0.5), (2, 3))],
    ids=["flaky", "failed", "passed", "more than three"],
)
def test_where_looks_disagree_the_last_three_are_drawn(seconds, spoiled, tmp_path):
    def seen(look: int, arm: Arm) -> Timeline:
        return replace(ended(arm, seconds[look - 1]), lag=0.5 if look in spoiled else 0.0)

    board, page = Board(seen), tmp_path / "page.html"
    args = options("--control", "SHD-006", "--html", str(page))
    console = Console({}, io.StringIO(), io.StringIO(), io.StringIO())

    found = asyncio.run(drilled.drill_all(board, subject(), drilled.Images("image"), args, console))
    drilled.draw(args, found, (), console)

    shown = range(1, len(seconds) + 1)[-3:]
    assert found.timelines == {
        name: tuple(seen(look, Arm(name, ())) for look in shown) for name in ("idle", "held")
    }
    told, many = page.read_text(), len(shown)
    assert told.count("<figure>") == 2 * many
    assert [f"Arm idle, look {n} of {many}: " in told for n in range(1, many + 1)] == [many > 1] * many  # fmt: skip


def test_a_picture_that_cannot_be_written_is_told(tmp_path):
    told = io.StringIO()
    arm = next(iter(drilled.controls_of("shutdown", ["SHD-006"]).values())).ask(subject())[0].arm
    seen = drilled.Drilled({}, {arm.name: (ended(arm, 0.5),)})

    drilled.draw(options("--html", str(tmp_path / "no" / "x.html")), seen, (), Console({}, io.StringIO(), io.StringIO(), told))  # fmt: skip

    assert "cannot be written: No such file" in told.getvalue()


def test_each_drill_has_its_own_controls():
    def started(look: int, arm: Arm) -> Timeline:
        ready = (Moment(1.0, "ready"),) if arm.name == "complete" else ()
        over = () if ready else (Ending(2.0, "app", 2, 0, "Error", 1.0, 2.0),)
        words = tuple(w for s in arm.steps if isinstance(s, Logs) for w in s.words)
        return Timeline(arm.name, container="app", moments=ready, endings=over, said=(Said("log", 3.0, words),))  # fmt: skip

    board = Board(started)
    args = options("--required", "TOKEN", which="startup")
    console = Console({}, io.StringIO(), io.StringIO(), io.StringIO())

    seen = asyncio.run(
        drilled.drill_all(board, subject(args), drilled.Images("image"), args, console)
    )

    assert board.looks == [["complete", "env-TOKEN-unset"]]
    assert {i: look.standing.result for i, look in seen.looks.items()} == {
        "CFG-001": Result.PASS, "CFG-002": Result.OPT_IN_REQUIRED,
        "CFG-006": Result.OPT_IN_REQUIRED, "CFG-007": Result.OPT_IN_REQUIRED, "CFG-014": Result.OPT_IN_REQUIRED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "generation", "said"),
    [
        ({}, 1, ""),
        ({"readiness.dev/deny": "drills"}, 1, "carries the label"),
        ({"readiness.dev/deny": "probes"}, 1, "carries the label"),
        ({}, 2, "not complete"),
    ],
)
def test_what_the_operator_would_not_do_the_command_does_not_either(labels, generation, said):
    rolling = WORKLOAD | {"metadata": {"name": "api", "generation": generation},
                          "spec": WORKLOAD["spec"] | {"replicas": 1},
                          "status": {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1}}  # fmt: skip
    before = subject()
    snapshot = replace(before.snapshot, namespace_labels=labels, drill_settle=0.0, workloads={"target": rolling})  # fmt: skip
    seen = replace(before, snapshot=snapshot, workload=rolling)
    control = rules.load().controls["SHD-006"]

    if not said:
        drilled.refuse_where_withheld(seen, [control])
        return
    with pytest.raises(UnprovenError, match=said) as refused:
        drilled.refuse_where_withheld(seen, [control])
    assert refused.value.code == 3


def test_a_cancelled_pipeline_clears_away_and_ends_as_interrupted(monkeypatch):
    deleted: list[str] = []

    async def hang(self, run):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(30)
        yield ""

    monkeypatch.setattr(Board, "log", hang)
    board = Board(lambda look, arm: ended(arm, 0.5), deleted=deleted)

    async def drill_here() -> None:
        kube.stop_cleanly()
        console = Console({}, io.StringIO(), io.StringIO(), io.StringIO())
        await drilled.drill_all(board, subject(), drilled.Images("image"), options(), console)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(drill_here())

    assert len(deleted) == 1
