"""Faults of a data service on real pods while clients write to it: what happens, and what every test of one expects then."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from clusters import Cluster
from localcluster import node as nodes
from localcluster import state
from readiness.naming import SERVICE_LABEL

CUT_SECONDS = 60


@dataclass(frozen=True)
class Written:
    """What ledgers of acknowledged writes tell: the longest time without one, how many there were, and which are gone."""

    gap: float
    acknowledged: int
    lost: Collection[float]


@contextmanager
def survived(what: str, whole: Callable[[], object], written: Callable[[], Written], gap: float) -> Iterator[None]:  # fmt: skip
    """What happens inside: all is whole again then, nothing acknowledged is lost, and nobody waited longer than this."""
    yield
    began = time.monotonic()
    whole()
    took, found = time.monotonic() - began, written()
    print(f"\n{what}: gap {found.gap:.1f} s, whole after {took:.1f} s, lost {len(found.lost)} of {found.acknowledged} acknowledged writes")  # fmt: skip
    assert not found.lost
    assert found.gap <= gap


def drain(cluster: Cluster, node: str, service: str) -> None:
    """Drains a node of the pods of a data service, and lets it have pods again."""
    try:
        cluster.run("kubectl", "drain", node, f"--pod-selector={SERVICE_LABEL}={service}", "--delete-emptydir-data", "--timeout=300s")  # fmt: skip
    finally:
        cluster.run("kubectl", "uncordon", node)


def only_here(cluster: Cluster) -> None:
    """What reaches into nodes from outside."""
    if cluster.kind != "local":
        pytest.skip("nodes and processes of pods are reached on the local cluster only")


def cut_off(cluster: Cluster, node: str) -> None:
    """A node without network for a minute."""
    only_here(cluster)
    machine = state.load(cluster.name)
    (place,) = [each for each in machine.nodes if each.name == node]
    nodes.cut(machine, place)
    try:
        time.sleep(CUT_SECONDS)
    finally:
        nodes.heal(machine, place)
