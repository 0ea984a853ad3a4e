"""What a real S3 server says to a clock that is off: restic's own cannot be moved here, so the request is signed by hand."""

from __future__ import annotations

import hashlib
import hmac
import time
from pathlib import Path

import httpx
import programs
import pytest

from readiness.backups.outcome import Reason
from readiness.backups.trouble import reason_of, sentence_of

pytestmark = pytest.mark.slow
EMPTY = hashlib.sha256(b"").hexdigest()


def signed(server: programs.S3, at: float) -> httpx.Response:
    """A list of buckets, as of then (AWS Signature Version 4)."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    host = server.endpoint.removeprefix("http://")
    headers = {"host": host, "x-amz-content-sha256": EMPTY, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = "".join(f"{key}:{value}\n" for key, value in headers.items())
    asked = hashlib.sha256(f"GET\n/\n\n{lines}\n{names}\n{EMPTY}".encode()).hexdigest()
    key = f"AWS4{programs.KEYS['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    proof = hmac.new(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{asked}".encode(), hashlib.sha256)
    who = f"Credential={programs.KEYS['AWS_ACCESS_KEY_ID']}/{scope}, SignedHeaders={names}, Signature={proof.hexdigest()}"  # fmt: skip
    return httpx.get(f"{server.endpoint}/", headers=headers | {"authorization": f"AWS4-HMAC-SHA256 {who}"})  # fmt: skip


@pytest.mark.parametrize("off", [-3600, 3600])
def test_an_hour_is_named(tmp_path: Path, off: int):
    (tmp_path / "s3").mkdir()
    server = programs.S3(tmp_path / "s3", programs.free_port())
    with server.serving():
        now, then = signed(server, time.time()), signed(server, time.time() + off)

    assert now.status_code == 200, now.text
    assert then.status_code == 403
    assert reason_of(1, then.text) is Reason.CLOCK, then.text
    assert "clocks" in sentence_of(Reason.CLOCK)
