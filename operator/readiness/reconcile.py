"""One pass over one policy: read, look, ask, decide, act. The five statements, and no rules.

Whatever woke it (an event, the clock, a finished probe), the pass is the same: level, not edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from secrets import token_hex

from readiness import plan
from readiness.cluster import Cluster
from readiness.engines import Engines
from readiness.evidence import Memory
from readiness.incidents import Incidents
from readiness.model import Manifest
from readiness.recall import needs_recall, recalled
from readiness.rules import Rules
from readiness.snapshot import Snapshot

Key = tuple[str, str]


@dataclass(slots=True)
class Reconciler:
    """What passes share. `memories` holds the evidence of each policy in the living operator."""

    rules: Rules
    cluster: Cluster
    engines: Engines
    clock: Callable[[], float]
    incidents: Callable[[], Incidents]
    token: Callable[[], str] = token_hex
    memories: dict[Key, Memory] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> plan.Plan | None:
        """One pass; None when the policy is gone. Raises what the API server refuses."""
        policy = self.cluster.policy(key)
        if policy is None or policy["metadata"].get("deletionTimestamp"):
            self.forget(key)
            return None
        memory = self.memories.get(key)
        if memory is None:
            reports = await self.cluster.recall(policy) if needs_recall(policy) else []
            memory = recalled(reports, self.rules, self.clock())
        for target, seen in self.engines.passages(key):
            self.cluster.note(policy, target, seen)
        await self.cluster.refresh(policy)
        snapshot = self._snapshot(key, policy)
        situation = plan.Situation(policy, snapshot, memory, self.clock(), token=self.token())
        uid = policy["metadata"]["uid"]
        answers = await self.engines.run(key, plan.requests(self.rules, situation), uid)
        decided = plan.make(self.rules, situation, answers)
        self.memories[key] = decided.memory
        self.engines.follow(key, decided.streams)
        self.engines.watch(key, decided.provision.looks)
        await self.cluster.execute(policy, decided)
        if commands := decided.provision.commands:
            self.cluster.ask()
            self.engines.order(key, commands)
        return decided

    def _snapshot(self, key: Key, policy: Manifest) -> Snapshot:
        """What the watches tell, with what was told in the background."""
        found = self.cluster.snapshot(policy)
        drilled, seen = self.engines.disturbing(key), self.engines.seen(key)
        told = {name: replace(s, busy=s.busy or name in drilled) for name, s in seen.items()}
        provided = replace(found.provided, seen=told)
        left = self.engines.leftover(key)
        return replace(
            found, incidents=self.incidents(), provided=provided, drilled=drilled, leftover=left
        )

    def forget(self, key: Key) -> None:
        """Drops what is remembered and under way for a policy that is gone."""
        self.memories.pop(key, None)
        self.cluster.forget(key)
        self.engines.forget(key)
