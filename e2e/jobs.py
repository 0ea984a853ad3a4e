"""The matrix of workers as values: what a worker's policy declares, and what each of its defects must lead to.

One table for the run on processes (tests/apps), the run on pods (test_drill_jobs.py) and the page docs/matrix.md.
"""

import copy
import sys
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "apps")] if str(HERE / "apps") not in sys.path else []

from worker.defects import DEFECTS, JobDefect  # noqa: E402 (the path must be set first)

__all__ = [
    "CONTROLS",
    "DEFECTS",
    "ENVIRONMENT",
    "GRACE",
    "STORES",
    "VARIANTS",
    "JobDefect",
    "expected",
    "target",
]
Manifest = dict[str, Any]

CONTROLS: Final = ("SHD-007", "SHD-009", "CFG-014")
VARIANTS: Final = {"lists": (), "streams": ("streams",)}
"""Two workers that do everything right, and how each is started: `python3 -m worker …`."""
ENVIRONMENT: Final = {"DRAIN": "3"}
GRACE: Final = 8
STORES: Final = [{"name": "queue", "external": {"redis": {"hosts": ["queue"]}}}]
DECLARED: Final[Manifest] = {
    "shutdown": {"drain": "3s", "logPattern": "draining", "jobsField": "jobs"},
    "config": {"bootstrapPattern": "created the first account"},
    "uses": ["queue"],
    "data": {"passwordHashes": [{"store": "queue", "key": "account:admin"}]},
    "scenarios": [
        {
            "name": "job",
            "steps": [
                {
                    "name": "start",
                    "request": {
                        "method": "POST",
                        "path": "/jobs",
                        "body": '{"seconds": {seconds}}',
                    },
                    "status": [202],
                    "extract": [{"name": "id", "at": "id"}],
                },
                {
                    "name": "working",
                    "request": {"path": "/jobs/{id}"},
                    "assert": [{"at": "state", "equals": "working"}],
                    "within": "4s",
                },
                {
                    "name": "done",
                    "request": {"path": "/jobs/{id}"},
                    "assert": [{"at": "state", "equals": "done"}, {"at": "effects", "equals": 1}],
                    "within": "15s",
                },
            ],
        }
    ],
}


def target(name: str) -> Manifest:
    """The target of one worker."""
    ref = {"kind": "Deployment", "name": name}
    return {"name": name, "workloadRef": ref, **copy.deepcopy(DECLARED)}


def expected(defect: JobDefect | None) -> dict[str, str]:
    """Reason by control that does not pass."""
    return dict(defect.fails) if defect else {}
