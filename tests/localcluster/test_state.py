"""Names, slots and ports of clusters, in a state directory of the test's own."""

import ipaddress
from pathlib import Path

import pytest

from localcluster import network, state
from localcluster.progress import ClusterError


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def create(name: str, nodes: int = 0) -> state.Cluster:
    return state.create(name, node_count=nodes, controllers=True, taken=())


def test_a_cluster_is_found_as_it_was_created() -> None:
    assert state.find("one") is None
    assert create("one") == state.find("one") == state.load("one")
    assert state.cluster_names() == ["one"]


def test_clusters_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LONGEST_DIR", 1000)
    one, two = create("one", 3), create("two", 3)
    for name in ("slot", "dir", "bridge", "node_cidr", "pod_cidr", "service_cidr", "api_url"):
        assert getattr(one, name) != getattr(two, name)
    names = [{n.netns, n.veth, n.cgroup, n.ip, n.pod_cidr} for c in (one, two) for n in c.nodes]
    assert len(set.union(*names)) == sum(map(len, names))
    assert len(set(vars(one.ports).values())) == 5


def test_foreign_slots_are_left_alone() -> None:
    found = state.create("one", node_count=0, controllers=True, taken=[1, 2])
    assert found.slot == 3


def test_slots_run_out() -> None:
    with pytest.raises(ClusterError, match="slots are in use"):
        state.create("one", node_count=0, controllers=True, taken=range(state.MAX_SLOTS))


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 17, "../x"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ClusterError) as caught:
        create(name)
    assert caught.value.code == 2


def test_nodes_need_a_short_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LONGEST_DIR", 10)
    with pytest.raises(ClusterError, match="too long for unix sockets"):
        create("one", 1)


def test_interface_names_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LONGEST_DIR", 1000)
    for node in create("a" * 16, state.MAX_NODES).nodes:
        assert len(node.veth) <= 15


def test_zones_differ_on_three_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LONGEST_DIR", 1000)
    assert len({node.zone for node in create("one", 3).nodes}) == 3


def test_a_bare_plane_listens_on_loopback_only() -> None:
    assert create("one").host_ip == "127.0.0.1"


def test_unknown_nodes_and_clusters_are_named() -> None:
    with pytest.raises(ClusterError, match="no node 'x'"):
        create("one").node("x")
    with pytest.raises(ClusterError, match="clusters: one"):
        state.load("two")


def test_a_lock_refuses_a_second_holder(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        state.locked(lock),
        pytest.raises(ClusterError, match="busy"),
        state.locked(lock, busy="busy"),
    ):
        pass


@pytest.mark.parametrize(
    ("route", "taken"),
    [
        ("172.30.1.0/24", True),
        ("10.65.3.0/24", True),
        ("10.129.0.0/16", True),
        ("10.0.0.0/9", True),
        ("172.30.2.0/24", False),
        ("192.168.0.0/16", False),
    ],
)
def test_slots_avoid_routes_of_the_machine(route: str, taken: bool) -> None:
    assert network.overlaps(1, [ipaddress.ip_network(route)]) is taken
