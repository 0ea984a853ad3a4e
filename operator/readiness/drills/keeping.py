"""Whether what an application keeps is kept: where the variables lead that say where its data is.

The half of CFG-006 that the template shows; no clone is needed for it. The other half, what it says
when such a variable is missing, is a start-up drill's.
"""

from __future__ import annotations

import re
from typing import Final

from readiness.control import Subject, failed, unknown
from readiness.drills.starting import config_of
from readiness.lasting import is_kept, path_in
from readiness.model import Manifest, Verdict
from readiness.workload import app_container

EXPECTED: Final = "a path on a volume that outlives the pod, such as a PersistentVolumeClaim"


def judge_paths(subject: Subject) -> Verdict | None:
    """What is wrong with the first variable of `config.persistentPaths` that leads nowhere lasting; None when none is."""
    if subject.workload is None:
        return None
    container = app_container(subject.workload, subject.target.container) or {}
    found = (_judge(subject, subject.workload, container, n) for n in config_of(subject).persistent_paths)  # fmt: skip
    wrong = [verdict for verdict in found if verdict is not None]
    return min(wrong, key=lambda verdict: verdict.result != "Fail", default=None)


def _judge(subject: Subject, workload: Manifest, container: Manifest, name: str) -> Verdict | None:
    told = next((each for each in container.get("env") or () if each.get("name") == name), None)
    value = str((told or {}).get("value", ""))
    elsewhere = bool(container.get("envFrom")) if told is None else "valueFrom" in told
    if not value and not elsewhere:
        return _lost("PathUnset", name, "it is not set", f"set {name} to {EXPECTED}")
    if elsewhere or "$(" in value:
        return _unseen(
            name, "its value is not written in the template", "write it as a plain value"
        )
    if any(re.search(p, value, re.IGNORECASE) for p in config_of(subject).ephemeral_patterns):
        return _lost("PathEphemeral", name, "its value keeps nothing", f"set {name} to {EXPECTED}")
    path = path_in(value, str(container.get("workingDir", "")))
    if not path:
        return _unseen(name, "its value is no absolute path", "write the absolute path")
    if not is_kept(workload, container, path):
        return _lost("PathNotKept", name, "no such volume is mounted there", "mount a PersistentVolumeClaim there")  # fmt: skip
    return None


def _lost(reason: str, name: str, observed: str, fix: str) -> Verdict:
    words = f"what is kept where {name} says is gone with the pod"
    return failed(reason, words, expected=EXPECTED, observed=observed, fix=fix)


def _unseen(name: str, observed: str, fix: str) -> Verdict:
    words = f"where {name} leads cannot be seen"
    return unknown("PathNotSeen", words, expected=EXPECTED, observed=observed, fix=fix)
