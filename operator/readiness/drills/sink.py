"""The fault sink, which stands in for a clone's upstreams, and the gate in front of its stores.

Both are one program of the operator's image: which pods it runs in, what it is told (modes) and
what it tells (calls). Its control port asks for no password: the drill's NetworkPolicy admits the
drill's own pods only, and an application that switched its own faults would cheat nobody else.
How the program works is not known here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from readiness.drills.place import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    Place,
    build_metadata,
    priority_of,
    unmeshed,
)
from readiness.model import Manifest
from readiness.naming import drill
from readiness.timeline import Call

COMMAND: Final = "drill-sink"
FIRST: Final = 8080
"""The port of the first upstream; the others follow."""
CONTROL: Final = 8070
MOST_UPSTREAMS: Final = 16
BEHIND: Final = 10000
"""How far from its own port a store listens behind its gate."""
LOOPBACK: Final = "127.0.0.1"
UPSTREAM_MODES: Final = ("echo", "delay", "tarpit", "trickle", "reset", "refuse", "status")
GATE_MODES: Final = ("open", "delay", "blackhole", "refuse")
_MODE: Final = re.compile(r"([a-z]+|[45]\d\d)(?::(\d{1,4}(?:\.\d{1,3})?))?")


@dataclass(frozen=True, slots=True)
class Mode:
    """How a port behaves. `seconds` is how long `delay` waits, and the Retry-After of a `status`."""

    name: str
    seconds: float = 0.0
    status: int = 0


@dataclass(slots=True)
class Passed:
    """What has passed a gate, in connections and bytes to and from the store. Probes count, too."""

    connections: int = 0
    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class Records:
    """What a sink has seen. `missed` calls did not fit; `now` is its clock when it said so.

    `gates` is by port.
    """

    now: float
    calls: tuple[Call, ...] = ()
    missed: int = 0
    gates: Mapping[int, Passed] = field(default_factory=dict)


def mode_of(text: str, names: tuple[str, ...]) -> Mode | None:
    """`echo`, `delay:0.5`, `503`, `429:30`…, when it is one of these; else None."""
    found = _MODE.fullmatch(text)
    if found is None or found[1] == "status":
        return None
    name, seconds = found[1], float(found[2] or 0)
    mode = Mode("status", seconds, int(name)) if name.isdigit() else Mode(name, seconds)
    timed = mode.name == "delay" or (mode.name == "status" and found[2])
    return mode if mode.name in names and bool(timed) == bool(found[2]) else None


def build_sink(place: Place, image: str, upstreams: int = 1) -> Manifest:
    """The pod of the sink, with a port for each upstream."""
    ports = {f"upstream-{nth}": FIRST + nth for nth in range(upstreams)}
    args = [word for port in ports.values() for word in ("--port", str(port))]
    ready = {"tcpSocket": {"port": "control"}, "periodSeconds": 1}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": unmeshed(build_metadata(place, drill(place.run, "sink"), {})),
        "spec": {
            **priority_of(place),
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "activeDeadlineSeconds": math.ceil(place.deadline),
            "terminationGracePeriodSeconds": 1,
            "securityContext": POD_SECURITY,
            "containers": [_program("sink", image, args, {**ports, "control": CONTROL}, ready)],
        },
    }


def with_gate(store: Manifest, image: str) -> Manifest:
    """A throw-away store behind a gate on its port; the server moves to another one, on loopback.

    The gate opens when the server first takes a connection, so that Ready still means the store.
    """
    server, *others = store["spec"]["containers"]
    port = server["ports"][0]["containerPort"]
    behind = port + BEHIND if port + BEHIND < 2**16 else port - BEHIND
    control = CONTROL if port != CONTROL else CONTROL + 1
    moved = {"STORE_PORT": str(behind), "STORE_BIND": LOOPBACK}
    inner = {k: v for k, v in server.items() if k not in ("ports", "readinessProbe")}
    inner["env"] = [
        *(e for e in server["env"] if e["name"] not in moved),
        *({"name": name, "value": value} for name, value in moved.items()),
    ]
    args = ["--gate", f"{port}={LOOPBACK}:{behind}"]
    ports = {"store": port, "control": control}
    gate = _program("gate", image, args, ports, server["readinessProbe"])
    return {**store, "spec": {**store["spec"], "containers": [inner, gate, *others]}}


def control_of(pod: Manifest) -> int:
    """The control port of a sink, or of the gate of a store."""
    return next(
        int(port["containerPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port["name"] == "control"
    )


def _program(
    name: str, image: str, args: list[str], ports: Mapping[str, int], ready: Manifest
) -> Manifest:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [COMMAND, *args, "--control", str(ports["control"])],
        "ports": [{"name": each, "containerPort": port} for each, port in ports.items()],
        "readinessProbe": ready,
        "resources": {
            "requests": {"cpu": "20m", "memory": "32Mi"},
            "limits": {"cpu": "1", "memory": "128Mi"},
        },
        "securityContext": CONTAINER_SECURITY,
    }
