"""The frame that controls of backups hang in: whether a data service is to have any, and what is missing for a proof.

A judge built with `on_backups` sees a policy that declares backups and a service that is to have some. Pure; how they are
made is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from readiness.backups.proof import Lack, remedy_of
from readiness.control import Subject, failed, not_applicable, unknown
from readiness.inspecting import where_of
from readiness.model import Verdict
from readiness.request import Answers
from readiness.stores import Store

if TYPE_CHECKING:
    from readiness.api.backups import Backups

DECLARED: Final = "spec.backups"
"""The capability that these controls need."""
Judge = Callable[[Subject, Store, "Backups"], Verdict]


def on_backups(judge: Judge) -> Callable[[Subject, Answers], Verdict]:
    """A `judge` that is asked only about a data service that is to be backed up."""

    def judge_wanted(subject: Subject, _answers: Answers) -> Verdict:
        verdict = excused(subject) or _judged(subject, judge)
        return verdict if verdict.where or not subject.store else replace(verdict, where=where_of(subject.store))  # fmt: skip

    return judge_wanted


def excused(subject: Subject) -> Verdict | None:
    """That the policy wants no backups of a service, in its own words."""
    store = subject.store
    service = next((s for s in subject.policy.data_services if store and s.name == store.name), None)  # fmt: skip
    if store is None or service is None or service.backup is None or service.backup.enabled:
        return None
    return not_applicable(
        "NoBackupWanted", f"spec.dataServices[{store.name}].backup.enabled is false: it is meant to have no backups",
        where=where_of(store),
    )  # fmt: skip


def lacking(lack: Lack, store: Store, expected: str) -> Verdict:
    """What is missing, as a verdict: open while nothing has been tried."""
    fix = remedy_of(store.name)
    if lack.open:
        return unknown(lack.reason, f"{store.name}: {lack.words}", expected=expected, fix=fix)
    return failed(lack.reason, f"{store.name}: {lack.words}", expected=expected, observed=lack.words, fix=fix)  # fmt: skip


def _judged(subject: Subject, judge: Judge) -> Verdict:
    if subject.store is None or subject.policy.backups is None:
        return unknown("NotDeclared", "the policy declares no backups", fix=f"declare {DECLARED}")
    return judge(subject, subject.store, subject.policy.backups)
