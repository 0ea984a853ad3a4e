"""SEC, the secrets part: none where anyone can read it, and few who can read the real ones.

Texts name places and patterns. Grants and leaks were reduced at the edge; nothing here sees a
Secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.leaks import scan, scan_named
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import SPEC, listed, on_workload, placed
from readiness.snapshot import Grant, Snapshot
from readiness.workload import pod_spec, template_metadata

_RBAC: Final = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
_EVERYONE: Final = (
    "Group/system:authenticated",
    "Group/system:unauthenticated",
    "Group/system:serviceaccounts",
    "User/system:anonymous",
)
_PLATFORM: Final = ("Group/system:", "User/system:", "ServiceAccount/kube-system:")
_HOOKS: Final = ("livenessProbe", "readinessProbe", "startupProbe")

Hit = tuple[str, tuple[str, ...]]


def judge_specs(subject: Subject, workload: Manifest) -> Verdict:
    """SEC-001: nothing secret-shaped in the workload's manifest or the ConfigMaps it uses."""
    snapshot, wanted = subject.snapshot, _config_maps(workload)
    hits = [
        *_annotations(workload),
        *(hit for path, container in placed(workload) for hit in _container(path, container)),
        *(
            (leak.where, (leak.pattern,))
            for leak in snapshot.leaks
            if not leak.where.startswith("ConfigMap/")
            or leak.where.partition(" ")[0].removeprefix("ConfigMap/") in wanted
        ),
    ]
    allowed = frozenset(subject.params["allowed"])
    found = sorted(
        ((where, ids) for where, ids in hits if ids and where not in allowed),
        key=lambda hit: ("annotations" in hit[0], hit),  # what was written before what repeats it
    )
    if found:
        return failed(
            "SecretInManifest",
            f"secret-shaped text in {listed(where for where, _ in found)}",
            expected="no credential outside of Secrets",
            observed=listed(f"{where}: {', '.join(ids)}" for where, ids in found),
            fix=f"move the text at {found[0][0]} into a Secret and refer to it; rotate the credential",
        )
    return _unread(snapshot, wanted) or passed(
        "NoSecretInManifest", "no secret-shaped text in the manifest and its ConfigMaps"
    )


def _unread(snapshot: Snapshot, wanted: frozenset[str]) -> Verdict | None:
    """Why the ConfigMaps do not count as seen. In a cluster, what does not exist leaks nothing."""
    if wanted and "configmaps" in snapshot.unreadable:
        return unknown(
            "Forbidden", f"ConfigMaps cannot be read: {snapshot.unreadable['configmaps']}"
        )
    absent = sorted(wanted - snapshot.configs.keys()) if not snapshot.live else []
    if not absent:
        return None
    return unknown(
        "ConfigMapNotVisible",
        f"{listed(f'ConfigMap/{name}' for name in absent)} cannot be seen",
        fix="give the ConfigMap to the check as well",
    )


def _annotations(workload: Manifest) -> Iterator[Hit]:
    """Their names promise nothing: `checksum/secret`, `auth-secret` and the like refer to secrets."""
    own = (workload.get("metadata") or {}).get("annotations") or {}
    template = template_metadata(workload).get("annotations") or {}
    for place, texts in (("metadata", own), ("spec.template.metadata", template)):
        for key, text in texts.items():
            yield f"{place}.annotations[{key}]", scan(str(text))


def _container(path: str, container: Manifest) -> Iterator[Hit]:
    """Everything textual of a container; names of variables are CFG-004's business."""
    for field in ("command", "args"):
        yield from _words(f"{path}.{field}", container.get(field) or ())
    for entry in container.get("env") or ():
        if entry.get("value"):
            yield f"{path}.env[{entry.get('name', '')}]", scan(str(entry["value"]))
    actions = {name: container.get(name) or {} for name in _HOOKS}
    hooks = container.get("lifecycle") or {}
    actions |= {f"lifecycle.{name}": hook or {} for name, hook in hooks.items()}
    for name, action in actions.items():
        if isinstance(action, dict):
            yield from _action(f"{path}.{name}", action)


def _action(path: str, action: Manifest) -> Iterator[Hit]:
    yield from _words(f"{path}.exec.command", (action.get("exec") or {}).get("command") or ())
    for header in (action.get("httpGet") or {}).get("httpHeaders") or ():
        name = str(header.get("name", ""))
        where = f"{path}.httpGet.httpHeaders[{name}]"
        yield where, scan_named(name, str(header.get("value", "")))


def _words(path: str, words: Any) -> Iterator[Hit]:
    """A command line: each word by itself, and flags with their values in either form."""
    flag = ""
    for index, word in enumerate(map(str, words)):
        name, equals, value = word.partition("=")
        if equals and " " not in name:
            yield f"{path}[{index}]", scan_named(name, value)
        elif flag and not word.startswith("-"):
            yield f"{path}[{index}]", scan_named(flag, word)
        else:
            yield f"{path}[{index}]", scan(word)
        flag = "" if equals or not word.startswith("--") else word


def _config_maps(workload: Manifest) -> frozenset[str]:
    """Names of the ConfigMaps that the template uses, as environment or as files."""
    refs: list[Manifest] = []
    for _, container in placed(workload):
        refs += [s.get("configMapRef") or {} for s in container.get("envFrom") or ()]
        entries = (e.get("valueFrom") or {} for e in container.get("env") or ())
        refs += [e.get("configMapKeyRef") or {} for e in entries]
    for volume in pod_spec(workload).get("volumes") or ():
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        refs += [s.get("configMap") or {} for s in sources]
    return frozenset(ref["name"] for ref in refs if ref.get("name"))


