"""Whether an object is as desired: everything desired is there, whatever else the server added.

Pure. Quantities are equal when they are the same number. In lists that the API server merges by a
key an entry of somebody else's is left alone, as apply would leave it; other lists are compared
whole. What is empty and what is missing are the same, because the server drops the one or the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from readiness.quantities import number_of

if TYPE_CHECKING:
    from fractions import Fraction

_KEYS: Final[Mapping[str, str]] = {
    "containers": "name", "initContainers": "name", "env": "name", "volumes": "name",
    "volumeMounts": "mountPath", "imagePullSecrets": "name", "ownerReferences": "uid",
    "topologySpreadConstraints": "topologyKey",
}  # fmt: skip


def difference(desired: Any, live: Any, at: str = "") -> str:
    """The path of the first thing desired that is not there; empty when everything is."""
    match desired:
        case dict():
            return _of_mapping(desired, live, at)
        case list() | tuple():
            return _of_list(list(desired), live, at)
        case _:
            return "" if _equal(desired, live) else at


def _of_mapping(desired: Mapping[str, Any], live: Any, at: str) -> str:
    if not isinstance(live, dict):
        return "" if not desired and live is None else at
    found = (
        difference(value, live.get(key), f"{at}.{key}".lstrip("."))
        for key, value in desired.items()
    )
    return next(filter(None, found), "")


def _of_list(desired: list[Any], live: Any, at: str) -> str:
    if not isinstance(live, list):
        return "" if not desired and live is None else at
    if key := _key_of(at.rpartition(".")[2], desired):
        rows = {item.get(key): item for item in live if isinstance(item, dict)}
        found = (difference(i, rows.get(i[key]), f"{at}[{i[key]}]") for i in desired)
        return next(filter(None, found), "")
    if len(desired) != len(live):
        return at
    pairs = enumerate(zip(desired, live, strict=True))
    return next(filter(None, (difference(d, v, f"{at}[{n}]") for n, (d, v) in pairs)), "")


def _key_of(field: str, items: list[Any]) -> str:
    """What the API server merges this list by; empty for one that is replaced whole."""
    first = items[0] if items and isinstance(items[0], dict) else {}
    if (
        field == "ports"
    ):  # of containers and of Services; those of a NetworkPolicy are replaced whole
        return "containerPort" if "containerPort" in first else "port" if "name" in first else ""
    return _KEYS.get(field, "")


def _equal(desired: Any, live: Any) -> bool:
    if desired == live:
        return type(desired) is type(live)
    if desired in ("", None) and live in ("", None):
        return True
    one, other = _quantity(desired), _quantity(live)
    return one is not None and one == other


def _quantity(value: Any) -> Fraction | None:
    try:
        return number_of(value) if isinstance(value, str) else None
    except ValueError:
        return None
