"""An operator's hands on a real API server: one namespace, one policy, and a memory that can be lost."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from apiserver import ApiServer
from toykind import TOY, Object, wish

from readiness import naming
from readiness.cluster import connect
from readiness.cluster.children import PLURALS, Children
from readiness.cluster.project import KINDS
from readiness.cluster.provide import Provider
from readiness.cluster.store import Store
from readiness.dataservices.children import KINDS as CHILDREN
from readiness.dataservices.provision import Provision, provide
from readiness.dataservices.telling import provisioned_of
from readiness.snapshot import Provided, Snapshot

CACHE: Object = {"name": "cache", "redis": {"config": [{"name": "a", "value": "1"}]}}
NAME = naming.store("shop", "cache")
_numbers = itertools.count(1)
READ = [kind for kind in KINDS if kind.name in (*CHILDREN, "Pod") and not kind.optional]


class KilledError(BaseException):
    """The operator dies here."""


class Counting:
    """A connection that notes writes, and dies before or after one of them."""

    def __init__(self, real: Any) -> None:
        self.real, self.writes, self.dies_before, self.dies_after = real, [], 0, 0

    async def request(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        if method == "GET":
            return await self.real.request(method, path, *args, **kwargs)
        self.writes.append(f"{method} {path.rpartition('/namespaces/')[2].partition('/')[2]}")
        if len(self.writes) == self.dies_before:
            raise KilledError
        try:
            return await self.real.request(method, path, *args, **kwargs)
        finally:  # also after a conflict: controllers write at the same time
            if len(self.writes) == self.dies_after:
                raise KilledError

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        return self.real.stream(*args, **kwargs)


class Bench:
    """One namespace with one policy, and an operator's memory that can be lost."""

    def __init__(self, server: ApiServer, connection: Any, namespace: str) -> None:
        self.server, self.namespace = server, namespace
        self.connection, self.now = Counting(connection), 1_000_000.0
        self.images = {"redis": "redis:7"}
        self.be_born()

    def be_born(self) -> None:
        """A new life: nothing is remembered."""
        frame, self.store, self.woken = Provided(images=self.images), Store(), []
        self.learnt: list[str] = []
        self.children = Children(
            self.connection, self.store, frame, lambda: self.now, self.learnt.append
        )
        self.provider = Provider(
            self.connection, self.children, lambda: None, lambda: self.now, self.woken.append
        )
        self.connection.writes.clear()
        self.connection.dies_before = self.connection.dies_after = 0

    def policy(self, *services: Object, uid: str = "u-1", confirm: str = "", **spec: Any) -> Object:
        annotations = {naming.CONFIRM_REMOVAL: confirm} if confirm else {}
        meta = {"name": "shop", "namespace": self.namespace, "uid": uid, "annotations": annotations}
        return {"metadata": meta, "spec": {"dataServices": list(services), **spec}}

    async def watch(self) -> None:
        """What the watches would have told by now."""
        for kind in READ:
            found = await self.connection.request("GET", kind.path(self.namespace))
            kept = filter(None, map(kind.project, found["items"]))
            self.children.changed(self.store.replace(kind.name, self.namespace, kept))

    async def pass_(
        self, policy: Object, *, blind: bool = False
    ) -> tuple[Provision, tuple[Any, ...]]:
        """One pass; a blind one comes before any event of the watches."""
        if not blind:
            await self.watch()
        self.connection.writes.clear()
        self.now += 1
        await self.children.refresh(policy)
        snapshot = Snapshot(namespace=self.namespace, provided=self.children.view(policy))
        decided = provide(wish(policy, self.now, f"token {self.now}"), snapshot, (TOY,))
        return decided, await self.provider.provide(policy, decided)

    @property
    def writes(self) -> list[str]:
        return self.connection.writes

    def path(self, kind: str, name: str = NAME) -> str:
        api = {"StatefulSet": "/apis/apps/v1", "NetworkPolicy": "/apis/networking.k8s.io/v1", "PodDisruptionBudget": "/apis/policy/v1"}  # fmt: skip
        root = api.get(kind, "/api/v1")
        return f"{root}/namespaces/{self.namespace}/{PLURALS[kind]}/{name}"

    def get(self, kind: str, name: str = NAME) -> Any:
        return self.server.request("GET", self.path(kind, name))

    def merge(self, kind: str, body: Object, name: str = NAME) -> None:
        answer = self.server.http.patch(self.path(kind, name), json=body, headers={"Content-Type": "application/merge-patch+json"})  # fmt: skip
        assert answer.is_success, answer.text

    async def told(self, policy: Object) -> str:
        return provisioned_of((await self.pass_(policy))[0])[1]

    def everything(self) -> dict[str, Any]:
        """Every child as it stands, without what moves by itself."""
        found = {}
        for kind, name in PLACES:
            child = self.get(kind, name)
            assert child.get("code") != 404, f"{kind}/{name} is missing"
            meta = child["metadata"]
            managed = {(e["manager"], e["operation"]) for e in meta.get("managedFields") or () if "subresource" not in e and "f:spec" in e.get("fieldsV1", {})}  # fmt: skip
            data = {} if kind == "Secret" else child.get("data", {})
            found[f"{kind}/{name}"] = (meta["labels"], meta.get("annotations", {}).keys(), meta.get("ownerReferences"), child.get("spec"), data, managed)  # fmt: skip
        return found


PLACES = [
    ("Secret", f"{NAME}-credentials"), ("ServiceAccount", NAME), ("Secret", f"{NAME}-access"),
    ("ConfigMap", f"{NAME}-config"), ("Service", NAME), ("NetworkPolicy", NAME),
    ("PodDisruptionBudget", NAME), ("StatefulSet", NAME),
]  # fmt: skip


@pytest.fixture
async def bench(api_server: ApiServer) -> AsyncIterator[Bench]:
    namespace = f"stores-{next(_numbers)}"
    api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    connection = await connect(str(api_server.kubeconfig), lambda _method, _status: None)
    yield Bench(api_server, connection, namespace)
    await connection.close()
    api_server.request("DELETE", f"/api/v1/namespaces/{namespace}")


async def provided(bench: Bench, policy: Object | None = None) -> Object:
    policy = policy or bench.policy(CACHE)
    await bench.pass_(policy)
    return policy
