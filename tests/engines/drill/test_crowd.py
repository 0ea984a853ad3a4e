"""How crowded a machine is: shares of what the kernel counts."""

from __future__ import annotations

import pytest

from readiness.engines.drill import crowd
from readiness.engines.drill.crowd import Crowd

COUNTED = ["100 100 1", "200 100 2", "300 400 3"]


@pytest.mark.parametrize(("since", "share"), [(0.0, 0.6), (1.0, 0.75), (2.0, 0.0), (3.0, 0.0)])
def test_the_share_of_waiting_since_a_moment(tmp_path, monkeypatch, since, share):
    monkeypatch.setattr(crowd, "TOLD", tmp_path / "schedstat")
    seen = Crowd()
    for at, line in enumerate(COUNTED):
        (tmp_path / "schedstat").write_text(line)
        seen.look(float(at))

    assert seen.share(since) == share


@pytest.mark.parametrize("told", ["", "words", None])
def test_a_kernel_that_does_not_count_says_nothing(tmp_path, monkeypatch, told):
    monkeypatch.setattr(crowd, "TOLD", tmp_path / "schedstat")
    if told is not None:
        (tmp_path / "schedstat").write_text(told)
    seen = Crowd()
    seen.look(0.0)
    seen.look(1.0)

    assert seen.share(0.0) == 0.0
