"""Settings that a server does not know are refused beforehand, and none that it knows."""

from __future__ import annotations

from typing import Any

import pytest
from test_tls import BY_NAME, ordered

import readiness.dataservices.rabbitmq.conf as rabbitmq
import readiness.dataservices.redis.settings as redis
from readiness.dataservices.vocabulary import Vocabulary
from readiness.dataservices.wish import refusals_of

KNOWN = {"redis": redis._KNOWN, "rabbitmq": rabbitmq._KNOWN}
TABLE: list[tuple[str, str, bool]] = [
    ("redis", "maxmemory-policy", True),
    ("redis", "slave-lazy-flush", True),
    ("redis", "hash-max-ziplist-entries", True),
    ("redis", "search-threads", True),
    ("redis", "no-such-setting", False),
    ("redis", "maxmemory_policy", False),
    ("rabbitmq", "channel_max", True),
    ("rabbitmq", "consumer_timeout", True),
    ("rabbitmq", "ssl_options.versions.1", True),
    ("rabbitmq", "default_policies.operator.one.queues.max_length", False),
    ("rabbitmq", "mqtt.vhost", True),
    ("rabbitmq", "ssl_options.versions", False),
    ("rabbitmq", "ssl_options.versions.1.2", False),
    ("rabbitmq", "channel_maximum", False),
]


@pytest.mark.parametrize(("kind", "name", "known"), TABLE)
def test_a_setting_is_known_or_not(kind: str, name: str, known: bool):
    assert KNOWN[kind].knows(name) is known


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [("redis", "Maxmemory-polici", "maxmemory-policy"), ("rabbitmq", "chanel_max", "channel_max")],
)  # fmt: skip
def test_one_that_nobody_knows_is_refused_by_name_and_may_be_wanted(kind: str, name: str, near: str):  # fmt: skip
    def refused(**more: Any) -> list[tuple[str, str, str]]:
        order = ordered(kind, tls=None, config=[{"name": name, "value": "1"}], **more)
        return [(r.reason, r.message, r.fix) for r in refusals_of(BY_NAME[kind], order, ())]

    ((reason, message, fix),) = refused()
    assert reason == "UnknownSetting"
    assert f"config[{name if kind == 'rabbitmq' else name.lower()}]" in message
    assert fix.startswith(f"is {near} meant?")
    assert refused(unsafe=["UnknownSetting"]) == []


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
def test_a_list_is_in_order_and_says_nothing_twice(known: Vocabulary):
    lines = known.file.read_text().split()
    assert sorted(set(lines)) == sorted(lines)
