"""Specimens on loopback, and one look at each with the operator's own engines and controls."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import trustme

import matrix
from readiness import judgement, rules
from readiness.api.policy import PolicySpec
from readiness.control import Subject
from readiness.engines import Clock, Dialer, Egress, Engines, Guard, Limits, build_trust
from readiness.model import Verdict
from readiness.request import Trial
from readiness.snapshot import Snapshot
from readiness.subjects import declares
from readiness.subjects import subject_of as view_of
from readiness.weigh import settings_of

ADDRESS, OTHER, EDGE, SPACE = "127.0.0.1", "127.0.0.2", "shop.example.test", "matrix"
FAST = Limits(
    target_rate=10_000,
    target_burst=1000,
    address_rate=1e6,
    address_burst=1000,
    cluster_rate=1e6,
    cluster_burst=1000,
    in_flight=16,
)
RULES = rules.load()


@dataclass(frozen=True)
class Place:
    """Where one specimen listens: inside the cluster, and at its edge."""

    port: int
    tls_port: int
    started: str


@dataclass(frozen=True)
class Authority:
    """Certificates for the edge, and what trusts them."""

    server: ssl.SSLContext
    certificate: Path
    key: Path
    trusted: Path


def authority(directory: Path) -> Authority:
    ca = trustme.CA()
    leaf = ca.issue_cert(EDGE)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    paths = [directory / name for name in ("tls.crt", "tls.key", "ca.crt")]
    for path, blob in zip(
        paths, (leaf.cert_chain_pems[0], leaf.private_key_pem, ca.cert_pem), strict=True
    ):
        path.write_bytes(blob.bytes())
    return Authority(context, *paths)


def subject_of(
    name: str, place: Place, declares: Mapping[str, Any], addresses: Sequence[str] = (ADDRESS,)
) -> Subject:
    """The specimen as one ready pod per address behind a Service and an edge, all on loopback."""
    target = matrix.target(name, f"https://{EDGE}:{place.tls_port}", declares)
    policy = PolicySpec.model_validate({"profiles": ["web"], "targets": [target]})
    ports = [{"name": "http", "containerPort": place.port}]
    template = {"spec": {"containers": [{"name": "app", "image": "specimen:1", "ports": ports}]}}
    pods = {f"{name}-{n}": address for n, address in enumerate(addresses)}
    status = {"startTime": place.started, "conditions": [{"type": "Ready", "status": "True"}]}
    service = {
        "metadata": {"name": name},
        "spec": {"clusterIP": ADDRESS, "ports": [{"name": "http", "port": place.port}]},
    }
    snapshot = Snapshot(
        namespace=SPACE,
        workloads={
            name: {"kind": "Deployment", "metadata": {"name": name}, "spec": {"template": template}}
        },
        pods={
            name: tuple(
                {
                    "metadata": {"name": pod, "labels": {}},
                    "spec": template["spec"],
                    "status": {**status, "podIP": address},
                }
                for pod, address in pods.items()
            )
        },
        services={name: service},
        slices={name: ({"endpoints": [{"addresses": list(addresses)}]},)},
        pod_addresses={address: pod for pod, address in pods.items()},
        egress=(EDGE,),
    )
    return view_of(policy, policy.targets[0], snapshot, 0.0)


async def _loopback(host: str, port: int) -> Sequence[str]:
    return (ADDRESS,)


async def look(
    subjects: Mapping[str, Subject], trusted: Path
) -> AsyncIterator[tuple[str, dict[str, Verdict]]]:
    """One look at each with every HTTP control, all side by side: (name, verdict by control)."""
    egress = Egress(allow=(EDGE, f"{ADDRESS}/32", f"{OTHER}/32"))
    engines = Engines(
        Dialer(Guard(egress, _loopback), build_trust(str(trusted)), clock=Clock()),
        lambda key: None,
        limits=FAST,
    )
    try:
        asked = {name: _asked(subject) for name, subject in subjects.items()}
        for name, parts in asked.items():
            trials = [
                Trial(id_, name, RULES.controls[id_].ask(part)) for id_, part in parts.items()
            ]
            await engines.run((SPACE, name), trials)
        for name, parts in asked.items():
            answers = await engines.finish((SPACE, name))
            yield (
                name,
                {
                    id_: judgement.judge_safely(
                        RULES.controls[id_], part, answers[id_, name].answers
                    )
                    for id_, part in parts.items()
                },
            )
    finally:
        await engines.close()


def _asked(subject: Subject) -> dict[str, Subject]:
    settings = settings_of(RULES, subject.policy, subject.snapshot)
    found = {}
    for id_ in matrix.HTTP_CONTROLS:
        undeclared = [n for n in RULES.controls[id_].needs if not declares(subject, n)]
        assert not undeclared, f"{id_}: the specimen's policy declares no {undeclared}"
        found[id_] = replace(subject, params=settings[id_].params)
    return found
