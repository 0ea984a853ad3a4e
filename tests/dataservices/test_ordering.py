"""Whether a kind's step is taken in a pass: values in, at most one Command or one write of a step out."""

from __future__ import annotations

import base64
import copy
from dataclasses import replace
from typing import Any

import pytest
from test_provision import CACHE, IMAGES, NAME, acts, running, told
from toykind import NOW, TOY, Object, policy, wish

from readiness import naming
from readiness.dataservices.command import Amend, Replace, Resize, Step, Task, Tell, Wait
from readiness.dataservices.provision import Provision, provide
from readiness.dataservices.telling import provisioned_of, service_row
from readiness.snapshot import MemberSeen, Provided, Seen, Snapshot, Told

TELL = Tell("act", "it is so")
SEEN = Seen("cache-0", (MemberSeen("cache-0", "primary"),))
FIVE: Object = {"name": "cache", "redis": {"replicas": 5, "unsafe": ["Shrink"]}}
THREE: Object = {"name": "cache", "redis": {"replicas": 3, "unsafe": ["Shrink"]}}


def pod(name: str, **meta: Any) -> Object:
    owner = {"kind": "StatefulSet", "name": NAME}
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", "labels": {"controller-revision-hash": "r"}, "ownerReferences": [owner], **meta},
        "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip


PODS = tuple(pod(f"{NAME}-{number}") for number in range(3))


def settled(its: Object) -> Object:
    """What stands, Ready and of one template, with the credentials Secret at a version."""
    found = running(its)
    main = found["children"]["StatefulSet", NAME]
    replicas = main["spec"]["replicas"]
    main["status"] |= {"readyReplicas": replicas, "availableReplicas": replicas, "updateRevision": "r"}  # fmt: skip
    return found


def run(its: Object, step: Step | None, *, now: float = NOW, seen: Seen = SEEN, **there: Any) -> Provision:  # fmt: skip
    kind = replace(TOY, next_step=lambda _task: step)
    found = {"images": IMAGES, "pods": {"cache": PODS}, "seen": {"cache": seen}, **settled(its)}
    return provide(wish(its, now), Snapshot(namespace="ns", provided=Provided(**{**found, **there})), (kind,))  # fmt: skip


def test_servers_are_told_and_it_is_said():
    found = run(policy(CACHE), TELL)

    (command,) = found.commands
    assert (command.tell, command.look) == (TELL, found.looks[0])
    assert found.writes == ()
    assert provisioned_of(found)[2] == "every member is Ready: cache; cache: it is so"
    assert service_row(found.services[0], {}, Provided(), "")["reason"] == "Rotating"


AWAY = (*PODS[:2], pod(f"{NAME}-2", deletionTimestamp="2027-01-15T08:00:00Z"))
OLD = (*PODS[:2], pod(f"{NAME}-2", labels={"controller-revision-hash": "old"}))
FEW = settled(policy(CACHE))
FEW["children"]["StatefulSet", NAME]["status"]["availableReplicas"] = 2


@pytest.mark.parametrize(
    "there",
    [
        {"seen": replace(SEEN, busy=True)},
        {"pods": {"cache": AWAY}},
        {"children": FEW["children"]},
        {"children": {}},
        {"seen": replace(SEEN, told=Told("act", "Refused", NOW - 19))},
    ],
    ids=["something is told", "a pod goes", "a member is not Ready", "children are to be written", "it has just failed"],
)  # fmt: skip
def test_nothing_is_told_while(there: Object):
    seen = there.pop("seen", SEEN)

    assert run(policy(CACHE), TELL, seen=seen, **there).commands == ()


def test_a_step_goes_before_the_next_pod_of_a_roll():
    found = run(policy(CACHE), TELL, pods={"cache": OLD})

    assert (len(found.commands), found.writes) == (1, ())


def test_no_pod_is_replaced_while_something_is_told():
    assert len(run(policy(CACHE), None, pods={"cache": OLD}).writes) == 1
    assert run(policy(CACHE), None, pods={"cache": OLD}, seen=replace(SEEN, busy=True)).writes == ()


@pytest.mark.parametrize(
    ("was", "words"),
    [
        (Told("act", "Refused", NOW - 30), "it is so: Refused"),
        (Told("act", "", NOW - 30, 3), "it is so: the servers were told, and it is not so"),
        (Told("act", "", NOW - 30, 2), ""),
        (Told("other", "Refused", NOW - 30), ""),
    ],
    ids=["an error", "no effect", "not yet", "of another step"],
)
def test_what_came_of_it_is_told_and_it_is_tried_again(was: Told, words: str):
    found = run(policy(CACHE), TELL, seen=replace(SEEN, told=was))

    assert [each.message for each in found.services[0].obstacles] == ([words] if words else [])
    assert len(found.commands) == 1
    assert told(found) == (("False", "StepFailed") if words else ("True", "Provisioned"))


def test_what_is_done_is_no_obstacle_any_more():
    assert told(run(policy(CACHE), None, seen=replace(SEEN, told=Told("act", "Refused", NOW)))) == ("True", "Provisioned")  # fmt: skip


