"""SEC, the pod part: the restricted Pod Security Standard with a read-only root, pinned images.

The rules are those of Kubernetes' own admission for 1.34, with its inheritance from pod to
container; admission may be off or exempt a namespace, so the template itself is judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import SPEC, listed, on_workload, placed
from readiness.workload import pod_spec, template_metadata

_VOLUMES: Final = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"}
)  # fmt: skip
_SYSCTLS: Final = frozenset(
    {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
     "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
     "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
     "net.ipv4.tcp_wmem"}
)  # fmt: skip
_SELINUX: Final = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_PROFILES: Final = ("RuntimeDefault", "Localhost")
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_MUTABLE: Final = (
    "latest", "stable", "edge", "nightly", "main", "master", "trunk", "dev", "develop", "devel", "development", "head",
    "current", "prod", "production", "staging", "test", "lts", "canary", "snapshot",
)  # fmt: skip
_PULLED: Final = re.compile(r"\$|\{\{|<")

Offence = tuple[str, str, str]
"""(field path, expected, observed)."""


def judge_restricted(subject: Subject, workload: Manifest) -> Verdict:
    """SEC-010: every field that restricted pods must or must not set."""
    windows = (pod_spec(workload).get("os") or {}).get("name") == "windows"
    offences = [*_pod(workload), *_app_armor(workload), *_inherited(workload, windows=windows)]
    for path, container in placed(workload):
        offences += _container(path, container)
        if not windows:
            offences += _linux(path, container, read_only=bool(subject.params["readOnlyRoot"]))
    if not offences:
        return passed("Restricted", "the template meets the restricted standard")
    path, expected, _ = offences[0]
    return failed(
        "NotRestricted",
        f"fields that weaken the pod ({len(offences)}): {listed(where for where, _, _ in offences)}",
        expected=listed(f"{where.rpartition('.')[2]}: {value}" for where, value, _ in offences),
        observed=listed(f"{where}: {value}" for where, _, value in offences),
        fix=f"set {path}: {expected}",
    )


def _text(value: Any) -> str:
    return (
        "unset" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _pod(workload: Manifest) -> Iterator[Offence]:
    """What only a pod can set."""
    spec, context = pod_spec(workload), _context(pod_spec(workload))
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"{SPEC}.{name}", "false", "true"
    for index, volume in enumerate(spec.get("volumes") or ()):
        kinds = volume.keys() - {"name"}
        if kinds and not kinds & _VOLUMES:
            yield (
                f"{SPEC}.volumes[{volume.get('name', index)}]",
                "a type that needs no host or network store",
                min(kinds),
            )
    for sysctl in context.get("sysctls") or ():
        if sysctl.get("name") not in _SYSCTLS:
            yield f"{SPEC}.securityContext.sysctls", "only safe ones", str(sysctl.get("name"))
    yield from _either(f"{SPEC}.securityContext", context)


def _app_armor(workload: Manifest) -> Iterator[Offence]:
    """The older spelling, in annotations of the template."""
    for key, value in (template_metadata(workload).get("annotations") or {}).items():
        if key.startswith(_APPARMOR) and not (
            not value or value == "runtime/default" or value.startswith("localhost/")
        ):
            yield f"spec.template.metadata.annotations[{key}]", "runtime/default", str(value)


def _context(owner: Manifest) -> Manifest:
    return owner.get("securityContext") or {}


def _either(path: str, context: Manifest) -> Iterator[Offence]:
    """What pod and container may both set, and neither may set wrongly."""
    if context.get("runAsUser") == 0:
        yield f"{path}.runAsUser", "any but 0", "0"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{path}.windowsOptions.hostProcess", "false", "true"
    armor = context.get("appArmorProfile")
    if armor is not None and armor.get("type") not in _PROFILES:
        yield f"{path}.appArmorProfile.type", "RuntimeDefault", _text(armor.get("type"))
    linux = context.get("seLinuxOptions") or {}
    if (linux.get("type") or "") not in _SELINUX:
        yield f"{path}.seLinuxOptions.type", "container_t", str(linux["type"])
    for name in ("user", "role"):
        if linux.get(name):
            yield f"{path}.seLinuxOptions.{name}", "unset", str(linux[name])


def _inherited(workload: Manifest, *, windows: bool) -> Iterator[Offence]:
    """What a container takes from the pod unless it says otherwise; neither may say it wrongly."""
    yield from _inherit(workload, "runAsNonRoot", "true", lambda c: c.get("runAsNonRoot"), (True,))
    if not windows:
        profile = _seccomp
        yield from _inherit(workload, "seccompProfile.type", "RuntimeDefault", profile, _PROFILES)


def _seccomp(context: Manifest) -> Any:
    profile = context.get("seccompProfile")
    return None if profile is None else profile.get("type") or ""


def _inherit(
    workload: Manifest,
    field: str,
    expected: str,
    value_of: Callable[[Manifest], Any],
    good: tuple[Any, ...],
) -> Iterator[Offence]:
    of_pod = value_of(_context(pod_spec(workload)))
    if of_pod is not None and of_pod not in good:
        yield f"{SPEC}.securityContext.{field}", expected, _text(of_pod)
    for path, container in placed(workload):
        own = value_of(_context(container))
        if own not in good and not (own is None and of_pod in good):
            yield f"{path}.securityContext.{field}", expected, _text(own)


def _container(path: str, container: Manifest) -> Iterator[Offence]:
    """What a container must not do on any system."""
    context = _context(container)
    yield from _either(f"{path}.securityContext", context)
    if context.get("privileged"):
        yield f"{path}.securityContext.privileged", "false", "true"
    if (context.get("procMount") or "Default") != "Default":
        yield f"{path}.securityContext.procMount", "Default", str(context["procMount"])
    for port in container.get("ports") or ():
        if port.get("hostPort"):
            yield (
                f"{path}.ports[{port.get('containerPort')}].hostPort",
                "unset",
                str(port["hostPort"]),
            )
    hooks = container.get("lifecycle") or {}
    for name, action in (
        *((n, container.get(n)) for n in ("livenessProbe", "readinessProbe", "startupProbe")),
        *((f"lifecycle.{n}", hooks.get(n)) for n in ("postStart", "preStop")),
    ):
        for kind in ("httpGet", "tcpSocket"):
            if ((action or {}).get(kind) or {}).get("host"):
                yield f"{path}.{name}.{kind}.host", "unset", "another host"


def _linux(path: str, container: Manifest, *, read_only: bool) -> Iterator[Offence]:
    """What a Linux container must set by itself."""
    context = _context(container)
    capabilities = context.get("capabilities") or {}
    if context.get("allowPrivilegeEscalation") is not False:
        observed = _text(context.get("allowPrivilegeEscalation"))
        yield f"{path}.securityContext.allowPrivilegeEscalation", "false", observed
    if "ALL" not in (capabilities.get("drop") or ()):
        dropped = capabilities.get("drop")
        yield (
            f"{path}.securityContext.capabilities.drop",
            '["ALL"]',
            _text(dropped and listed(dropped)),
        )
    added = sorted(set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"})
    if added:
        yield f"{path}.securityContext.capabilities.add", "at most NET_BIND_SERVICE", listed(added)
    if read_only and context.get("readOnlyRootFilesystem") is not True:
        observed = _text(context.get("readOnlyRootFilesystem"))
        yield f"{path}.securityContext.readOnlyRootFilesystem", "true", observed


def judge_images(subject: Subject, workload: Manifest) -> Verdict:
    """SEC-011: every image names what it is, and all replicas run the same."""
    offences: list[Offence] = []
    unresolved: list[str] = []
    for path, container in placed(workload):
        image = str(container.get("image") or "")
        if _PULLED.search(image):
            unresolved.append(f"{path}.image")
        elif problem := _image_problem(image, subject):
            offences.append((f"{path}.image", image, problem))
    if offences:
        return failed(
            "ImageNotPinned",
            f"not pinned: {listed(f'{path} ({why})' for path, _, why in offences)}",
            expected="a digest"
            if subject.params["requireDigest"]
            else "a digest, or a tag that names one build",
            observed=listed(image or "none" for _, image, _ in offences),
            fix=f"set {offences[0][0]}: <repository>:<version>@sha256:<digest>",
        )
    if unresolved:
        return unknown(
            "ImageUnresolved",
            f"{listed(unresolved)} holds a placeholder",
            fix="render the manifest first",
        )
    return _replicas(subject.pods, subject) or passed("ImagesPinned", "every image is pinned")


def _image_problem(image: str, subject: Subject) -> str:
    name, at, digest = image.partition("@")
    if at:
        return "" if re.fullmatch(r"sha\d{3}:[0-9a-f]{64,128}", digest) else "malformed digest"
    if subject.params["requireDigest"]:
        return "no digest"
    tag = name.rpartition("/")[2].partition(":")[2]
    if not tag:
        return "no tag, so latest"
    words = re.split(r"[-_.]", tag.lower())
    mutable = next((word for word in subject.params["mutableTags"] if words[0] == word.lower()), "")
    if mutable or not any(c.isdigit() for c in tag):
        return f"{tag} is a tag that moves"
    return ""


def _replicas(pods: Iterable[Manifest], subject: Subject) -> Verdict | None:
    """A moved tag shows as two digests under one image name, revision and architecture."""
    seen: dict[tuple[str, ...], str] = {}
    for pod in pods:
        metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
        labels = metadata.get("labels") or {}
        revision = labels.get("pod-template-hash") or labels.get("controller-revision-hash") or ""
        node = subject.snapshot.nodes.get((pod.get("spec") or {}).get("nodeName", "")) or {}
        system = ((node.get("status") or {}).get("nodeInfo") or {}).get("architecture", "")
        for container in status.get("containerStatuses") or ():
            name, _, digest = (container.get("imageID") or "").rpartition("@")
            key = (revision, system, container.get("name", ""))
            if name and seen.setdefault(key, digest) != digest:
                return _differ(key[-1])
    return None


def _differ(container: str) -> Verdict:
    return failed(
        "ReplicasDiffer",
        f"replicas of one revision run different images in container {container}: its tag was moved",
        expected="one image digest in all replicas",
        observed="different digests",
        fix=f"set {SPEC}.containers[{container}].image to <repository>@sha256:<digest> and roll out",
    )


PLUGINS: Final = (
    Control(
        id="SEC-010",
        title="Pod security context",
        severity=Severity.P1,
        criterion="The template meets the restricted Pod Security Standard of Kubernetes 1.34, init and sidecar containers "
        "included, and every Linux container has a read-only root filesystem.",
        fix="securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}} on the pod and "
        "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}} on each container",
        judge=on_workload(judge_restricted),
        static=True,
        params=(Param("readOnlyRoot", True, "Whether root filesystems must be read-only.", "true"),),
    ),
    Control(
        id="SEC-011",
        title="Image pinned",
        severity=Severity.P1,
        criterion="Every image has a digest, or a tag with a version, build or commit in it that is not known to move; "
        "replicas of one revision run one digest.",
        fix="image: <repository>:<version>@sha256:<digest>",
        judge=on_workload(judge_images),
        static=True,
        params=(
            Param("requireDigest", False, "Whether only a digest will do.", "true"),
            Param("mutableTags", _MUTABLE, "First words of tags that are known to move.", "superset"),
        ),
        checklists=("003/5.5", "003/5.5a"),
    ),
)  # fmt: skip
