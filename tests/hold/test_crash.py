"""Killed at every write, before it is sent and after it is committed: the end is the same (R01)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from chaosproxy import Call, CutAfter, CutBefore
from holdrig import Namespace, Operator, until
from holdworld import bare, deployment, policy, said, target

pytestmark = pytest.mark.api
WRITES = 12


def scenario(space: Namespace) -> None:
    """Good, bad, good again; then one of two targets leaves."""
    both = target("a"), target("b")
    space.apply(deployment("a"), deployment("b"), policy("app", *both))
    space.await_verdict("True", seconds=60)
    space.apply(deployment("a", good=False))
    space.await_verdict("False", seconds=60)
    space.apply(deployment("a"))
    space.await_verdict("True", seconds=60)
    space.apply(policy("app", both[0]))
    until(lambda: [t["name"] for t in space.status()["targets"]] == ["a"], 60, "one target")
    until(space.verdict, 60)


def outcome(space: Namespace) -> tuple[object, ...]:
    """What stands at the end: the status, every report."""
    return bare(space.status()), {r["metadata"]["name"]: said(r) for r in space.reports()}


def told(space: Namespace) -> Counter[tuple[str, str]]:
    return Counter((e["reason"], e["note"].replace(space.name, "NS")) for e in space.events())


def nth_write(space: Namespace, n: int) -> Callable[[Call], bool]:
    seen = 0

    def match(call: Call) -> bool:
        nonlocal seen
        seen += call.method != "GET" and f"/namespaces/{space.name}/" in call.path
        return call.method != "GET" and f"/namespaces/{space.name}/" in call.path and seen == n

    return match


@pytest.fixture
def operator(launch, seat, proxy) -> Operator:
    return launch(seat.kubeconfig(proxy.url))


def undisturbed(api_server, proxy) -> tuple[tuple[object, ...], Counter[tuple[str, str]]]:
    space = Namespace(api_server, "hold-undisturbed")
    proxy.clear()
    scenario(space)
    until(lambda: proxy.count(path=f"/{space.name}/events") == 3, what="three events")
    found = outcome(space), told(space)
    writes = [w for w in proxy.writes() if f"/{space.name}/" in w]
    assert len(writes) == WRITES, writes
    space.clear()
    return found


def disturbed(
    api_server, proxy, operator, n: int, fault: Callable[..., object]
) -> tuple[object, ...]:
    space = Namespace(api_server, f"hold-{fault.__name__.lower()}-{n}")
    proxy.break_(nth_write(space, n), fault(operator.kill))
    starts = operator.starts
    scenario(space)
    until(lambda: len(space.reports()) == 1, what="one report")
    # an event is told at most once: only the kill of the very last one is seen after the end
    until(lambda: operator.starts > starts, what=f"the kill at write {n}")
    found = outcome(space), told(space)
    space.clear()
    return found


def prove(api_server, proxy, operator, cases) -> None:
    wanted, events = undisturbed(api_server, proxy)
    wrong = []
    with operator.supervised():
        for n, fault in cases:
            found, again = disturbed(api_server, proxy, operator, n, fault)
            if found != wanted:
                wrong.append((n, fault.__name__, found))
            extra = {n: c for n, c in again.items() if n not in events or c > events[n] + 1}
            if extra:
                wrong.append((n, fault.__name__, extra))
    assert not wrong


def test_killed_at_every_write(api_server, proxy, operator):
    prove(
        api_server,
        proxy,
        operator,
        [(n, (CutBefore, CutAfter)[n % 2]) for n in range(1, WRITES + 1)],
    )


@pytest.mark.slow
def test_killed_before_and_after_every_write(api_server, proxy, operator):
    cases = [(n, fault) for n in range(1, WRITES + 1) for fault in (CutBefore, CutAfter)]
    prove(api_server, proxy, operator, cases)
