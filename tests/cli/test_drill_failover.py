"""`readiness drill failover`: what the operator would not do the command does not either, and it says why."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

Manifest = dict[str, Any]
SERVICE: Manifest = {"name": "cache", "redis": {}, "backup": {"enabled": False}}
LATER = (datetime.now(UTC) + timedelta(hours=12)).hour
CLOSED = {"schedule": f"0 {LATER} * * *", "duration": "1h"}
OPEN = {"schedule": f"{datetime.now(UTC).minute} {datetime.now(UTC).hour} * * *", "duration": "4h"}


def policy(name: str = "shop", window: Manifest = OPEN, **spec: Any) -> Manifest:
    disruptive = {"controls": ["HA-004"], "window": window, "acknowledge": "prod"}
    spec = {"dataServices": [SERVICE], "safety": {"disruptive": disruptive}, **spec}
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": spec}


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A kubeconfig of a server that has these policies, and nothing else."""
    servers: list[ThreadingHTTPServer] = []

    def serve(*policies: Manifest) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listed = policies if "readinesspolicies" in self.path else ()
                body = json.dumps({"metadata": {"name": "ns"}, "items": listed}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = tmp_path / "config"
        config.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "ns"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }))  # fmt: skip
        return str(config)

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


REFUSALS: dict[str, tuple[tuple[Manifest, ...], int, str]] = {
    "nobody declares it": ((), 2, "no policy in namespace ns declares a data service 'cache'"),
    "two declare it": ((policy("a"), policy("b")), 2, "several policies declare 'cache': a, b"),
    "nobody allows it": ((policy(safety={}),), 3, "OptInRequired"),
    "not acknowledged": ((policy(environment="dev"),), 3, "NotAcknowledged"),
    "not now": ((policy(window=CLOSED),), 3, "OutsideWindow"),
    "nothing said of backups": ((policy(dataServices=[{"name": "cache", "redis": {}}]),), 3, "BackupUnproven"),
    "nothing there": ((policy(),), 3, "NotLookedAt"),
}  # fmt: skip


@pytest.mark.parametrize(("policies", "code", "said"), REFUSALS.values(), ids=REFUSALS)
def test_what_stands_in_its_way_is_said(
    readiness, serving, policies: tuple[Manifest, ...], code: int, said: str
):
    config = serving(*policies)
    ended = readiness("drill", "failover", "dataservice/cache", "--kubeconfig", config, "--image", "o:1")  # fmt: skip

    assert ended.code == code, ended.err
    assert said in " ".join(ended.err.split())


@pytest.mark.parametrize("ref", ["deployment/cache", "cache", "dataservice/"])
def test_only_a_data_service_fails_over(readiness, ref: str):
    ended = readiness("drill", "failover", ref)

    assert ended.code == 2
    assert "expected dataservice/NAME" in " ".join(ended.err.split())
