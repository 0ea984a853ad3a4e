"""What is written for data services and what is told of them. Values in, values out."""

from __future__ import annotations

import base64
import copy
from dataclasses import replace
from typing import Any

import pytest
from toykind import NOW, TOY, Object, policy, wish

from readiness import naming
from readiness.dataservices.children import KINDS, hash_of
from readiness.dataservices.provision import Act, Provision, provide
from readiness.dataservices.telling import provisioned_of, service_row
from readiness.snapshot import MemberSeen, Obstacle, Provided, Seen, Snapshot

AT = "2027-01-15T08:00:00Z"
LATER = "2027-01-15T09:00:00Z"
CACHE: Object = {"name": "cache", "redis": {}}
NAME = naming.store("shop", "cache")
IMAGES = {"redis": "redis:7"}


def run(its: Object, now: float = NOW, token: str = "t", **seen: Any) -> Provision:
    snapshot = Snapshot(namespace="ns", provided=Provided(**({"images": IMAGES} | seen)))
    return provide(wish(its, now, token), snapshot, (TOY,))


def running(its: Object, *, ready: int = 3, token: str = "t") -> Object:
    """What is seen once everything was created: children with what a server adds, and Secrets."""
    children, credentials = {}, {}
    for write in run(its, token=token).writes:
        child = copy.deepcopy(write.child)
        child["metadata"] |= {
            "uid": f"uid-{child['metadata']['name']}",
            "generation": 1,
            "resourceVersion": "7",
        }
        if child["kind"] == "StatefulSet":
            child["status"] = {"observedGeneration": 1, "readyReplicas": ready, "replicas": 3}
        if child["metadata"]["name"].endswith(naming.CREDENTIALS):
            data = child["data"].items()
            credentials[write.service] = {k: base64.b64decode(v).decode() for k, v in data}
        children[child["kind"], child["metadata"]["name"]] = child
    return {"children": children, "credentials": credentials}


def told(found: Provision) -> tuple[str, str]:
    return provisioned_of(found)[:2]


def acts(found: Provision) -> list[tuple[str, str]]:
    return [(write.act.value, write.child["kind"]) for write in found.writes]


def test_everything_is_created_the_credentials_first():
    found = run(policy(CACHE))

    assert acts(found) == [("create", "Secret"), *(("create", c["kind"]) for c in build_once())]
    assert found.writes[0].child["metadata"]["name"] == f"{NAME}-credentials"
    assert told(found) == ("False", "Provisioning")
    assert found.next_at == NOW + 5


def build_once() -> tuple[Object, ...]:
    return tuple(write.child for write in run(policy(CACHE)).writes[1:])


def test_every_child_carries_our_labels_and_what_it_should_be():
    for write in run(policy(CACHE)).writes:
        labels = write.child["metadata"]["labels"]
        assert naming.store_labels("shop", "cache").items() <= labels.items()
        assert labels["app.kubernetes.io/name"] == "redis"
        assert write.child["metadata"]["namespace"] == "ns"
        assert bool(hash_of(write.child)) is not write.child["metadata"]["name"].endswith(
            naming.CREDENTIALS
        )
        assert "ownerReferences" not in write.child["metadata"]
        assert write.child["kind"] in (*KINDS, "Secret")


def test_secrets_are_made_once_and_everything_rests_on_what_was_made():
    its = policy(CACHE)
    first, seen = run(its, token="one"), running(its, token="one")
    made = seen["credentials"]["cache"]

    assert len(made["admin"]) == 32
    assert made["admin"].isalnum()
    assert len(base64.b64decode(made["key"])) == 30
    assert made["admin"] != run(its, token="two").writes[0].child["data"]["admin"]
    assert (
        base64.b64decode(first.writes[2].child["data"]["users"]).decode()
        == f"admin {made['admin']}"
    )
    assert run(its, token="two", **seen).writes == ()


def test_a_credential_that_a_newer_version_needs_is_not_made_of_thin_air_twice():
    its, seen = policy(CACHE), running(policy(CACHE))
    del seen["credentials"]["cache"]["key"]

    (write,) = run(its, token="other", **seen).writes

    assert (write.act, write.does) == (Act.AMEND, "passwords are made: key")
    made = write.child["data"]
    assert len(base64.b64decode(base64.b64decode(made["key"]))) == 30
    assert {**made, "key": ""} == {**write.live["data"], "key": ""}


def test_what_is_as_desired_is_not_written():
    seen = running(policy(CACHE))
    found = run(policy(CACHE), **seen)

    assert found.writes == ()
    assert told(found) == ("True", "Provisioned")
    assert service_row(found.services[0], {}, Provided(), AT) == {
        "name": "cache",
        "kind": "redis",
        "ready": True,
        "secretName": NAME,
    }
    assert found.next_at == NOW + 300


