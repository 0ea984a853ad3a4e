"""Names of stores, and who may be logged in as: what leads into the namespace, and what is consented to."""

from __future__ import annotations

import pytest

from readiness.dataservices.kinds import KINDS
from readiness.dataservices.mongodb import MONGODB
from readiness.inspection import StoreRequest, Way, parts_of
from readiness.naming import store_labels
from readiness.stores import _OURS, is_consented

WAY = Way("shop", {"cache-0": "10.0.0.1", "lone": "10.0.0.9"})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("lone", "10.0.0.9"),
        ("cache.shop", ""),
        ("cache.shop.svc", ""),
        ("cache-0", "10.0.0.1"),
        ("cache-0.members", "10.0.0.1"),
        ("cache-0.members.shop.svc", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.1.0.1", ""),
        ("10.0.0.2", ""),
        ("cache.other.svc", ""),
        ("cache-0.members.other.svc", ""),
        ("cache.shop.svc.evil.com", ""),
        ("cache.example.com", ""),
        ("other", ""),
    ],
)
def test_a_host_leads_into_the_namespace_or_nowhere(host, address):
    assert WAY.address(host) == address


def test_parts():
    assert parts_of("a.b.shop.svc", "shop") == ("a", "b")
    assert parts_of("a.b.c.d", "shop") == ("", "")


ASKED = StoreRequest("cache", "redis", WAY)
OWN = StoreRequest("cache", "redis", WAY, own=True)


@pytest.mark.parametrize(
    ("labels", "asked", "consented"),
    [
        ({}, ASKED, False),
        ({"readiness.dev/probe": "allowed"}, ASKED, True),
        ({"readiness.dev/probe": "denied"}, ASKED, False),
        (store_labels("shop", "cache"), OWN, True),
        (store_labels("shop", "cache"), ASKED, False),
        (store_labels("shop", "orders"), OWN, False),
        ({"readiness.dev/data-service": "cache"}, OWN, False),
    ],
)
def test_consent(labels, asked, consented):
    assert is_consented({"metadata": {"name": "s", "labels": labels}}, asked) is consented


def test_the_login_of_each_kind_is_one_of_its_credentials():
    for kind in (*KINDS, MONGODB):
        assert _OURS[kind.name][1] in {credential.key for credential in kind.credentials}
