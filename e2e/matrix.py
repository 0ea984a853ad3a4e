"""The matrix control × defect as values: what the specimen's policy declares, and what each defect must lead to.

One table for the run on loopback (tests/apps), the run on real pods (test_matrix.py) and the page docs/matrix.md. It knows
manifests and starts nothing.
"""

import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "apps")] if str(HERE / "apps") not in sys.path else []

from specimen.defects import DEFECTS, Defect  # noqa: E402 (the path must be set first)

Manifest = dict[str, Any]
__all__ = ["DEFECTS", "HTTP_CONTROLS", "Defect", "Manifest", "expected", "merged", "slug", "target"]

HTTP_CONTROLS: Final = (
    "HLT-001", "HLT-002", "HLT-003", "HDR-001", "HDR-002", "HDR-003", "HDR-004", "HDR-005", "COR-001", "COR-003",
    "AUT-001", "CFG-009", "OBS-001", "OBS-012",
)  # fmt: skip
DECLARED: Final[Manifest] = {
    "health": {
        "path": "/health",
        "deepPath": "/health?deep=true",
        "components": ["orders", "cache"],
    },
    "http": {
        "protected": ["/api/orders"],
        "public": ["/", "/page", "/api/catalog"],
        "sensitive": ["/login", "/api/session"],
    },
    "cors": {"allowedOrigins": ["https://shop.example.com"], "path": "/api/catalog"},
    "cookies": {"session": "sid"},
    "headers": {
        "required": [{"name": "Cross-Origin-Opener-Policy", "pattern": "same-origin"}],
        "forbidden": ["X-Debug"],
    },
    "metrics": {"path": "/metrics", "maxSeries": 300},
}


def slug(text: str) -> str:
    """`HDR-002/missing-on-404` as a name in Kubernetes: `hdr-002-missing-on-404`."""
    return text.lower().replace("/", "-")


def merged(one: Mapping[str, Any], more: Mapping[str, Any]) -> Manifest:
    """Both, the second winning; mappings within are merged the same way."""
    found = copy.deepcopy(dict(one))
    for key, value in more.items():
        found[key] = (
            merged(found[key], value)
            if isinstance(value, dict) and key in found
            else copy.deepcopy(value)
        )
    return found


def target(name: str, url: str, declares: Mapping[str, Any]) -> Manifest:
    """The target of one specimen: everything declared that its controls need."""
    return {
        "name": name,
        "workloadRef": {"kind": "Deployment", "name": name},
        "service": {"name": name, "port": "http"},
        "externalURL": url,
        **merged(DECLARED, declares),
    }


def expected(defect: Defect | None) -> dict[str, str]:
    """Result by control: Pass, but where the defect says otherwise."""
    found = dict.fromkeys(HTTP_CONTROLS, "Pass")
    if defect:
        found |= dict.fromkeys(defect.fails, "Fail") | dict.fromkeys(defect.unproven, "Unknown")
    return found