@pytest.mark.parametrize(
    ("kind", "old", "told"),
    [
        ("rabbitmq", {"lastSuccess": AT}, "messages, which are protected by replication only"),
        ("rabbitmq", {}, None),
        ("redis", {"lastSuccess": AT}, None),
    ],
)
def test_what_no_backup_holds_is_said(kind: str, old: dict[str, str], told: str | None):
    (service,) = run(policy(CACHE), **running(policy(CACHE))).services
    row = service_row(replace(service, kind=kind), {"backup": old}, Provided(), AT)

    assert row.get("backup", {}).get("leavesOut") == told


def test_members_that_are_not_ready_are_counted_as_their_controller_counts():
    found = run(policy(CACHE), **running(policy(CACHE), ready=1))
    assert provisioned_of(found)[2] == f"cache: StatefulSet/{NAME}: 1 of 3 members are Ready"

    seen = running(policy(CACHE))
    seen["children"]["StatefulSet", NAME]["metadata"]["generation"] = 2
    assert told(run(policy(CACHE), **seen)) == ("False", "Provisioning")


# --- changes


def test_a_new_wish_is_applied_at_once_and_is_no_drift():
    seen = running(policy(CACHE))
    its = policy({"name": "cache", "redis": {"replicas": 5}})
    found = run(its, repaired={("StatefulSet", NAME): NOW - 1}, **seen)

    (write,) = found.writes
    assert (write.act, write.drift, write.child["spec"]["replicas"]) == (Act.APPLY, "", 5)
    assert write.live is seen["children"]["StatefulSet", NAME]


def test_before_a_change_is_taken_up_it_is_not_provided():
    """Who waits for the condition after an apply must not be told of what was before."""
    found = run(policy({"name": "cache", "redis": {"image": "redis:9"}}), **running(policy(CACHE)))

    assert provisioned_of(found) == ("False", "Provisioning", f"cache: StatefulSet/{NAME} is still to be changed")  # fmt: skip


def test_what_is_no_longer_wished_is_noticed():
    seen = running(policy({"name": "cache", "redis": {"config": [{"name": "a", "value": "1"}]}}))

    assert acts(run(policy(CACHE), **seen)) == [("apply", "ConfigMap")]


@pytest.mark.parametrize(("since", "written"), [(59.0, False), (60.0, True)])
def test_drift_is_put_back_at_most_once_a_minute(since: float, written: bool):
    seen = running(policy(CACHE))
    seen["children"]["StatefulSet", NAME]["spec"]["replicas"] = 1
    found = run(policy(CACHE), repaired={("StatefulSet", NAME): NOW - since}, **seen)

    assert [(w.act, w.drift) for w in found.writes] == [(Act.APPLY, "spec.replicas")] * written
    assert written or found.next_at == NOW + 2


def test_what_the_plan_does_not_hold_is_deleted_and_only_that():
    seen = running(policy(CACHE))
    old = copy.deepcopy(seen["children"]["ConfigMap", f"{NAME}-config"])
    old["metadata"]["name"] = f"{NAME}-old"
    seen["children"]["ConfigMap", f"{NAME}-old"] = old
    (write,) = run(policy(CACHE), **seen).writes

    assert (write.act, write.child) == (Act.DELETE, old)


def test_a_child_that_is_gone_is_created_again():
    seen = running(policy(CACHE))
    del seen["children"]["Service", NAME]

    assert acts(run(policy(CACHE), **seen)) == [("create", "Service")]


# --- who owns, and what a policy that comes back finds


def test_delete_owns_everything_and_takes_the_volumes_along():
    for write in run(policy(CACHE, deletionPolicy="Delete")).writes:
        assert write.child["metadata"]["ownerReferences"] == [naming.owner("shop", "u-1")]
        if write.child["kind"] == "StatefulSet":
            retention = write.child["spec"]["persistentVolumeClaimRetentionPolicy"]
            assert retention == {"whenDeleted": "Delete", "whenScaled": "Retain"}


def test_the_same_policy_applied_again_finds_everything_as_it_should_be():
    seen = running(policy(CACHE, uid="u-1"))

    assert run(policy(CACHE, uid="u-2"), token="other", **seen).writes == ()


def test_volumes_are_found_by_labels():
    (claim,) = build_once()[-1]["spec"]["volumeClaimTemplates"]

    assert naming.store_labels("shop", "cache").items() <= claim["metadata"]["labels"].items()


# --- when to look again


@pytest.mark.parametrize(
    ("its", "seen", "after"),
    [
        (policy(), {}, float("inf")),
        (policy(CACHE), {}, 5),
        (policy(CACHE), "whole", 300),
        (policy({"name": "cache", "redis": {"replicas": 2}}), {}, 300),
        (policy(), "whole", 300),
        (policy(CACHE), {"obstacles": {"cache": (Obstacle("Quota", "full", "", NOW - 19),)}}, 1),
    ],
    ids=["nothing", "begun", "whole", "refused", "pending", "tried"],
)
def test_it_looks_again_when_that_may_tell_more(its: Object, seen: Any, after: float):
    seen = running(policy(CACHE)) if seen == "whole" else seen

    assert run(its, **seen).next_at == NOW + after


