"""DAT-009: whether what a data service holds, and what is saved of it, lies encrypted.

Only what a StorageClass says, or is known to do always, is taken for an answer. Backups are encrypted by restic before they
leave the pod, wherever they go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.inspecting import KINDS, where_of
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import listed
from readiness.request import Answers
from readiness.stores import Store

DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
ALWAYS: Final = frozenset({
    "pd.csi.storage.gke.io", "kubernetes.io/gce-pd", "filestore.csi.storage.gke.io",
    "disk.csi.azure.com", "kubernetes.io/azure-disk", "file.csi.azure.com",
})  # fmt: skip
"""Drivers of clouds that encrypt every disk, asked or not."""
FLAGS: Final = ("encrypted", "secure")
"""Parameters that say it of AWS, Ceph, Longhorn and Portworx."""
KEYS: Final = ("kmsKeyId", "disk-encryption-kms-key", "diskEncryptionSetID", "encryptionKMSID")
"""Parameters that name a key, for which there is no other use."""


def judge_at_rest(subject: Subject, _answers: Answers) -> Verdict:
    """DAT-009: the class of every volume."""
    store = subject.store
    if store is None or not (claims := tuple(_claims(store))):
        name = store.name if store else subject.where
        return unknown(
            "NotVisible", f"the volumes of {name} cannot be seen from here", expected="volumes of an encrypted StorageClass",
            fix="have a ReadinessWaiver approved with whoever runs it", where=where_of(store) if store else "",
        )  # fmt: skip
    said = {name: _encrypts(subject, name) for name in sorted({_class_of(subject, each) for each in claims})}  # fmt: skip
    where = where_of(store)
    if plain := [name for name, word in said.items() if word is False]:
        return failed(
            "NotEncrypted", f"volumes of {store.name} are not encrypted: StorageClass {listed(plain)}", expected="encrypted: true",
            observed="encrypted: false", fix="move to an encrypted StorageClass: a new data service, into which a backup is restored", where=where,
        )  # fmt: skip
    if silent := [name or "none" for name, word in said.items() if word is None]:
        return unknown(
            "NotShown", f"whether volumes of {store.name} are encrypted is not said by StorageClass {listed(silent)}", expected="encrypted: true, or a key",
            fix="use one that says so; or, where its disks are encrypted underneath, say it: controls: [{id: DAT-009, params: {encryptedClasses: [NAME]}}]",
            where=where,
        )  # fmt: skip
    return passed("Encrypted", f"volumes of {store.name} are encrypted: StorageClass {listed(said)}", where=where)  # fmt: skip


def _claims(store: Store) -> Iterator[Manifest]:
    for each in store.sets:
        yield from (each.get("spec") or {}).get("volumeClaimTemplates") or ()


def _class_of(subject: Subject, claim: Manifest) -> str:
    """What a claim names, else the default; nothing where there is none."""
    named = (claim.get("spec") or {}).get("storageClassName")
    defaults = (
        name for name, each in subject.snapshot.storage_classes.items()
        if (each["metadata"].get("annotations") or {}).get(DEFAULT) == "true"
    )  # fmt: skip
    return str(named or next(defaults, ""))


def _encrypts(subject: Subject, name: str) -> bool | None:
    """Whether a class encrypts; None where nothing says so."""
    if name in subject.params["encryptedClasses"]:
        return True
    found = subject.snapshot.storage_classes.get(name) or {}
    parameters = found.get("parameters") or {}
    flags = {str(parameters[flag]).lower() for flag in FLAGS if flag in parameters}
    if "true" in flags or any(map(parameters.get, KEYS)) or found.get("provisioner") in ALWAYS:
        return True
    return False if "false" in flags else None


PLUGINS: Final = (
    Control(
        id="DAT-009", title="Encrypted at rest", severity=Severity.P1, stores=KINDS,
        criterion="The StorageClass of every volume says that it encrypts, names a key, is of a driver that always encrypts, or is among encryptedClasses.",
        fix="use an encrypted StorageClass", judge=judge_at_rest,
        params=(Param("encryptedClasses", [], "StorageClasses whose disks are encrypted underneath, by the word of whoever runs the cluster.", "subset"),),
        checklists=("003/4.3", "003/4.3a"),
    ),
)  # fmt: skip
