"""BKP-010: what a workload writes to volumes by itself, uploads or a SQLite database, is saved as data services are.

Which volumes it has is read from its manifest; that they are saved, from what the runs have told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from readiness.backing import DECLARED
from readiness.backups.proof import FRESH_HOURS, Lack, remedy_of, unrestored, unsaved
from readiness.control import Control, Param, Subject, failed, not_applicable, passed, unknown
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import listed, on_workload
from readiness.workload import pod_spec


def judge_volumes(subject: Subject, workload: Manifest) -> Verdict:
    """Every claim that is not said to hold nothing: named in spec.backups.volumes, saved lately, and restored on purpose."""
    claims = [each for each in dict.fromkeys(_claims(workload)) if each not in subject.params["disposable"]]  # fmt: skip
    if not claims:
        return not_applicable("NoVolumes", f"{subject.where} keeps nothing on volumes")
    backups = subject.policy.backups
    named = {volume.claim_name: volume.name for volume in backups.volumes} if backups else {}
    if forgotten := [claim for claim in claims if claim not in named]:
        return unknown(
            "NotDeclared", f"nothing says whether what {listed(forgotten)} holds has to be kept", expected="a volume of spec.backups.volumes for each claim",
            fix=f"declare spec.backups.volumes: [{{name: files, claimName: {forgotten[0]}}}]; or, if it holds nothing of worth: controls: [{{id: BKP-010, params: {{disposable: [{forgotten[0]}]}}}}]",
        )  # fmt: skip
    lacks = [(named[claim], lack) for claim in claims if (lack := _lack(subject, named[claim]))]
    return _worst(lacks) if lacks else passed("Saved", f"{listed(claims)} was saved and restored")


def _claims(workload: Manifest) -> Iterator[str]:
    """Of the template by name, and those that a StatefulSet makes for each of its pods."""
    for volume in pod_spec(workload).get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield str(volume["persistentVolumeClaim"].get("claimName", ""))
    spec = workload.get("spec") or {}
    first = (spec.get("ordinals") or {}).get("start", 0)
    for template in spec.get("volumeClaimTemplates") or ():
        for number in range(first, first + int(spec.get("replicas", 1))):
            yield f"{template['metadata']['name']}-{workload['metadata']['name']}-{number}"


def _lack(subject: Subject, name: str) -> Lack | None:
    row = subject.snapshot.saved.get(name, {})
    return unsaved(row, subject.now, subject.params["maxAgeHours"]) or unrestored(row, subject.now)


def _worst(lacks: list[tuple[str, Lack]]) -> Verdict:
    """What is known to be wrong before what nobody knows yet."""
    name, lack = min(lacks, key=lambda each: each[1].open)
    words, expected = (
        f"{name}: {lack.words}",
        "a young backup, and a restore drill of the last 8 days that passed",
    )
    if lack.open:
        return unknown(lack.reason, words, expected=expected, fix=remedy_of(name))
    return failed(lack.reason, words, expected=expected, observed=lack.words, fix=remedy_of(name))


PLUGINS: Final = (
    Control(
        id="BKP-010", title="Files on volumes saved", severity=Severity.P1, needs=(DECLARED,),
        criterion="Every PersistentVolumeClaim of the workload is in spec.backups.volumes, or among disposable; the last backup of it that succeeded is no "
        "older than maxAgeHours, and a restore drill of the last 8 days passed.",
        fix="declare the claim in spec.backups.volumes", judge=on_workload(judge_volumes),
        params=(
            Param("maxAgeHours", FRESH_HOURS, "How old the last success may be, in hours.", "lower"),
            Param("disposable", [], "Claims that hold nothing that has to be kept, such as caches.", "subset"),
        ),
        checklists=("000/1.3", "001/4.3-1", "003/4.2a"),
    ),
)  # fmt: skip
