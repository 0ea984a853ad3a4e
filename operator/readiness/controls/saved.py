"""BKP: whether data services are saved, for how long that is kept, and whether it can be restored.

Judged is what runs have told, as `status.dataServices[].backup` keeps it; what nobody has told passes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from readiness.backing import DECLARED, excused, lacking, on_backups
from readiness.backups.census import Census, deviations_of
from readiness.backups.proof import FRESH_HOURS, remedy_of, unrestored, unsaved
from readiness.backups.retention import Rules
from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.inspecting import KINDS, Seen, ask_store, on_store, refused
from readiness.model import Manifest, Safety, Severity, Verdict
from readiness.passive import listed
from readiness.request import Answers
from readiness.stores import Store
from readiness.workload import stamp_of

if TYPE_CHECKING:
    from readiness.api.backups import Backups

MAX_AGE: Final = 900.0
RESTORE_SECONDS: Final = 3600
_AGE: Final = Param("maxAgeHours", FRESH_HOURS, "How old the last success may be, in hours.", "lower")  # fmt: skip


def judge_saved(subject: Subject, store: Store, _backups: Backups) -> Verdict:
    """BKP-001, BKP-009: a success that is young, of a dump that looks like those before it."""
    return _shipped(subject, store) or passed("Saved", f"{store.name} was saved, read back, and is as large as usual")  # fmt: skip


def _shipped(subject: Subject, store: Store) -> Verdict | None:
    hours, backup = subject.params["maxAgeHours"], store.backup
    expected = f"a complete backup of the last {hours:g} h"
    if lack := unsaved(backup, subject.now, hours):
        return lacking(lack, store, expected)
    if backup.get("reason") == "Suspicious":
        return failed(
            "Suspicious", f"the newest dump of {store.name} differs much from those before it: {backup.get('message', '')}",
            expected="a size within half of the usual one, and no fifth of the entries gone", observed="a dump that differs more",
            fix="look whether data were lost or a client ran wild; older snapshots are kept meanwhile",
        )  # fmt: skip
    if not backup.get("size"):
        return failed(
            "Empty", f"nothing was in the newest dump of {store.name}", expected="more than 0 bytes", observed="0 bytes",
            fix="see the log of its last backup",
        )  # fmt: skip
    return None


def judge_redis(subject: Subject, answers: Answers) -> Verdict:
    """BKP-002: every member writes both files, and could the last time; and the dump has left the cluster."""
    return excused(subject) or on_store(_judge_files, everybody=True)(subject, answers)


def _judge_files(subject: Subject, seen: Seen) -> Verdict:
    infos, configs = seen.facts("info"), seen.facts("config")
    if len(configs) < len(infos):
        return refused(seen, "config", "the command CONFIG GET")
    if off := [name for name, config in configs.items() if not _writes_both(config)]:
        return failed(
            "NotBoth", f"{listed(off)} does not write both files", observed="one is missing, or is not synced",
            expected="appendonly yes, appendfsync everysec or always, and save points", fix="set appendonly yes and save 3600 1",
        )  # fmt: skip
    keys = ("aof_last_write_status", "rdb_last_bgsave_status")
    if failing := [n for n, info in infos.items() if any(info.get(k) != "ok" for k in keys)]:
        return failed(
            "WritesFail", f"{listed(failing)} could not write its data the last time", expected="both writes succeeded",
            observed="one failed", fix="see its log: most often the volume is full",
        )  # fmt: skip
    return _shipped(subject, seen.store) or passed("Saved", "written down by every member, saved elsewhere, and as large as usual")  # fmt: skip


def _writes_both(config: Mapping[str, Any]) -> bool:
    return (
        config.get("appendonly") == "yes"
        and config.get("appendfsync") in ("everysec", "always")
        and bool(config.get("save"))
    )


def judge_kept(subject: Subject, store: Store, backups: Backups) -> Verdict:
    """BKP-004: enough is to be kept, and the repository lists it."""
    rules, least = _rules(subject, store, backups), subject.params
    if rules.daily < least["daily"] or rules.monthly < least["monthly"]:
        return failed(
            "KeepsLess", f"of {store.name} less is kept than has to be", expected=f"{least['daily']} daily and {least['monthly']} monthly",
            observed=f"{rules.daily} daily and {rules.monthly} monthly", fix="raise spec.backups.retention, or the retention of its own",
        )  # fmt: skip
    kept = store.backup.get("retention") or {}
    at = stamp_of(kept.get("lastSuccess"))
    if subject.now - at > FRESH_HOURS * 3600:
        return _unlisted(store, kept)
    census = Census(kept.get("days", 0), kept.get("months", 0), kept.get("surplus", 0), int(stamp_of(kept.get("oldest"))))  # fmt: skip
    since = stamp_of(store.backup.get("firstSuccess") or kept.get("oldest")) or at
    if odd := tuple(deviations_of(census, rules, since, at)):
        return failed(
            "NotAsScheduled", f"{store.name}: {'; '.join(odd)}", expected=f"{rules.daily} daily and {rules.monthly} monthly, as far as it is old enough, and one more or less",
            observed=f"{census.days} days, {census.months} months, {census.surplus} that no rule keeps",
            fix="a day that is missing stays so until it need not be kept any more: a ReadinessWaiver may excuse it till then; what is too much goes little by little",
        )  # fmt: skip
    return passed("Kept", f"the repository of {store.name} lists what is to be kept")


def _unlisted(store: Store, kept: Manifest) -> Verdict:
    expected, fix = (
        "a listing of the last 26 h",
        f"its CronJob is daily at 5; {remedy_of(store.name)}",
    )
    if reason := kept.get("reason"):
        words = f"retention of {store.name} does not succeed: {reason}: {kept.get('message', '')}"
        return failed("RetentionFails", words, expected=expected, observed=reason, fix=fix)
    words = f"no run has told lately what the repository of {store.name} lists"
    return unknown("NotListed", words, expected=expected, fix=fix)


def _rules(subject: Subject, store: Store, backups: Backups) -> Rules:
    """What spec.backups says, or the service's own word."""
    service = next(s for s in subject.policy.data_services if s.name == store.name)
    own = service.backup.retention if service.backup else None
    kept = own or backups.retention
    return Rules(kept.daily, kept.monthly, kept.keep_last)


