"""The server's configuration: what the operator has to set, and what a policy may add to it.

Keys and values only; where the files are mounted is the pod's affair. RabbitMQ reads its files in
the order of their names and the last one wins, so a managed key of the user's is left out, and said.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from readiness.dataservices.order import Order, Refusal
from readiness.dataservices.parts import Part
from readiness.dataservices.tls import AUTHORITY, CERTIFICATE, KEY, VOLUME, problems_of
from readiness.dataservices.vocabulary import Vocabulary
from readiness.quantities import bytes_of

if TYPE_CHECKING:
    from readiness.api.rabbitmq import RabbitMQ

PLUGINS: Final = ("rabbitmq_management", "rabbitmq_prometheus")
MEMORY: Final = "1Gi"
PORTS: Final = {"amqp": 5672, "management": 15672, "metrics": 15692}
_TLS_PORTS: Final = {"amqp": 5671, "management": 15671, "metrics": 15691}
TLS_FILES: Final = f"/etc/rabbitmq/{VOLUME}"
_KNOWN: Final = Vocabulary("RabbitMQ 4.0 to 4.3", Path(__file__).with_name("settings.txt"))
_FOREVER: Final = 1_000_000_000
_MANAGED_BELOW: Final = (
    "cluster_formation.", "cluster_nodes", "default_pass", "default_permissions", "default_user",
    "default_vhost", "definitions.", "deprecated_features.", "disk_free_limit", "listeners.",
    "load_definitions", "log.", "loopback_users", "management.", "prometheus.",
    "quorum_queue.continuous_membership_reconciliation.", "total_memory_available_override_value",
    "vm_memory_high_watermark",
)  # fmt: skip


def spec_of(order: Order) -> RabbitMQ:
    """What the policy says about this RabbitMQ."""
    if order.service.rabbitmq is None:
        raise TypeError(f"data service {order.service.name} is no RabbitMQ")
    return order.service.rabbitmq


def memory_of(order: Order) -> str:
    """What a member may use; it is reserved whole, because a broker that is evicted is an outage."""
    return spec_of(order).resources.limits.memory or MEMORY


def disk_floor(order: Order) -> int:
    """Free space below which publishers are stopped: a message store may be as large as memory."""
    return max(2 * 10**9, bytes_of(memory_of(order)))


def part_of(order: Order) -> Part:
    """The members, as clients see them."""
    name = order.name()
    return Part(
        order, "server", name, order.name("nodes"), spec_of(order).replicas, ports_of(order)
    )


def ports_of(order: Order) -> dict[str, int]:
    """By what is spoken there; with TLS there are no others."""
    return _TLS_PORTS if spec_of(order).tls else PORTS


def node_name(host: str) -> str:
    """How Erlang calls the member on a host."""
    return f"rabbit@{host}"


def operator_conf(order: Order) -> str:
    """10-operator.conf."""
    limit = bytes_of(memory_of(order))
    given = {
        "cluster_name": order.name(),
        **_formation(order),
        "cluster_partition_handling": "pause_minority",
        # a member that is back before it was missed has not paused, and the cluster stays split
        "net_ticktime": 15,
        "default_queue_type": "quorum",
        "queue_leader_locator": "balanced",
        # what the runtime needs besides what RabbitMQ counts
        "total_memory_available_override_value": limit - min(limit // 5, 2 * 2**30),
        "vm_memory_high_watermark.relative": "0.6",
        "disk_free_limit.absolute": disk_floor(order),
        **_listeners(order),
        "auth_mechanisms.1": "PLAIN",
        "loopback_users": "none",  # there is no guest
        "definitions.import_backend": "local_filesystem",
        "definitions.local.path": "/etc/rabbitmq/definitions/definitions.json",
        "log.console": "true",
        "log.file": "false",
        "collect_statistics_interval": 10000,
    }
    return _lines(given)


def _listeners(order: Order) -> dict[str, object]:
    """Who calls says so with a password, so nobody is asked for a certificate."""
    ports = ports_of(order)
    if not spec_of(order).tls:
        return {
            "listeners.tcp.default": ports["amqp"],
            "management.tcp.port": ports["management"],
            "prometheus.tcp.port": ports["metrics"],
        }
    files = {
        f"{listener}.{key}": f"{TLS_FILES}/{file}"
        for listener in ("ssl_options", "management.ssl", "prometheus.ssl")
        for key, file in (("cacertfile", AUTHORITY), ("certfile", CERTIFICATE), ("keyfile", KEY))
    }
    return {
        "listeners.tcp": "none",
        "listeners.ssl.default": ports["amqp"],
        "management.ssl.port": ports["management"],
        "prometheus.ssl.port": ports["metrics"],
        "prometheus.tcp.listener": "none",
        **files,
        "ssl_options.verify": "verify_none",
        "ssl_options.fail_if_no_peer_cert": "false",
    }


def _formation(order: Order) -> dict[str, object]:
    """Members find each other by names that are known beforehand, so no token for an API is needed.

    Without an end to discovery: a member that gave up would found a cluster of its own.
    """
    group = "quorum_queue.continuous_membership_reconciliation"
    replicas = spec_of(order).replicas
    nodes = {
        f"cluster_formation.classic_config.nodes.{i}": node_name(host)
        for i, host in enumerate(part_of(order).hosts, 1)
    }
    return {
        "cluster_formation.peer_discovery_backend": "classic_config",
        **nodes,
        "cluster_formation.target_cluster_size_hint": replicas,
        "cluster_formation.discovery_retry_limit": _FOREVER,
        "cluster_formation.discovery_retry_interval": 1000,
        f"{group}.enabled": "true",
        f"{group}.target_group_size": min(replicas, 3),
        f"{group}.auto_remove": "false",
        f"{group}.interval": 300_000,
    }


def user_conf(order: Order) -> str:
    """90-user.conf: without what is refused."""
    managed = managed_keys(order)
    settings = spec_of(order).config
    return _lines({each.name: each.value for each in settings if each.name not in managed})


def managed_keys(order: Order) -> tuple[str, ...]:
    """Settings of the policy that the operator has to make itself."""
    ours = {line.partition(" = ")[0] for line in operator_conf(order).splitlines()}
    names = (each.name for each in spec_of(order).config)
    return tuple(name for name in names if name in ours or name.startswith(_MANAGED_BELOW))


def problems(order: Order) -> tuple[Refusal, ...]:
    """What is asked and would not be a highly available RabbitMQ."""
    part = part_of(order)
    tls = problems_of(order, spec_of(order).tls, (part,), (order.host(part.name),), mutual=True)
    return (*_votes(order), *_amounts(order), *_settings(order), *tls)


def _votes(order: Order) -> list[Refusal]:
    replicas = spec_of(order).replicas
    where = f"{order.service.name}: {replicas} members"
    if replicas < 3:
        return [Refusal("FewerThanThree", f"{where} do not survive the loss of one", "set rabbitmq.replicas to 3")]  # fmt: skip
    if replicas % 2 == 0:
        return [Refusal("EvenMembers", f"{where} survive no more losses than {replicas - 1} do", f"set rabbitmq.replicas to {replicas - 1} or {replicas + 1}")]  # fmt: skip
    return []


def _amounts(order: Order) -> list[Refusal]:
    spec, found = spec_of(order), []
    floor = disk_floor(order)
    if bytes_of(spec.storage) < 2 * floor:
        least = -(-2 * floor // 2**30)
        found.append(Refusal(
            "StorageTooSmall",
            f"{order.service.name}: a volume of {spec.storage}, of which {floor} bytes must stay free for {memory_of(order)} of memory, leaves less than it keeps",
            f"set rabbitmq.storage to at least {least}Gi",
        ))  # fmt: skip
    asked = spec.resources.requests.memory
    if asked and bytes_of(asked) != bytes_of(memory_of(order)):
        found.append(Refusal(
            "MemoryNotReserved",
            f"{order.service.name}: {asked} of memory requested and {memory_of(order)} allowed: a broker that uses what it may is evicted first",
            "leave rabbitmq.resources.requests.memory out, or set it to the limit",
        ))  # fmt: skip
    return found


def _settings(order: Order) -> list[Refusal]:
    managed = managed_keys(order)
    others = (each.name for each in spec_of(order).config if each.name not in managed)
    unknown = [*_KNOWN.unknown(order.service.name, others)]
    if not managed:
        return unknown
    names = ", ".join(managed)
    return [*unknown, Refusal("ManagedSetting", f"{order.service.name}: the operator sets {names} itself", f"remove {names} from rabbitmq.config")]  # fmt: skip


def _lines(given: dict[str, object] | dict[str, str]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in given.items())