def test_what_has_waited_long_is_looked_at_less_often():
    its = policy(CACHE)
    row = {"type": "Provisioned", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    its["status"] = {"conditions": [row]}

    assert run(its).next_at == NOW + 30


# --- removal


def test_nothing_is_removed_before_somebody_says_so():
    found = run(policy(), **running(policy(CACHE)))

    assert found.writes == ()
    assert told(found) == ("False", "RemovalPending")
    assert "readiness.dev/confirm-removal=cache" in provisioned_of(found)[2]
    assert service_row(found.services[0], {}, Provided(), AT) == {
        "name": "cache",
        "ready": False,
        "reason": "RemovalPending",
    }


def test_what_was_confirmed_goes_but_not_the_credentials():
    seen = running(policy(CACHE))
    del seen["children"]["Secret", f"{NAME}-access"]  # as after a restart
    found = run(policy(annotations={naming.CONFIRM_REMOVAL: "cache"}), **seen)
    gone = [(w.child["kind"], w.child["metadata"]["name"]) for w in found.writes]

    assert {w.act for w in found.writes} == {Act.DELETE}
    assert ("Secret", f"{NAME}-access") in gone
    assert ("StatefulSet", NAME) in gone
    assert ("Secret", f"{NAME}-credentials") not in gone


def test_a_confirmation_of_another_name_confirms_nothing():
    found = run(policy(annotations={naming.CONFIRM_REMOVAL: "cach"}), **running(policy(CACHE)))

    assert found.writes == ()


def test_after_the_removal_nothing_is_left_to_tell():
    seen = running(policy(CACHE))
    left = {k: v for k, v in seen["children"].items() if k == ("Secret", f"{NAME}-credentials")}

    assert run(policy(), children=left) == Provision()


def test_another_kind_under_the_same_name_deletes_nothing():
    seen = running(policy(CACHE))
    for child in seen["children"].values():
        child["metadata"]["labels"]["app.kubernetes.io/name"] = "mongodb"
    found = run(policy(CACHE), **seen)

    assert found.writes == ()
    assert told(found) == ("False", "KindChanged")


def test_a_service_that_becomes_external_is_pending_too():
    external = {"name": "cache", "external": {"redis": {"hosts": ["cache"]}}}

    assert told(run(policy(external), **running(policy(CACHE)))) == ("False", "RemovalPending")


# --- refusals and obstacles


def test_what_is_unsafe_is_refused_unless_it_is_named():
    small: Object = {"name": "cache", "redis": {"replicas": 2}}
    refused = run(policy(small))
    allowed = run(policy({"name": "cache", "redis": {"replicas": 2, "unsafe": ["FewerThanThree"]}}))

    assert (refused.writes, told(refused)) == ((), ("False", "FewerThanThree"))
    assert "ask for three" in provisioned_of(refused)[2]
    assert len(allowed.writes) == 8


def test_a_refusal_leaves_alone_what_runs():
    found = run(policy({"name": "cache", "redis": {"replicas": 2}}), **running(policy(CACHE)))

    assert found.writes == ()


@pytest.mark.parametrize(
    ("service", "seen", "reason"),
    [
        (CACHE, {"images": {}}, "NoImage"),
        ({"name": "q", "rabbitmq": {"image": "rabbitmq:4"}}, {}, "NotSupported"),
    ],
)
def test_what_cannot_be_provided_says_so(service: Object, seen: Object, reason: str):
    found = run(policy(service), **seen)

    assert (found.writes, told(found)) == ((), ("False", reason))


def test_one_service_in_trouble_does_not_hold_up_another():
    found = run(policy({"name": "bad", "redis": {"replicas": 1}}, CACHE))

    assert {write.service for write in found.writes} == {"cache"}


@pytest.mark.parametrize(("since", "tried"), [(19.0, False), (20.0, True)])
def test_what_met_an_obstacle_is_tried_again_after_a_while(since: float, tried: bool):
    met = {"cache": (Obstacle("NameTaken", "it is there", "remove it", NOW - since),)}
    found = run(policy(CACHE), obstacles=met)

    assert bool(found.writes) is tried
    assert told(found) == ("False", "NameTaken")


# --- what the servers tell


MEMBERS = (MemberSeen(f"{NAME}-0", "primary"), MemberSeen(f"{NAME}-1", "replica", ("Lagging",)))


def looked_at(seen: dict[str, Seen], pods: int = 2, service: Object = CACHE) -> Provision:
    names = tuple(pod(f"{NAME}-{n}") for n in range(pods))
    return run(policy(service), pods={"cache": names}, seen=seen, **running(policy(CACHE)))


def seen_row(primary: str, old: Object) -> Object:
    found = looked_at({"cache": Seen(primary, MEMBERS)})
    assert [each.addresses for each in found.looks] == [{f"{NAME}-0": "10.0.0.1", f"{NAME}-1": "10.0.0.1"}]  # fmt: skip
    return service_row(found.services[0], old, Provided(), AT)


def pod(name: str) -> Object:
    ready = {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name}, "spec": {"nodeName": "n"}, "status": ready}


