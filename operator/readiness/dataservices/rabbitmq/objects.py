"""Everything of a RabbitMQ but its StatefulSet: Services, Secrets, configuration, budget, network.

Built whole, shaped like the YAML. Owners and common labels are added by whoever applies them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from readiness.dataservices.exporter import METRICS, scrapers_of
from readiness.dataservices.order import Order
from readiness.dataservices.parts import (
    build_account,
    build_budget,
    build_config,
    build_formed,
    build_headless,
    build_secret,
    build_service,
    build_ways,
    opening,
)
from readiness.dataservices.rabbitmq.conf import (
    PLUGINS,
    operator_conf,
    part_of,
    ports_of,
    spec_of,
    user_conf,
)
from readiness.dataservices.rabbitmq.users import COOKIE, binding, definitions
from readiness.model import Manifest
from readiness.naming import BACKUP, DRILL_RUNNER, PART_LABEL, RESTORE

CLUSTER_PORTS: Final = {"epmd": 4369, "distribution": 25672}
DISTRIBUTION: Final = "distribution.config"
"""How members, and RabbitMQ's own programs, speak TLS to each other."""
_SCRIPTS: Final = ("prepare.sh", "start.sh", "stop.sh", "alive.sh")


def build_objects(order: Order) -> tuple[Manifest, ...]:
    """In the order in which they are created."""
    part, known = part_of(order), order.credentials
    conf = {"10-operator.conf": operator_conf(order), "90-user.conf": user_conf(order)}
    scripts = (*_SCRIPTS, *([DISTRIBUTION] if spec_of(order).tls else ()))
    cookie = build_secret(order.name("cookie"), {COOKIE: known[COOKIE]})
    return (
        build_account(order),
        {**cookie, "immutable": True},
        build_secret(order.name("definitions"), {"definitions.json": definitions(known)}),
        build_secret(order.name(), binding(order), "servicebinding.io/rabbitmq"),
        build_config(order.name("plugins"), {"enabled_plugins": f"[{','.join(PLUGINS)}].\n"}),
        build_config(order.name("conf"), conf),
        build_config(order.name("scripts"), {name: _script(name) for name in scripts}),
        *([build_formed(order)] if order.formed else ()),
        build_headless(replace(part, ports=CLUSTER_PORTS)),
        build_service(part, order.name()),
        build_budget(part),
        _wall(order),
    )


def _script(name: str) -> str:
    return Path(__file__).with_name("scripts").joinpath(name).read_text(encoding="utf-8")


def _wall(order: Order) -> Manifest:
    """Members among themselves, clients of the namespace, looks of the operator, its drills, backups and restores, and who reads metrics."""
    members = {"podSelector": {"matchLabels": part_of(order).selector}}
    jobs = {"key": PART_LABEL, "operator": "In", "values": [BACKUP, RESTORE]}
    backup = {"podSelector": {"matchLabels": order.selector(), "matchExpressions": [jobs]}}
    home = {"kubernetes.io/metadata.name": order.operator_namespace}
    operator = {"namespaceSelector": {"matchLabels": home}}
    drill = {"podSelector": {"matchExpressions": [{"key": DRILL_RUNNER, "operator": "Exists"}]}}
    ports = ports_of(order)
    command_line = {**opening(35672), "endPort": 35682}
    cluster = [*map(opening, CLUSTER_PORTS.values()), command_line]
    to = (
        {"from": [members], "ports": cluster},
        {"from": [{"podSelector": {}}], "ports": [opening(ports["amqp"])]},
        {"from": [operator, drill, backup], "ports": [opening(ports["management"])]},
        {**scrapers_of(order), "ports": [opening(ports[METRICS])]},
    )
    return build_ways(order.name(), members["podSelector"], to)
