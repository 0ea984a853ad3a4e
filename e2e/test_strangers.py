"""Applications that others wrote, drilled from the command line as a stranger would: something true about most, nothing wrong about any.

Nothing is declared but a request that is slow, where they have one. Their namespace denies all traffic and has a quota. The
truth is strangers/truth.tsv, a real rollout under traffic. What is seen is kept in strangers/drilled.tsv, from which
e2e/pages.py makes docs/strangers.md. STRANGERS=name,name drills only these.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import strangers
from clusters import Cluster
from drillcli import Place
from strangers import Drilled

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SPACE = "strangers"
NAMES = [name for name in os.environ.get("STRANGERS", "").split(",") if name] or list(strangers.APPS)  # fmt: skip
AT_ONCE = 3
Rows = dict[tuple[str, str], Drilled]


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Place:
    """Their namespace, with all of them Ready."""
    found = Place.make(cluster, SPACE)
    for each in strangers.images(cluster.engine, NAMES):
        if cluster.kind != "current":  # there, images are where the cluster pulls from
            cluster.load(each.name, each.archive)
    found.apply(*strangers.manifests(SPACE, NAMES))
    found.rolled_out(*NAMES)
    return found


@pytest.fixture(scope="module")
def drilled(place: Place) -> Rows:
    """What a drill says about every application and control."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(lambda name: drill(place, name), NAMES))
    found = {where: row for rows in seen for where, row in rows.items()}
    strangers.keep(found)
    return found


def drill(place: Place, name: str) -> Rows:
    """`readiness drill shutdown`, as somebody would type it."""
    slow = strangers.APPS[name].slow
    controls = [word for id_ in strangers.CONTROLS for word in ("--control", id_)]
    said = place.drill(name, *(("--slow", slow) if slow else ()), *controls)
    return {
        (name, id_): Drilled(row["result"], row["reason"], row.get("observed") or row["message"])
        for id_, row in said.findings.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_no_verdict_is_wrong(drilled: Rows, name: str) -> None:
    assert strangers.wrong({where: row for where, row in drilled.items() if where[0] == name}) == {}


def test_most_are_decided(drilled: Rows) -> None:
    if set(NAMES) != set(strangers.APPS):
        pytest.skip("the share is one of all applications, and STRANGERS names some")
    shares = strangers.decided(drilled)

    assert {id_: share for id_, share in shares.items() if share < strangers.MOST} == {}


def test_nothing_is_left(drilled: Rows, place: Place) -> None:
    assert place.left() == []