def test_members_are_told_as_their_servers_tell():
    row = seen_row(f"{NAME}-0", {})

    assert row["primary"] == f"{NAME}-0"
    assert "lastFailover" not in row
    assert row["members"] == [
        {"name": f"{NAME}-0", "ready": True, "role": "primary"},
        {"name": f"{NAME}-1", "ready": True, "role": "replica", "reason": "Lagging"},
    ]


@pytest.mark.parametrize(
    ("lag", "words"), [(None, None), (0, "<=10s"), (10, "<=10s"), (11, ">10s")]
)
def test_a_lag_is_told_in_words_that_stand(lag: int | None, words: str | None):
    (service,) = looked_at({"cache": Seen(f"{NAME}-0", MEMBERS, lag=lag)}).services

    assert service_row(service, {}, Provided(), AT).get("lag") == words


def test_what_servers_said_before_an_operator_started_stands_until_they_answer():
    (service,) = looked_at({"cache": Seen(f"{NAME}-0", MEMBERS, lag=3)}).services
    row = service_row(service, {}, Provided(), AT)

    assert service_row(looked_at({}).services[0], row, Provided(), LATER) == row
    more = service_row(looked_at({}, pods=3).services[0], row, Provided(), LATER)["members"]
    assert more == [*row["members"], {"name": f"{NAME}-2", "ready": True}], "a new one has said nothing"  # fmt: skip
    silent = service_row(looked_at({"cache": Seen()}).services[0], row, Provided(), LATER)
    refused = service_row(looked_at({}, service={"name": "cache", "redis": {"replicas": 1}}).services[0], row, Provided(), LATER)  # fmt: skip
    for gone in (silent, refused):
        assert "lag" not in gone
        assert not [each for each in gone.get("members", ()) if "role" in each]


FAILOVER = {"at": AT, "from": "old-0", "to": f"{NAME}-0", "cause": "Stopped", "seconds": 0}


@pytest.mark.parametrize(
    ("primary", "old", "failover"),
    [
        (f"{NAME}-0", {"primary": "old-0"}, FAILOVER),
        (f"{NAME}-0", {"primary": f"{NAME}-0", "lastFailover": {"at": "then"}}, {"at": "then"}),
        ("", {"primary": "old-0", "lastFailover": {"at": "then"}}, {"at": "then"}),
        ("", {"primary": "old-0"}, None),
        (f"{NAME}-0", {}, None),
    ],
)
def test_a_failover_is_a_primary_that_follows_another(primary: str, old: Object, failover: Any):
    row = seen_row(primary, old)

    assert row.get("lastFailover") == failover
    assert row["primary"] == (primary or old["primary"]), "while there is none, the last one stands"


def test_nobody_is_asked_before_there_is_a_way_to_log_in():
    seen = running(policy(CACHE))
    found = run(policy(CACHE), pods={"cache": (pod(f"{NAME}-0"),)}, children=seen["children"])

    assert found.looks == ()


def test_a_pod_of_an_earlier_template_is_replaced_once_every_child_is_as_desired():
    seen = running(policy(CACHE)) | {"seen": {"cache": Seen(f"{NAME}-1")}}
    status = seen["children"]["StatefulSet", NAME]["status"]
    status |= {"availableReplicas": 3, "updateRevision": "new"}
    seen["pods"] = {"cache": tuple(earlier(number, "old") for number in range(3))}

    found = run(policy(CACHE), **seen)
    (write,) = found.writes
    assert provisioned_of(found)[2] == "cache: 3 of 3 members still run an earlier template"
    assert (write.act, write.child["metadata"]["name"]) == (Act.EVICT, f"{NAME}-2")

    seen["children"].pop(("ServiceAccount", NAME))
    assert acts(run(policy(CACHE), **seen)) == [("create", "ServiceAccount")]


def earlier(number: int, revision: str) -> Object:
    labels = {"controller-revision-hash": revision}
    owners = [{"kind": "StatefulSet", "name": NAME}]
    meta = {"name": f"{NAME}-{number}", "uid": f"uid-{number}", "labels": labels, "ownerReferences": owners}  # fmt: skip
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": meta, "status": {"phase": "Running", "conditions": conditions}}
