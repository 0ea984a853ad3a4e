"""Kubernetes' label selectors, as a pure function."""

from collections.abc import Mapping

from localcluster.api import Manifest


def matches(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether the labels satisfy every requirement; an empty selector selects everything."""
    wanted = (selector.get("matchLabels") or {}).items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        _holds(requirement, labels) for requirement in selector.get("matchExpressions") or []
    )


def _holds(requirement: Manifest, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement["key"]), requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case operator:
            raise ValueError(f"unknown selector operator {operator!r}")
