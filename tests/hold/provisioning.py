"""A namespace that opted in to data services, and what its policy says of them."""

from __future__ import annotations

import yaml
from holdrig import ROOT


def grant(space, seat) -> None:
    """What the chart adds for a namespace with data services."""
    text = (ROOT / "manifests/provision/provision.yaml").read_text()
    found = [
        each for each in yaml.safe_load_all(text.replace("your-namespace", space.name)) if each
    ]
    for each in found:
        for subject in each.get("subjects", ()):
            subject["namespace"] = seat.name
    space.api.running.apply(*found)


def provisioned(space) -> str:
    return space.condition("Provisioned")


def message(space, type_: str = "Provisioned") -> str:
    rows = space.status().get("conditions") or ()
    return next((row["message"] for row in rows if row["type"] == type_), "")


def stateful_sets(space) -> list[str]:
    found = space.api.request("GET", space.path("statefulsets", group="/apis/apps/v1"))
    return [each["metadata"]["name"] for each in found["items"]]