def test_a_wait_is_words_and_with_a_remedy_an_obstacle():
    found = run(policy(CACHE), Wait("for others", "Rotating"))
    assert provisioned_of(found) == ("True", "Provisioned", "every member is Ready: cache; cache: for others")  # fmt: skip

    found = run(policy(CACHE), Wait("for others", "QuorumLost", "bring them back"))
    assert provisioned_of(found) == ("False", "QuorumLost", "cache: for others (bring them back)")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Wait("others are silent", "NotFounded", lacks=True), "others are silent"),
        (Tell("act", "cache-2 is missing", "Growing", lacks=True), "not yet: cache-2 is missing"),
    ],
    ids=["it waits", "it is told"],
)
def test_what_lacks_something_is_not_provided_yet(step: Step, words: str):
    found = run(policy(CACHE), step)

    assert provisioned_of(found) == ("False", "Provisioning", f"cache: {words}")
    assert not found.services[0].ready


@pytest.mark.parametrize(("said", "provided"), [("False", "False"), ("True", "True")])
def test_where_only_servers_can_say_it_what_was_said_stands_until_they_do(said: str, provided: str):
    its = policy(CACHE) | {"status": {"conditions": [{"type": "Provisioned", "status": said}]}}
    there = {"images": IMAGES, "pods": {"cache": PODS}, **settled(its)}
    snapshot = Snapshot(namespace="ns", provided=Provided(**there))

    assert told(provide(wish(its), snapshot, (replace(TOY, asked=True),)))[0] == provided
    assert told(provide(wish(its), snapshot, (TOY,)))[0] == "True"


def test_credentials_change_on_the_version_that_was_seen():
    amend = Amend("a new one", renew=("admin.next",), put={"rotation.begun": "x"}, drop=("key",))
    (write,) = run(policy(CACHE), amend).writes

    meta = write.child["metadata"]
    data = {key: base64.b64decode(text).decode() for key, text in write.child["data"].items()}
    assert (write.act.value, write.does) == ("amend", "a new one")
    assert (meta["name"], meta["uid"], meta["resourceVersion"]) == (f"{NAME}-credentials", f"uid-{NAME}-credentials", "7")  # fmt: skip
    assert set(data) == {"admin", "admin.next", "rotation.begun"}
    assert len(data["admin.next"]) == 32
    assert data["admin.next"] != data["admin"]

    unseen = {k: v for k, v in settled(policy(CACHE))["children"].items() if k[0] != "Secret" or not k[1].endswith("credentials")}  # fmt: skip
    assert acts(run(policy(CACHE), amend, children=unseen)) == [("create", "Secret")]


def test_a_member_is_evicted_by_name():
    (write,) = run(policy(CACHE), Replace(f"{NAME}-1")).writes

    assert (write.act.value, write.child["metadata"]["uid"]) == ("evict", f"uid-{NAME}-1")


# --- fewer members


def test_fewer_members_are_refused_unless_they_are_accepted():
    plain = {"name": "cache", "redis": {"replicas": 5}}
    found = run(policy(CACHE), None, **settled(policy(plain)))

    assert told(found) == ("False", "Shrink")
    assert "unsafe: [Shrink]" in provisioned_of(found)[2]
    assert found.writes == ()


def test_members_stay_until_the_kind_lets_them_go():
    five = settled(policy(FIVE))
    five["children"]["StatefulSet", NAME]["status"] |= {"replicas": 5}
    pods = {"cache": tuple(pod(f"{NAME}-{number}") for number in range(5))}
    tasks: list[Task] = []
    kind = replace(TOY, next_step=tasks.append)
    snapshot = Snapshot(namespace="ns", provided=Provided(**{"images": IMAGES, "pods": pods, "seen": {"cache": SEEN}, **five}))  # fmt: skip

    assert provide(wish(policy(THREE)), snapshot, (kind,)).writes == ()
    assert (tasks[0].order.replicas, tasks[0].replicas) == (5, 3)

    found = run(policy(THREE), Resize(3), pods=pods, **five)
    assert [(w.act.value, w.child["kind"]) for w in found.writes] == [("apply", "StatefulSet")]
    assert found.writes[0].child["spec"]["replicas"] == 3

    going = {"cache": (*pods["cache"][:4], pod(f"{NAME}-4", deletionTimestamp="x"))}
    assert run(policy(THREE), Resize(3), pods=going, **five).writes == ()


def test_members_that_somebody_else_added_are_drift():
    seen = copy.deepcopy(settled(policy(CACHE)))
    seen["children"]["StatefulSet", NAME]["spec"]["replicas"] = 5
    (write,) = run(policy(CACHE), None, **seen).writes

    assert (write.act.value, write.drift) == ("apply", "spec.replicas")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ""),
        ("cache", "cache"),
        ("queue, cache/app@2027-01-15", "cache/app@2027-01-15"),
        ("cach", ""),
        ("cached@1,queue/app", ""),
    ],
)
def test_who_is_to_rotate(asked: str, found: str):
    tasks: list[Task] = []
    kind = replace(TOY, next_step=tasks.append)
    its = policy(CACHE, annotations={naming.ROTATE: asked})
    there = {"images": IMAGES, "pods": {"cache": PODS}, "seen": {"cache": SEEN}, **settled(its)}
    provide(wish(its), Snapshot(namespace="ns", provided=Provided(**there)), (kind,))

    assert tasks[0].rotation == found
