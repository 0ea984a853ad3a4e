"""A drill is granted the rights it uses and no other: a server writes down what its two halves ask of it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from readiness.api import read_policy
from readiness.cluster import connect
from readiness.cluster.children import CLAIMS, PLURALS, Children
from readiness.cluster.jobs import Jobs
from readiness.cluster.members import Members
from readiness.cluster.pods import Pods
from readiness.cluster.project import WORKLOADS
from readiness.cluster.provide import Provider
from readiness.cluster.store import Store
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.provision import Act, Provision, Service, Write, provide
from readiness.dataservices.wish import Wish
from readiness.drills.beside import METER, SIGNAL
from readiness.engines.drill.order import carry_out
from readiness.naming import DESIRED_HASH, DRILL, OURS
from readiness.script import Arm, DrillSubject, Script
from readiness.snapshot import Obstacle, Provided, Snapshot

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE, RUN = "shop", "r1"
Right = tuple[str, str, str]
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "it", "uid": "u"},
    "spec": {"containers": [{"name": "app"}], "securityContext": {"runAsUser": 5, "runAsGroup": 5}},
    "status": {
        "containerStatuses": [{"state": {"terminated": {"message": ""}}}],
        "ephemeralContainerStatuses": [
            {"name": METER, "state": {"terminated": {"exitCode": 0}}},
            {"name": f"{SIGNAL}-int", "state": {"terminated": {"exitCode": 0}}},
        ],
    },
}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "it", "namespace": NAMESPACE, "uid": "u", "labels": {DRILL: RUN}},
}
ISOLATION = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "it"}}  # fmt: skip
MADE = (POD, ISOLATION)
VERBS = {"POST": "create", "DELETE": "delete", "PATCH": "patch"}


def right_of(request: web.Request) -> Right:
    """(group, resource, verb), as the API server would ask its authorizer."""
    parts = request.path.strip("/").split("/")
    group, rest = (parts[1], parts[3:]) if parts[0] == "apis" else ("", parts[2:])
    _, namespace, resource, *named = rest
    assert namespace == NAMESPACE
    read = "get" if named else "watch" if "watch" in request.query else "list"
    return group, "/".join((resource, *named[1:])), VERBS.get(request.method, read)


@asynccontextmanager
async def serving(
    answer: Callable[[web.Request], Awaitable[web.Response]], place: Path
) -> AsyncIterator[str]:
    """A kubeconfig of a server that answers everything so."""
    server = web.Application()
    server.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    kubeconfig = place / "config"
    kubeconfig.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }))  # fmt: skip
    yield str(kubeconfig)
    await runner.cleanup()


@pytest.fixture
async def used(tmp_path: Path) -> AsyncIterator[tuple[set[Right], str]]:
    """What has been asked for, and a kubeconfig of the server that is asked."""
    seen: set[Right] = set()

    async def answer(request: web.Request) -> web.Response:
        right = right_of(request)
        seen.add(right)
        if right[1].endswith("/log") or right[2] == "watch":
            return web.Response(text="")
        listed = {"metadata": {"resourceVersion": "1"}, "items": [POD]}
        found = JOB if right[1] == "jobs" else POD
        listed["items"] = [found]
        return web.json_response(listed if right[2] == "list" else found)

    async with serving(answer, tmp_path) as kubeconfig:
        yield seen, kubeconfig


async def until_watched(pods: Pods, seen: set[Right]) -> None:
    async for _ in pods.follow():  # every watch of this server ends at once
        if ("", "pods", "watch") in seen:
            return


async def all_of(calls: Iterable[Awaitable[object]]) -> None:
    for call in calls:
        await call


async def lines(log: AsyncIterator[str]) -> list[str]:
    return [line async for line in log]


def ordered(jobs: Jobs) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "start": lambda: jobs.start(JOB),
        "log": lambda: lines(jobs.log(RUN)),
        "last_word": lambda: jobs.last_word(RUN),
        "delete": lambda: jobs.delete(RUN),
        "sweep": jobs.sweep,
        "left": lambda: jobs.left(RUN),
        "refused": lambda: jobs.refused(RUN),
    }


def carried_out(pods: Pods, seen: set[Right]) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "workload": lambda: all_of(pods.workload(k.api, k.name, "it") for k in WORKLOADS),
        "config": lambda: pods.config("it"),
        "create": lambda: all_of(map(pods.create, MADE)),
        "end": lambda: pods.end(POD),
        "log": lambda: pods.log(POD, "app"),
        "meter": lambda: lines(pods.meter(POD, "app", 1.0)),
        "signal": lambda: pods.signal(POD, "app", "INT", lambda: None),
        "follow": lambda: until_watched(pods, seen),
        "clear": pods.clear,
    }


def child(kind: str, api: str, **annotations: str) -> dict[str, Any]:
    meta = {
        "name": "it",
        "namespace": NAMESPACE,
        "uid": "u",
        "resourceVersion": "1",
        "labels": LABELS,
    }
    return {"apiVersion": api, "kind": kind, "metadata": meta | {"annotations": annotations}}


LABELS = {**OURS, "readiness.dev/policy": "shop", "readiness.dev/data-service": "cache"}
APIS = {"StatefulSet": "apps/v1", "Deployment": "apps/v1", "ServiceMonitor": "monitoring.coreos.com/v1", "PrometheusRule": "monitoring.coreos.com/v1", "CronJob": "batch/v1", "Job": "batch/v1", "NetworkPolicy": "networking.k8s.io/v1", "PodDisruptionBudget": "policy/v1"}  # fmt: skip
LASTING = [kind for kind in PLURALS if kind != "Job"]
POLICY = {
    "metadata": {"name": "shop", "namespace": NAMESPACE, "uid": "u"},
    "spec": {"dataServices": [{"name": "cache", "redis": {"image": "redis:8"}}]},
}


def written() -> Provision:
    """Every kind of child: created where it is new and where it is there, applied, deleted. A Job is only started."""
    writes = [Write(Act.START, "cache", child("Job", APIS["Job"]))]
    for kind in LASTING:
        desired = child(kind, APIS.get(kind, "v1"), **{DESIRED_HASH: "new"})
        live = child(kind, APIS.get(kind, "v1"))
        writes += [
            Write(Act.CREATE, "cache", desired), Write(Act.APPLY, "cache", desired, live),
            Write(Act.DELETE, "cache", live),
        ]  # fmt: skip
    writes.append(Write(Act.EVICT, "cache", child("Pod", "v1")))
    writes.append(Write(Act.GROW, "cache", child("PersistentVolumeClaim", "v1")))
    told = Service("cache", obstacles=(Obstacle("Quota", "full"),), grows=True)
    return Provision((told,), tuple(writes))


def granted(path: str, kind: str, name: str) -> set[Right]:
    found = yaml.safe_load_all((ROOT / "manifests" / path).read_text())
    (role,) = (o for o in found if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def public(of: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(of, inspect.isfunction) if name[0] != "_"}


async def test_the_operator_orders_a_drill_with_what_it_is_granted(used: tuple[set[Right], str]):
    seen, kubeconfig = used
    connection = await connect(kubeconfig, lambda _method, _status: None)
    calls = ordered(Jobs(connection, NAMESPACE))
    await all_of(call() for call in calls.values())
    await connection.close()

    assert calls.keys() == public(Jobs)
    everywhere = granted("base/operator.yaml", "ClusterRole", "readiness-operator")
    for what in ("drill", "failover"):
        path = {"drill": "drills/drills.yaml", "failover": "disruptive/disruptive.yaml"}[what]
        assert seen - everywhere == granted(path, "Role", f"readiness-{what}-operator")


async def test_a_drill_is_carried_out_with_what_it_is_granted(used: tuple[set[Right], str]):
    seen, kubeconfig = used
    connection = await connect(kubeconfig, lambda _method, _status: None)
    calls = carried_out(Pods(connection, NAMESPACE, RUN, "image"), seen)
    await all_of(call() for call in calls.values())
    await connection.close()

    assert calls.keys() == public(Pods)
    assert seen == granted("drills/drills.yaml", "Role", "readiness-drill")


async def test_a_failover_drill_is_carried_out_with_what_it_is_granted(
    used: tuple[set[Right], str],
):
    seen, kubeconfig = used
    connection = await connect(kubeconfig, lambda _method, _status: None)
    members = Members(connection, NAMESPACE)
    calls = {"pod": lambda: members.pod("it"), "evict": lambda: members.evict(POD, 1)}
    await all_of(call() for call in calls.values())
    await connection.close()

    assert calls.keys() == public(Members)
    assert seen == granted("disruptive/disruptive.yaml", "Role", "readiness-failover")


async def test_an_eviction_is_of_one_very_pod_and_a_budget_is_no_failure_of_rights(tmp_path: Path):
    sent: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        sent.append(await request.json())
        words = "Cannot evict pod as it would violate the pod's disruption budget."
        return web.json_response({"message": words}, status=429, headers={"Retry-After": "1"})

    async with serving(answer, tmp_path) as kubeconfig:
        connection = await connect(kubeconfig, lambda _method, _status: None)
        members = Members(connection, NAMESPACE)
        held = [await members.evict(POD, grace) for grace in (None, 1)]
        await connection.close()

    assert [problem and problem.reason for problem in held] == ["Held", "Held"]
    assert sent[0]["deleteOptions"] == {"preconditions": {"uid": "u"}}
    assert sent[-1]["deleteOptions"] == {"preconditions": {"uid": "u"}, "gracePeriodSeconds": 1}


async def test_the_operator_provides_with_what_it_is_granted(tmp_path: Path):
    seen: set[Right] = set()

    async def answer(request: web.Request) -> web.Response:
        right = right_of(request)
        seen.add(right)
        if right[2] == "list":
            return web.json_response({"items": []})
        if right[2] == "create":
            return web.json_response({"message": "it is there"}, status=409)
        kind = next(kind for kind, plural in {**PLURALS, **CLAIMS}.items() if plural == right[1])
        return web.json_response(child(kind, APIS.get(kind, "v1")))

    async with serving(answer, tmp_path) as kubeconfig:
        connection = await connect(kubeconfig, lambda _method, _status: None)
        children, provider = hands(connection)
        await provider.provide(POLICY, written())
        for kind in LASTING:  # a Secret is looked up before it is created
            await provider._create(child(kind, APIS.get(kind, "v1"), **{DESIRED_HASH: "new"}))
        await children.refresh(POLICY)
        await connection.close()

    assert children.case(POLICY).obstacles == {}
    assert seen == granted("provision/provision.yaml", "Role", "readiness-provision")


def hands(connection: Any) -> tuple[Children, Provider]:
    children = Children(connection, Store(), Provided(), lambda: 1e6, lambda _text: None)
    return children, Provider(connection, children, lambda: None, lambda: 1e6, lambda _key: None)


async def refuse(request: web.Request) -> web.Response:
    """Whatever it is, in the API server's words."""
    group, resource, verb = right_of(request)
    name = ".".join(filter(None, (resource, group)))
    words = f'{name} is forbidden: User "u" cannot {verb} resource "{resource}"'
    return web.json_response({"kind": "Status", "message": words}, status=403)


