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

from specimen.defects import DEFECTS, Defect, StartDefect  # noqa: E402 (the path must be set first)
from specimen.defects.faults import DEFECTS as FAULT_DEFECTS  # noqa: E402
from specimen.defects.starting import DEFECTS as START_DEFECTS  # noqa: E402
from specimen.defects.stopping import DEFECTS as STOP_DEFECTS  # noqa: E402
from specimen.defects.stopping import DRAIN, TWIN_DEFECTS  # noqa: E402

Manifest = dict[str, Any]
__all__ = [
    "DEFECTS", "DRILL_CONTROLS", "FAULT_CONTROLS", "FAULT_DEFECTS", "HOOK", "HTTP_CONTROLS", "START_DEFECTS", "STOP_CONTROLS", "STOP_DEFECTS", "TWIN_CONTROLS", "TWIN_DEFECTS",
    "Defect", "Manifest", "StartDefect", "drill_target", "expected", "expected_of_drills", "merged", "slug", "start_pod", "stop_pod", "target",
]  # fmt: skip

HTTP_CONTROLS: Final = (
    "HLT-001", "HLT-002", "HLT-003", "HDR-001", "HDR-002", "HDR-003", "HDR-004", "HDR-005", "COR-001", "COR-003",
    "AUT-001", "CFG-009", "OBS-001", "OBS-012",
)  # fmt: skip
DRILL_CONTROLS: Final = ("CFG-001", "CFG-002", "CFG-006", "CFG-007", "ERR-002", "LIM-007")
FAULT_CONTROLS: Final = ("CFG-012", "REL-002", "REL-003", "HLT-004", "HA-010")
STOP_CONTROLS: Final = ("SHD-001", "SHD-002", "SHD-003", "SHD-004", "SHD-005", "SHD-006", "SHD-010")
TWIN_CONTROLS: Final = ("SHD-001p", "SHD-010p")
DRILL_ENVIRONMENT: Final = {"ENVIRONMENT": "production", "API_TOKEN": "matrix", "DATA_DIR": "/data"}
DRILL_CLAIM: Final[Manifest] = {
    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
}  # fmt: skip
"""One for all specimens of a namespace: none writes to it."""
DRILL_DECLARED: Final[Manifest] = {
    "shutdown": {"standalone": True},
    "config": {
        "env": [
            {"name": "API_TOKEN", "required": True},
            {"name": "DRAIN", "invalid": ["soon", "-1", "99999"]},
        ],
        "variants": [
            {"name": "no-path", "unset": ["DATA_DIR"], "expect": "warn", "says": "in memory"},
            {
                "name": "other-store",
                "set": [{"name": "STORE", "value": "s3"}],
                "expect": "refuse",
                "says": "pip install",
            },
        ],
        "persistentPaths": ["DATA_DIR"],
        "startupFail": "30s",
    },
    "limits": {"body": "1Mi", "request": {"path": "/api/feedback", "body": '{"text": "fine"}'}},
    "errors": {
        "trigger": "/fail",
        "logFields": ["path", "method", "status", "time", "message"],
    },
}
STOP_ENVIRONMENT: Final = DRILL_ENVIRONMENT | {"DRAIN": f"{DRAIN:g}"}
STOP_DECLARED: Final[Manifest] = {
    "service": {"name": "specimen", "port": "http"},
    "health": {"path": "/health"},
    "shutdown": {
        "drain": f"{DRAIN:g}s",
        "drainEnv": {"name": "DRAIN"},
        "slowRequest": {"path": "/slow?seconds={seconds}"},
        "standalone": True,
    },
}
HOOK: Final = 5
FAULT_ENVIRONMENT: Final = {"DEPENDENCIES": "cache=cache:6379", "LLM_URL": "http://llm.example.com", "PAY_URL": "http://pay.example.com"}  # fmt: skip
FAULT_STORES: Final = [{"name": "cache", "external": {"redis": {"hosts": ["cache"]}}}]
FAULT_DECLARED: Final[Manifest] = {
    "health": {"path": "/health", "deepPath": "/health?deep=true"},
    "uses": ["cache"],
    "scenarios": [{"name": "write", "steps": [{"name": "note", "request": {"method": "POST", "path": "/notes"}}]}],
    "upstreams": [
        {
            "name": name, "urlEnv": f"{name.upper()}_URL", "path": "/v1", "hosts": [f"{name}.example.com"],
            "timeout": "6s", "retries": 3, "retryBudget": "16s", "call": {"path": path, "method": method},
        }
        for name, path, method in (("llm", "/ask", "GET"), ("pay", "/pay", "POST"))
    ],
}  # fmt: skip
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


def drill_target(name: str, declared: Manifest = DRILL_DECLARED) -> Manifest:
    """The target of one specimen that is drilled."""
    ref = {"kind": "Deployment", "name": name}
    return {"name": name, "workloadRef": ref, **copy.deepcopy(declared)}


def start_pod(container: Manifest, defect: StartDefect | None = None) -> Manifest:
    """The spec of a pod of one specimen that is started."""
    mounts = [*container.get("volumeMounts", ()), {"name": "data", "mountPath": "/data"}]
    claim = {"claimName": DRILL_CLAIM["metadata"]["name"]}
    pod = {
        "containers": [{**container, "volumeMounts": mounts}], "volumes": [{"name": "data", "persistentVolumeClaim": claim}],
        "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1,
    }  # fmt: skip
    return defect.template(pod) if defect else pod


def stop_pod(container: Manifest, defect: StartDefect | None = None) -> Manifest:
    """The spec of a pod of one specimen that is stopped."""
    pod = {
        "containers": [{**container, "lifecycle": {"preStop": {"sleep": {"seconds": HOOK}}}}],
        "automountServiceAccountToken": False, "terminationGracePeriodSeconds": HOOK + int(DRAIN) + 6,
    }  # fmt: skip
    return defect.template(pod) if defect else pod


def expected_of_drills(defect: StartDefect | None) -> dict[str, str]:
    """Result and reason by control that does not pass."""
    return {**defect.fails, **defect.unproven} if defect else {}


def expected(defect: Defect | None) -> dict[str, str]:
    """Result by control: Pass, but where the defect says otherwise."""
    found = dict.fromkeys(HTTP_CONTROLS, "Pass")
    if defect:
        found |= dict.fromkeys(defect.fails, "Fail") | dict.fromkeys(defect.unproven, "Unknown")
    return found