def judge_readers(subject: Subject, workload: Manifest) -> Verdict:
    """SEC-009: no token without need, no shared identity, and only named readers of Secrets."""
    identity = _identity(subject, workload)
    if identity is not None:
        return identity
    snapshot = subject.snapshot
    if not snapshot.live:
        return unknown("NeedsCluster", "roles and bindings are read from a cluster only")
    for kind in _RBAC:
        if kind in snapshot.unreadable:
            return unknown("Forbidden", f"{kind} cannot be read: {snapshot.unreadable[kind]}")
    unnamed = sorted({(g.subject, g.via) for g in snapshot.grants if _counts(g, subject)})
    if not unnamed:
        return passed("OnlyNamedReaders", "no token without need; only named subjects read Secrets")
    return failed(
        "UnnamedReader",
        f"Secrets of {snapshot.namespace} can be read by {listed(name for name, _ in unnamed)}",
        expected="only the subjects in spec.secrets.readers",
        observed=listed(f"{name} via {via}" for name, via in unnamed),
        fix=f"remove the binding, or add to spec.secrets.readers: {unnamed[0][0]}",
    )


def _counts(grant: Grant, subject: Subject) -> bool:
    """Whether a grant needs the owner's word.

    Cluster-wide ones of people and of controllers in other namespaces are the platform's, unless
    the parameter `clusterWide` says otherwise; one to everybody, or to an account of this
    namespace, never is.
    """
    name, home = grant.subject, subject.snapshot.namespace
    if name in subject.policy.secrets.readers:
        return False
    if name in _EVERYONE or name == f"Group/system:serviceaccounts:{home}":
        return True
    own = subject.snapshot.operator_namespace
    if name.startswith(_PLATFORM) or (own and name.startswith(f"ServiceAccount/{own}:")):
        return False
    local = name.startswith("ServiceAccount/") and ":" not in name
    return not grant.cluster or local or bool(subject.params["clusterWide"])


def _identity(subject: Subject, workload: Manifest) -> Verdict | None:
    """What is wrong with the pod's own identity, or None."""
    spec, snapshot = pod_spec(workload), subject.snapshot
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    mounted = spec.get("automountServiceAccountToken")
    if mounted is None:
        if account not in snapshot.accounts:
            return _account_unseen(subject, account)
        mounted = snapshot.accounts[account].get("automountServiceAccountToken")
    if mounted is False:
        return None
    if account == "default":
        return failed(
            "DefaultServiceAccount",
            "pods carry a token of the ServiceAccount default, which every pod of the namespace shares",
            expected="no token, or a ServiceAccount of its own",
            observed=f"{SPEC}.serviceAccountName: default, token mounted",
            fix=f"set {SPEC}.automountServiceAccountToken: false",
        )
    if subject.params["needsToken"]:
        return None
    return failed(
        "TokenMounted",
        f"pods carry a token of ServiceAccount/{account}",
        expected=f"{SPEC}.automountServiceAccountToken: false",
        observed="token mounted",
        fix=f"set {SPEC}.automountServiceAccountToken: false; if the application calls the Kubernetes API, set the "
        "parameter needsToken of SEC-009",
    )


def _account_unseen(subject: Subject, account: str) -> Verdict:
    reason = subject.snapshot.unreadable.get("serviceaccounts", "it was not found")
    return unknown(
        "ServiceAccountNotVisible",
        f"whether pods carry a token depends on ServiceAccount/{account}: {reason}",
        fix=f"set {SPEC}.automountServiceAccountToken: false",
    )


PLUGINS: Final = (
    Control(
        id="SEC-001",
        title="No secrets in specs, ConfigMaps and annotations",
        severity=Severity.P0,
        criterion="No credential-shaped text in the workload's annotations, commands, arguments, probe headers and env "
        "values, nor in the ConfigMaps the workload uses.",
        fix="move the value into a Secret, refer to it, and rotate it",
        judge=on_workload(judge_specs),
        static=True,
        params=(
            Param(
                "allowed", (), "Places, as the finding names them, that hold no secret.", "subset"
            ),
        ),
        checklists=("003/5.1", "004/1.1.1-4", "004/B0"),
    ),
    Control(
        id="SEC-009",
        title="Least-privilege access to Secrets",
        severity=Severity.P0,
        criterion="Pods mount no API token (or need one, and run under a ServiceAccount of their own), and nobody reads "
        "Secrets of the namespace but spec.secrets.readers. Cluster administrators, system components and cluster-wide "
        "controllers of other namespaces need not be listed; whoever got the right by a binding in this namespace, also "
        "through admin or edit, and everything granted to all users, does.",
        fix="set automountServiceAccountToken: false and name the readers in spec.secrets.readers",
        judge=on_workload(judge_readers),
        params=(
            Param("needsToken", False, "Whether the application calls the Kubernetes API.", "false"),
            Param(
                "clusterWide",
                False,
                "Whether cluster-wide readers must be listed as well.",
                "true",
            ),
        ),
        checklists=("003/5.1",),
    ),
)  # fmt: skip
