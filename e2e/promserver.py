"""A real Prometheus, as Debian packages it, on loopback."""

import json
import signal
import socket
import subprocess
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import image
from localcluster import images
from strangers import OPERATIONS

PROGRAM: Final = "usr/bin/prometheus"
SECONDS: Final = 30


@dataclass(frozen=True)
class Prometheus:
    """Where it listens, and its rules."""

    url: str
    program: subprocess.Popen[bytes]
    rules: Path

    def reload(self, rules: str) -> None:
        self.rules.write_text(rules)
        self.program.send_signal(signal.SIGHUP)

    def ask(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=SECONDS) as answer:  # fmt: skip
            return json.load(answer)["data"]


@contextmanager
def serving(home: Path, rules: str, targets: Sequence[str] = ()) -> Iterator[Prometheus]:
    """With these rules; it scrapes these addresses every second."""
    with tarfile.open(images.debian_layer(image.SUITE, OPERATIONS).path) as layer:
        name = next(n for n in layer.getnames() if n.removeprefix("./") == PROGRAM)
        layer.extract(name, home, filter="data")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (home / "rules.yml").write_text(rules)
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    job = {
        "job_name": "operator",
        "honor_labels": True,
        "static_configs": [{"targets": [*targets]}],
    }
    config = {"global": every, "rule_files": [str(home / "rules.yml")], "scrape_configs": [job]}
    (home / "prometheus.yml").write_text(json.dumps(config))
    arguments = [f"--config.file={home}/prometheus.yml", f"--web.listen-address={address}", f"--storage.tsdb.path={home}/data"]  # fmt: skip
    program = subprocess.Popen([home / PROGRAM, *arguments], stderr=subprocess.DEVNULL)
    try:
        yield Prometheus(f"http://{address}", program, home / "rules.yml")
    finally:
        program.terminate()
        program.wait(SECONDS)
