"""The controls of data services on three real members of a RabbitMQ that the policy calls somebody else's: healthy, and with one
clause broken at a time.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from looked import deviating, no_name, secret_of, verdicts_of
from readiness.api.policy import PolicySpec
from readiness.dataservices.rabbitmq.users import OPERATOR
from readiness.engines.guard import Egress, Guard
from readiness.engines.inspection import Inspector
from readiness.inspecting import requests_of
from readiness.model import Verdict
from readiness.snapshot import Snapshot
from readiness.subjects import subjects_of
from sandbox import NET
from test_rabbitmq_members import PASSWORDS, USER, Cluster, formed, pytestmark

__all__ = ["pytestmark"]
OF_STORE: Final = ("HA-003", "HA-008", "HA-009", "HLT-006", "DAT-008", "DAT-014")
OF_TARGET: Final = ("QOS-004", "QOS-009")
LAST: Final = "rabbit@{last}"
LIMITED: Final = '{"message-ttl": 1000, "dead-letter-exchange": "expired"}'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with formed(tmp_path_factory.mktemp("rabbitmq")) as found:
        ready(found)
        yield found


def ready(cluster: Cluster) -> None:
    """A queue of jobs as it should be, and an application that is logged in as itself."""
    cluster.publish("jobs").close()
    policy(cluster, LIMITED)


def policy(cluster: Cluster, definition: str) -> None:
    done = cluster.ctl(0, "rabbitmqctl", "set_policy", "jobs", "^jobs$", definition, "--apply-to", "queues")  # fmt: skip
    assert done.returncode == 0, done.stderr


def judged(cluster: Cluster) -> dict[str, Verdict]:
    """Every control, from one look of the inspector in the members' network."""
    hosts = [cluster.box.pod(index) for index in range(3)]
    store = {"hosts": hosts, "secretRef": {"name": USER}, "probeSecretRef": {"name": OPERATOR}}
    target = {
        "name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}, "uses": ["jobs"],
        "qos": {"store": "jobs", "queues": ["jobs"], "priority": {}},
    }  # fmt: skip
    spec = PolicySpec.model_validate({"targets": [target], "dataServices": [{"name": "jobs", "external": {"rabbitmq": store}}]})  # fmt: skip
    addresses = {f"{NET}.{index + 1}": host for index, host in enumerate(hosts)}
    subjects = subjects_of("shop", spec, Snapshot("sandbox", pod_addresses=addresses), time.time())

    async def find(_namespace: str, name: str) -> dict[str, Any]:
        return secret_of(name, PASSWORDS[f"{name}-password"])

    (request,) = requests_of(subjects["jobs"].store)
    answer = cluster.inside(Inspector(Guard(Egress(), no_name), find).inspect(request))
    whose = dict.fromkeys(OF_STORE, subjects["jobs"]) | dict.fromkeys(OF_TARGET, subjects["api"])
    found = verdicts_of(whose, {request: answer})
    assert not any(password in str(found) for password in PASSWORDS.values())
    return found


def wrong(cluster: Cluster) -> dict[str, str]:
    found = judged(cluster)
    print({id_: verdict.message for id_, verdict in found.items() if id_ in deviating(found)})
    return deviating(found)


DEFECTS: Final[Mapping[str, tuple[tuple[int, tuple[str, ...]], tuple[int, tuple[str, ...]], dict[str, str]]]] = {
    "a classic queue": (
        (0, ("rabbitmqctl", "eval", 'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"mails">>), true, false, [{<<"x-queue-type">>, longstr, <<"classic">>}], none, <<"test">>).')),
        (0, ("rabbitmqctl", "delete_queue", "mails")),
        {"HA-003": "Fail/NotReplicated"},
    ),
    "the memory watermark": (
        (1, ("rabbitmqctl", "set_vm_memory_high_watermark", "0.00001")),
        (1, ("rabbitmqctl", "set_vm_memory_high_watermark", "0.6")),
        {"HA-003": "Fail/Alarm"},
    ),
    "a queue on two members": (
        (0, ("rabbitmq-queues", "delete_member", "jobs", LAST)),
        (0, ("rabbitmq-queues", "add_member", "jobs", LAST)),
        {"HA-003": "Fail/NotReplicated", "QOS-009": "Fail/NotReplicated"},
    ),
    "a member that does not run": (
        (2, ("rabbitmqctl", "stop_app")),
        (2, ("rabbitmqctl", "start_app")),
        {"HA-003": "Fail/TooFewMembers", "HLT-006": "Fail/MemberSilent"},
    ),
    "the user guest": (
        (0, ("rabbitmqctl", "add_user", "guest", "guest")),
        (0, ("rabbitmqctl", "delete_user", "guest")),
        {"DAT-008": "Fail/DefaultAccount"},
    ),
    "an application that is administrator": (
        (0, ("rabbitmqctl", "set_user_tags", USER, "administrator")),
        (0, ("rabbitmqctl", "set_user_tags", USER)),
        {"DAT-008": "Fail/AppIsAdministrator"},
    ),
    "jobs that stay for ever": (
        (0, ("rabbitmqctl", "set_policy", "jobs", "^jobs$", '{"dead-letter-exchange": "expired"}', "--apply-to", "queues")),
        (0, ("rabbitmqctl", "set_policy", "jobs", "^jobs$", LIMITED, "--apply-to", "queues")),
        {"QOS-004": "Fail/NoExpiry"},
    ),
    "no place for what expired": (
        (0, ("rabbitmqctl", "set_policy", "jobs", "^jobs$", '{"message-ttl": 1000}', "--apply-to", "queues")),
        (0, ("rabbitmqctl", "set_policy", "jobs", "^jobs$", LIMITED, "--apply-to", "queues")),
        {"QOS-004": "Fail/NoDeadLetters"},
    ),
}  # fmt: skip


def told(cluster: Cluster, where: int, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    last = f"rabbit@{cluster.box.host(2)}"
    return cluster.ctl(where, *(last if word == LAST else word for word in words))


def test_a_healthy_cluster_passes_everything(cluster: Cluster) -> None:
    cluster.wait(60, lambda: wrong(cluster) == {})


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_found_and_nothing_else(cluster: Cluster, defect: str) -> None:
    (where, planted), (there, undone), expected = DEFECTS[defect]

    def seen() -> bool:
        """Planted before every look: RabbitMQ itself gives a queue its members back."""
        told(cluster, where, planted)
        return wrong(cluster) == expected

    try:
        done = told(cluster, where, planted)
        assert done.returncode == 0, done.stderr
        cluster.wait(60, seen)
    finally:
        told(cluster, there, undone)
    cluster.wait(120, lambda: wrong(cluster) == {})


def test_queues_of_virtual_hosts_that_may_not_be_entered_are_not_taken_for_none(cluster: Cluster) -> None:  # fmt: skip
    cluster.ctl(0, "rabbitmqctl", "set_user_tags", OPERATOR, "monitoring")
    try:
        refused = dict.fromkeys(("HA-003", "QOS-004", "QOS-009"), "Unknown/NotPermitted")
        cluster.wait(60, lambda: wrong(cluster) == refused)
    finally:
        cluster.ctl(0, "rabbitmqctl", "set_user_tags", OPERATOR, "administrator")