def judge_restored(subject: Subject, store: Store, _backups: Backups) -> Verdict:
    """BKP-005: a drill that passed lately, and fast enough."""
    if lack := unrestored(store.backup, subject.now):
        return lacking(lack, store, "a restore drill of the last 8 days that passed")
    most, took = subject.params["maxRTO"], store.backup["restoreDrill"].get("rtoSeconds", 0)
    if took > most:
        return failed(
            "TooSlow", f"restoring {store.name} took longer than it may", expected=f"{most} s or less", observed=f"{took} s",
            fix="give the drill's server more memory and a faster volume, split the data, or declare the time it may take (params.maxRTO)",
        )  # fmt: skip
    return passed("Restored", f"a snapshot of {store.name} was restored, and held what was saved")


PLUGINS: Final = (
    Control(
        id="BKP-001", title="MongoDB saved daily", severity=Severity.P0, needs=(DECLARED,), max_age=MAX_AGE, stores=("mongodb",),
        criterion="The last backup that succeeded, was read back and looks like those before it is no older than maxAgeHours.",
        fix="declare spec.backups; see status.dataServices for why its runs do not succeed", judge=on_backups(judge_saved), params=(_AGE,),
        checklists=("002/8.a1", "002/8.t1", "002/8.t4"),
    ),
    Control(
        id="BKP-002", title="Redis writes RDB and AOF, and is saved", severity=Severity.P0, needs=(DECLARED,), max_age=MAX_AGE, stores=("redis",),
        criterion="Every member has appendonly yes, appendfsync everysec or always, and save points; the last write of both succeeded; and the last "
        "backup that looks like those before it is no older than maxAgeHours.",
        fix="declare spec.backups; set appendonly yes and save points", safety=Safety.BENIGN, ask=ask_store,
        judge=judge_redis, params=(_AGE,), checklists=("002/8.a2", "002/8.t2"),
    ),
    Control(
        id="BKP-004", title="Backups kept as long as declared", severity=Severity.P0, needs=(DECLARED,), max_age=MAX_AGE, stores=KINDS,
        criterion="No fewer days and months are kept than the parameters say, and the repository itself lists, but for one, a complete snapshot of each of "
        "those days and months since the first, and none that no rule keeps. A run of the last 26 h listed them.",
        fix="declare spec.backups.retention: {daily: 30, monthly: 12}, and let retention run", judge=on_backups(judge_kept),
        params=(Param("daily", 30, "Days of which one is kept.", "higher"), Param("monthly", 12, "Months of which one is kept.", "higher")),
        checklists=("002/8.a7",),
    ),
    Control(
        id="BKP-005", title="Backups restored on purpose", severity=Severity.P0, needs=(DECLARED,), max_age=MAX_AGE, stores=KINDS,
        criterion="In the last 8 days a snapshot was restored into a throw-away server that then held what was saved (counts, samples, indexes, users), in "
        "maxRTO seconds or less, and no drill has failed since.",
        fix="see status.dataServices for what differed", judge=on_backups(judge_restored),
        params=(Param("maxRTO", RESTORE_SECONDS, "Longest time from the first byte to a server that has everything, in seconds.", "lower"),),
        checklists=("002/8.a5", "003/4.3", "003/4.3a"),
    ),
    Control(
        id="BKP-009", title="RabbitMQ's definitions saved daily", severity=Severity.P2, needs=(DECLARED,), max_age=MAX_AGE, stores=("rabbitmq",),
        criterion="The last backup of its definitions that succeeded, was read back and looks like those before it is no older than maxAgeHours. Messages "
        "are not in it: quorum queues protect those.",
        fix="declare spec.backups; see status.dataServices for why its runs do not succeed", judge=on_backups(judge_saved), params=(_AGE,),
    ),
)  # fmt: skip