async def test_without_any_right_a_policy_says_what_to_type(tmp_path: Path):
    async with serving(refuse, tmp_path) as kubeconfig:
        connection = await connect(kubeconfig, lambda _method, _status: None)
        children, _ = hands(connection)
        await children.refresh(POLICY)
        await connection.close()

    snapshot = Snapshot(namespace=NAMESPACE, provided=children.view(POLICY))
    found = provide(Wish(POLICY, read_policy(POLICY["spec"]), 1e6, "t"), snapshot, KINDS)
    ((obstacle,),) = [service.obstacles for service in found.services]
    assert (obstacle.reason, found.writes) == ("NotPermitted", ())
    assert "sed 's/your-namespace/shop/' manifests/provision/provision.yaml" in obstacle.fix


@pytest.mark.parametrize("granted", [(), (("batch", "jobs", "create"),)], ids=["no right", "backups' right"])  # fmt: skip
async def test_without_its_rights_a_drill_says_which_one_is_missing_and_starts_nothing(
    granted: tuple[Right, ...], tmp_path: Path
):
    created: list[Right] = []

    async def answer(request: web.Request) -> web.Response:
        if right_of(request) not in granted:
            return await refuse(request)
        created.append(right_of(request))
        return web.json_response(JOB, status=201)

    async with serving(answer, tmp_path) as kubeconfig:
        connection = await connect(kubeconfig, lambda _method, _status: None)
        subject = DrillSubject(NAMESPACE, "api", "apps/v1", "Deployment", "api")
        script = Script(RUN, subject, (Arm("idle", ()),))
        (timeline,) = await carry_out(
            Jobs(connection, NAMESPACE), JOB, script, lambda _arm, _moment: None
        )
        await connection.close()

    assert timeline.problem is not None
    assert timeline.problem.reason == "NotPermitted"
    assert 'cannot list resource "jobs"' in timeline.problem.words
    assert created == []
