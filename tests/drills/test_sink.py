"""The sink's pod, the gate beside a store, and the words for modes."""

from __future__ import annotations

import pytest

from readiness.cli.drill_sink import build_parser
from readiness.drills.codec import load_records
from readiness.drills.sink import (
    CONTROL,
    GATE_MODES,
    UPSTREAM_MODES,
    Call,
    Mode,
    Passed,
    build_sink,
    control_of,
    mode_of,
    with_gate,
)
from readiness.drills.stores import build_store
from readiness.model import Manifest
from readiness.script import Store
from readiness.timeline import Problem

from .cloning import CACHE, PLACE

STORES = (
    CACHE,
    Store("jobs", "rabbitmq", ("jobs",), 5672, "jobs-auth"),
    Store("db", "mongodb", ("db",), 60000, "db-auth"),
    Store("odd", "redis", ("odd",), CONTROL),
)


def gated(store: Store) -> tuple[Manifest, Manifest]:
    """A store, bare and behind its gate."""
    bare = build_store(store, "store:1", PLACE)
    assert not isinstance(bare, Problem)
    return bare, with_gate(bare, "operator:1")


def values_of(container: Manifest) -> dict[str, str]:
    return {e["name"]: e["value"] for e in container["env"] if "value" in e}


def test_the_sink_has_a_port_for_each_upstream_and_one_to_be_switched():
    (sink,) = build_sink(PLACE, "operator:1", 2)["spec"]["containers"]

    assert sink["args"] == ["drill-sink", "--port", "8080", "--port", "8081", "--control", "8070"]
    assert {p["name"]: p["containerPort"] for p in sink["ports"]} == {
        "upstream-0": 8080, "upstream-1": 8081, "control": 8070,
    }  # fmt: skip
    assert sink["readinessProbe"]["tcpSocket"] == {"port": "control"}


def test_the_sink_is_of_its_run_and_holds_no_credentials():
    made = build_sink(PLACE, "operator:1")

    assert made["metadata"]["labels"]["readiness.dev/drill"] == "ab12"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "0-1-2"
    assert made["spec"]["automountServiceAccountToken"] is False
    assert made["spec"]["activeDeadlineSeconds"] == 301
    assert "volumes" not in made["spec"]
    assert control_of(made) == CONTROL


@pytest.mark.parametrize("store", STORES, ids=lambda s: s.name)
def test_a_gate_stands_on_the_stores_port_and_the_server_behind_it(store: Store):
    bare, made = gated(store)
    server, gate = made["spec"]["containers"]
    moved = values_of(server)["STORE_PORT"]

    assert gate["args"][:3] == ["drill-sink", "--gate", f"{store.port}=127.0.0.1:{moved}"]
    assert {p["name"]: p["containerPort"] for p in gate["ports"]}["store"] == store.port
    assert values_of(server)["STORE_BIND"] == "127.0.0.1"
    assert abs(int(moved) - store.port) == 10000
    assert 0 < int(moved) < 65536
    assert len({store.port, int(moved), control_of(made)}) == 3
    assert gate["args"][-1] == str(control_of(made))
    assert made["metadata"] == bare["metadata"]


@pytest.mark.parametrize("store", STORES, ids=lambda s: s.name)
def test_a_store_behind_a_gate_is_ready_through_the_gate_only(store: Store):
    bare, made = gated(store)
    server, gate = made["spec"]["containers"]

    assert "readinessProbe" not in server
    assert "ports" not in server
    assert gate["readinessProbe"] == bare["spec"]["containers"][0]["readinessProbe"]
    assert len(bare["spec"]["containers"]) == 1  # the bare one is left as it was
    assert "STORE_BIND" not in values_of(bare["spec"]["containers"][0])


@pytest.mark.parametrize("made", [build_sink(PLACE, "o:1", 3), *(gated(s)[1] for s in STORES)])
def test_the_program_takes_the_arguments_it_is_started_with(made: Manifest):
    args = next(c["args"] for c in made["spec"]["containers"] if "args" in c)
    found = build_parser("readiness drill-sink", "text").parse_args(args[1:])

    assert found.control == control_of(made)
    assert found.port or found.gate


@pytest.mark.parametrize(
    ("text", "names", "mode"),
    [
        ("echo", UPSTREAM_MODES, Mode("echo")),
        ("delay:2.5", UPSTREAM_MODES, Mode("delay", 2.5)),
        ("503", UPSTREAM_MODES, Mode("status", 0, 503)),
        ("429:30", UPSTREAM_MODES, Mode("status", 30, 429)),
        ("blackhole", GATE_MODES, Mode("blackhole")),
        ("blackhole", UPSTREAM_MODES, None),
        ("echo", GATE_MODES, None),
        ("503", GATE_MODES, None),
        ("status", UPSTREAM_MODES, None),
        ("delay", UPSTREAM_MODES, None),
        ("tarpit:3", UPSTREAM_MODES, None),
        ("301", UPSTREAM_MODES, None),
        ("delay:-1", UPSTREAM_MODES, None),
        ("", UPSTREAM_MODES, None),
    ],
)
def test_modes_are_words(text: str, names: tuple[str, ...], mode: Mode | None):
    assert mode_of(text, names) == mode


def test_records_are_read_and_nothing_else():
    call = '{"at": 1, "end": 2.5, "port": 8080, "source": "10.0.0.1", "headers": ["host"]}'
    told = (
        f'{{"now": 3, "missed": 1, "calls": [{call}], "gates": {{"6379": {{"connections": 2}}}}}}'
    )
    found = load_records(told.encode())

    assert found.calls == (Call(1, 2.5, 8080, "10.0.0.1", headers=("host",)),)
    assert (found.now, found.missed, found.gates) == (3, 1, {6379: Passed(2)})
    for bad in (b"", b"{}", b'{"now": "x"}', b'{"now": 1, "calls": [{}]}'):
        with pytest.raises(ValueError, match="validation error"):
            load_records(bad)
