"""What of a template outlives its pods: which volumes, and whether a path that a variable holds is on one.

Reads manifests only. What a path is for, and whether it ought to last, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import join, normpath
from typing import Final

from readiness.model import Manifest
from readiness.workload import pod_spec

OWN_VOLUMES: Final = frozenset(
    {"configMap", "downwardAPI", "emptyDir", "image", "projected", "secret"}
)
"""Sources of volumes that come and go with a pod."""
_PASSING: Final = frozenset({"csi", "ephemeral", "hostPath"})
"""Those that come and go with it as well, or stay behind on its node."""
_FILE: Final = re.compile(r"file:(?://(?=/))?(?!//)(?P<path>[^?]*).*", re.IGNORECASE)
_DATABASE: Final = re.compile(r"[a-z][a-z0-9+.-]*:///(?P<path>[^?]*).*", re.IGNORECASE)
"""SQLAlchemy's form: what follows the third slash is the path, so that a fourth makes it absolute."""
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*:.*", re.IGNORECASE)


def lasting_volumes(workload: Manifest) -> tuple[str, ...]:
    """Names of the template's volumes that are not only the pod's own: what is in them, no clone has."""
    names = (v["name"] for v in _volumes(workload) if not v.keys() - {"name"} <= OWN_VOLUMES)
    return tuple(dict.fromkeys((*names, *_claimed(workload))))


def is_kept(workload: Manifest, container: Manifest, path: str) -> bool:
    """Whether an absolute path of a container is on a volume that follows its pods wherever they run."""
    mounts = {str(m["mountPath"]): m["name"] for m in container.get("volumeMounts") or ()}
    above = [root for root in mounts if _is_below(path, root)]
    kept = {
        *_claimed(workload),
        *(
            v["name"]
            for v in _volumes(workload)
            if not v.keys() - {"name"} <= OWN_VOLUMES | _PASSING
        ),
    }
    return bool(above) and mounts[max(above, key=len)] in kept


def path_in(value: str, directory: str = "") -> str:
    """The absolute path that a value names: a path, or an address such as `sqlite:////data/app.db`; empty for none.

    A relative one counts from the container's working directory, which only its image may know.
    """
    found = _FILE.fullmatch(value) or _DATABASE.fullmatch(value)
    if found is None and _ADDRESS.fullmatch(value):
        return ""
    path = found["path"] if found else value
    whole = path if path.startswith("/") else directory and path and join(directory, path)
    return normpath(whole) if whole else ""


def _is_below(path: str, root: str) -> bool:
    return path == normpath(root) or path.startswith(normpath(root).rstrip("/") + "/")


def _volumes(workload: Manifest) -> list[Manifest]:
    found: list[Manifest] = pod_spec(workload).get("volumes") or []
    return found


def _claimed(workload: Manifest) -> Iterator[str]:
    templates = (workload.get("spec") or {}).get("volumeClaimTemplates") or ()
    return (template["metadata"]["name"] for template in templates)
