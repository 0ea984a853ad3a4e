"""What a refusal by the API server means for a drill, in words that servers have used."""

from __future__ import annotations

import pytest

from readiness.cluster.connection import ApiError
from readiness.cluster.pods import problem_of

OPERATOR = 'User "system:serviceaccount:readiness-system:readiness-operator"'
ROWS = [
    (403, f'jobs.batch is forbidden: {OPERATOR} cannot create resource "jobs" in API group "batch" in the namespace "shop"', "NotPermitted"),
    (403, 'pods "clone" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10', "Quota"),
    (403, 'pods "clone" is forbidden: violates PodSecurity "restricted:latest": volumes that the pod cannot have', "Denied"),
    (403, 'admission webhook "kyverno" denied the request: it cannot run here', "Denied"),
    (422, 'Pod "clone" is invalid: spec.containers[0].image: Required value', "Denied"),
    (404, 'deployments.apps "api" not found', "NotFound"),
    (0, "POST /api/v1: connection refused", "Aborted"),
    (500, "etcdserver: request timed out", "Aborted"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "words", "reason"), ROWS)
def test_refusal(status: int, words: str, reason: str):
    problem = problem_of(ApiError(status, words))

    assert (problem.reason, problem.words) == (reason, words)
    assert ("s/your-namespace/shop/" in problem.fix) == (reason == "NotPermitted")
