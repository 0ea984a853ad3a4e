"""Names of what a data service is made of: no two keys meet, and every one fits."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from readiness import naming

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True)
POLICIES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True)
PARTS = st.sampled_from(["", "sentinel", "members", naming.CREDENTIALS])


@given(POLICIES, NAMES, PARTS)
def test_a_stores_name_fits_everywhere(policy: str, service: str, part: str):
    name = naming.store(policy, service, part)

    assert len(name) <= 52
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert name.endswith(part)


@given(POLICIES, NAMES, PARTS, NAMES, PARTS)
def test_two_stores_never_share_a_name(policy: str, one: str, a: str, other: str, b: str):
    if (one, a) != (other, b):
        assert naming.store(policy, one, a) != naming.store(policy, other, b)


def test_policy_and_service_do_not_run_together():
    assert naming.store("a-b", "c") != naming.store("a", "b-c")
    assert naming.store("shop", "cache").startswith("shop-cache-")
    assert naming.store("shop", "cache", "sentinel") == naming.store("shop", "cache") + "-sentinel"


def test_pods_are_selected_by_part_and_everything_by_service():
    pods = naming.store_labels("shop", "cache", "sentinel")
    selector = naming.store_selector("shop", "cache", "sentinel")

    assert selector.items() <= pods.items()
    assert naming.store_labels("shop", "cache").items() <= pods.items()
    assert naming.store_selector("shop", "cache", "data").items() - pods.items()
