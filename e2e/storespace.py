"""A namespace of a real cluster with at most one policy, which may have data services."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, Final

from operator_fixture import API, Manifest, Operator
from readiness import naming

RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}


class Space:
    """A namespace that opted in, with at most one policy."""

    def __init__(self, operator: Operator, name: str) -> None:
        self.operator, self.name = operator, name
        meta = {"name": name, "labels": RESTRICTED}
        operator.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})

    def kubectl(self, *words: str, text: str | None = None) -> str:
        return self.operator.cluster.run("kubectl", "-n", self.name, *words, text=text)

    def declare(self, *services: Manifest, **spec: Any) -> None:
        """Apply the policy."""
        found = {"profiles": [], "dataServices": list(services)} | spec
        meta = {"name": "shop", "namespace": self.name}
        policy = {"apiVersion": API, "kind": "ReadinessPolicy", "metadata": meta, "spec": found}
        self.kubectl("apply", "-f", "-", text=json.dumps(policy))

    def get(self, kind: str, *words: str) -> Any:
        return json.loads(self.kubectl("get", kind, *words, "-o", "json"))

    def condition(self) -> tuple[str, str]:
        """Status with reason, and message."""
        rows = (self.get("rdy", "shop").get("status") or {}).get("conditions") or ()
        row = next((each for each in rows if each["type"] == "Provisioned"), None)
        return (f"{row['status']}/{row['reason']}", row["message"]) if row else ("", "")

    def until(self, reason: str, seconds: float) -> str:
        """The message, once Provisioned says so."""
        deadline = time.monotonic() + seconds
        while (found := self.condition())[0] != reason:
            assert time.monotonic() < deadline, f"{found}\n{self.kubectl('get', 'pods,pvc,events')}"
            time.sleep(0.5)
        return found[1]

    def pods(self) -> dict[str, tuple[str, int]]:
        """uid and restarts by name."""
        found = self.get("pods", "-l", f"{naming.SERVICE_LABEL}=cache")["items"]
        return {
            pod["metadata"]["name"]: (
                pod["metadata"]["uid"],
                sum(each["restartCount"] for each in pod["status"].get("containerStatuses") or ()),
            )
            for pod in found
        }

    def delete(self) -> None:
        self.operator.cluster.run("kubectl", "delete", "namespace", self.name, "--timeout=120s")


@contextlib.contextmanager
def space(operator: Operator, name: str) -> Iterator[Space]:
    found = Space(operator, name)
    operator.permit_data_services(name)
    try:
        yield found
    finally:
        found.delete()
