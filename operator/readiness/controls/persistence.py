"""HA: whether what a data service holds outlives its processes: on volumes, written, and not thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from readiness.control import Control, Param, Subject, failed, passed
from readiness.inspecting import KINDS, MAX_AGE, Seen, ask_store, on_store, refused
from readiness.model import Manifest, Safety, Severity, Verdict
from readiness.passive import listed
from readiness.workload import key_of, pod_spec

FREE: Final = 0.2


def judge_persistence(subject: Subject, seen: Seen) -> Verdict:
    """HA-009: a claim for each member, a server that writes, and room to write."""
    problems = (*_volumes(seen), *_SERVERS[seen.store.kind](subject, seen))
    if problems:
        return problems[0]
    more = "" if seen.store.sets else "; its volumes cannot be seen from here"
    return passed("Persistent", f"members keep what they hold{more}")


def _volumes(seen: Seen) -> Iterator[Verdict]:
    """Workloads of members only: Sentinels may lose theirs."""
    names = {told.name for told in seen.members}
    owned = {
        (o.get("kind"), o.get("name"))
        for pod in seen.store.pods if pod["metadata"]["name"] in names or seen.store.kind == "rabbitmq"
        for o in pod["metadata"].get("ownerReferences") or ()
    }  # fmt: skip
    bare = [
        key_of(each) for each in seen.store.sets
        if (each.get("kind"), each["metadata"]["name"]) in owned and not _claims(each)
    ]  # fmt: skip
    if bare:
        yield failed(
            "NoVolume", f"{listed(bare)} keeps its data in the pod", expected="a PersistentVolumeClaim for each member",
            observed="none", fix="add volumeClaimTemplates for the directory of its data",
        )  # fmt: skip


def _claims(workload: Manifest) -> bool:
    if (workload.get("spec") or {}).get("volumeClaimTemplates"):
        return True
    return any("persistentVolumeClaim" in v or "ephemeral" in v for v in pod_spec(workload).get("volumes") or ())  # fmt: skip


def _redis(subject: Subject, seen: Seen) -> Iterator[Verdict]:
    infos, configs = seen.facts("info"), seen.facts("config")
    failing = [
        name for name, info in infos.items()
        if "err" in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status"))
    ]  # fmt: skip
    if failing:
        yield failed(
            "WritesFail", f"{listed(failing)} could not write its data the last time", expected="the last save succeeded",
            observed="it failed", fix="see its log: most often the volume is full",
        )  # fmt: skip
    logging = {name for name, info in infos.items() if info.get("aof_enabled") == "1"}
    unknown_ = infos.keys() - configs.keys() - logging
    forgetful = [n for n, c in configs.items() if n not in logging and not c.get("save") and c.get("appendonly") != "yes"]  # fmt: skip
    if forgetful:
        yield failed(
            "NotPersisted", f"{listed(forgetful)} writes nothing down: a restart loses everything",
            expected="appendonly yes, or save points", observed='appendonly no, save ""', fix="set appendonly yes",
        )  # fmt: skip
    evicting = [n for n, c in configs.items() if c.get("maxmemory-policy", "noeviction") != "noeviction"]  # fmt: skip
    if evicting and not _is_cache(subject, seen):
        yield failed(
            "Evicts", f"{listed(evicting)} throws keys away when its memory is full", expected="maxmemory-policy noeviction",
            observed=listed(sorted({configs[n]["maxmemory-policy"] for n in evicting})),
            fix="set maxmemory-policy noeviction; for a cache say so: controls: [{id: HA-009, params: {evicts: true}}]",
        )  # fmt: skip
    if unknown_:
        yield refused(seen, "config", "the command CONFIG GET")


def _is_cache(subject: Subject, seen: Seen) -> bool:
    """Eviction was declared: as a parameter, or as a setting of a Redis of ours."""
    service = next(s for s in subject.policy.data_services if s.name == seen.store.name)
    declared = service.redis is not None and any(o.name == "maxmemory-policy" for o in service.redis.config)  # fmt: skip
    return bool(subject.params["evicts"]) or declared


def _mongodb(subject: Subject, seen: Seen) -> Iterator[Verdict]:
    engines = seen.facts("storage")
    volatile = [name for name, engine in engines.items() if engine.get("persistent") is False]
    if volatile:
        yield failed(
            "NotPersisted", f"{listed(volatile)} keeps everything in memory", expected="a storage engine that persists",
            observed=listed(sorted({str(engines[n].get("name")) for n in volatile})), fix="use wiredTiger",
        )  # fmt: skip
    full = [n for n, d in seen.facts("disk").items() if _share(d.get("fsUsedSize"), d.get("fsTotalSize")) > 1 - FREE]  # fmt: skip
    yield from _full(full)
    if not engines:
        yield refused(seen, "serverStatus", "the role clusterMonitor")


def _rabbitmq(_subject: Subject, seen: Seen) -> Iterator[Verdict]:
    nodes: list[Mapping[str, Any]] = next(iter(seen.facts("nodes").values()), [])
    alarmed = [n["name"] for n in nodes if n.get("disk_free_alarm")]
    sizes = {_claimed(each) for each in seen.store.sets} - {0.0}
    small = [n["name"] for n in nodes if sizes and _share(n.get("disk_free"), max(sizes)) < FREE and n.get("disk_free")]  # fmt: skip
    yield from _full([*alarmed, *small])
    if not nodes:
        yield refused(seen, "nodes", "the tag monitoring")


def _full(names: list[str]) -> Iterator[Verdict]:
    if names:
        yield failed(
            "VolumeFull", f"{listed(names)} has little room left on its volume", expected="20 % free or more",
            observed="less", fix="let the volume grow, or remove what is not needed",
        )  # fmt: skip


def _share(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if part is not None and whole else 0.0


def _claimed(workload: Manifest) -> float:
    units = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    for claim in (workload.get("spec") or {}).get("volumeClaimTemplates") or ():
        size = str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", ""))  # fmt: skip
        if size[-2:] in units and size[:-2].isdigit():
            return float(int(size[:-2]) * units[size[-2:]])
    return 0.0


_SERVERS: Final = {"redis": _redis, "mongodb": _mongodb, "rabbitmq": _rabbitmq}

PLUGINS: Final = (
    Control(
        id="HA-009", title="Stores persistent", severity=Severity.P0, safety=Safety.BENIGN, stores=KINDS,
        criterion="Every member has a PersistentVolumeClaim, writes its data down (Redis: appendonly or save points, the last write succeeded, no "
        "eviction that is not declared; MongoDB: an engine that persists), and has 20 % of its volume free as far as the server tells.",
        fix="give every member a volume, and let the server write to it", ask=ask_store, judge=on_store(judge_persistence, everybody=True),
        max_age=MAX_AGE, params=(Param("evicts", False, "Whether a Redis may throw keys away, as a cache does.", "false"),),
        checklists=("002/7.a1", "002/7.t1"),
    ),
)  # fmt: skip
