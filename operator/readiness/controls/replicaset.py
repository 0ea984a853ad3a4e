"""HA: whether a MongoDB survives the loss of a member, by what the members of its set say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from readiness.control import Control, Param, Subject, failed, passed
from readiness.inspecting import MAX_AGE, Seen, ask_store, on_store, refused
from readiness.model import Safety, Severity, Verdict
from readiness.passive import listed

MAX_LAG: Final = 10
_UNWELL: Final = {
    0: "starts", 3: "recovers", 5: "copies the data", 6: "is not known", 8: "is down", 9: "rolls back", 10: "was removed",
}  # fmt: skip


def judge_mongodb(subject: Subject, seen: Seen) -> Verdict:
    """HA-002: a replica set that elects and has everything twice more."""
    hellos, statuses = seen.facts("hello"), seen.facts("status")
    outside = [name for name, hello in hellos.items() if not hello.get("setName")]
    if outside:
        return failed(
            "NotInSet", f"{listed(outside)} is in no replica set", expected="every member in one replica set",
            observed=f"{len(outside)} in none", fix="run it with replication.replSetName, and initiate the set",
        )  # fmt: skip
    if not statuses:
        return refused(seen, "replSetGetStatus", "the role clusterMonitor")
    status = next((s for s in statuses.values() if s.get("myState") == 1), next(iter(statuses.values())))  # fmt: skip
    config = next(iter(seen.facts("config").values()), None)
    problems = (*_votes(config), *_states(status, int(subject.params["secondaries"])))
    if problems:
        return problems[0]
    if (soft := _soft(seen)) is not None:
        return soft
    if config is None:
        return refused(seen, "replSetGetConfig", "the role clusterMonitor")
    return passed("HighlyAvailable", "one primary, secondaries that follow, and an odd number of votes")  # fmt: skip


def _soft(seen: Seen) -> Verdict | None:
    """Writes that one member acknowledges are lost with it."""
    concerns = {name: (d.get("defaultWriteConcern") or {}).get("w") for name, d in seen.facts("defaults").items()}  # fmt: skip
    weak = [name for name, w in concerns.items() if w not in (None, "majority")]
    if not weak:
        return None
    return failed(
        "WritesNotMajority", "writes that ask for nothing wait for fewer members than a majority", expected="defaultWriteConcern w: majority",
        observed=listed(sorted({f"w: {concerns[name]}" for name in weak})), fix="setDefaultRWConcern with w: majority, on the primary",
    )  # fmt: skip


def _votes(config: Mapping[str, Any] | None) -> Iterator[Verdict]:
    if config is None:
        return
    members = config.get("members") or ()
    votes = sum(int(m.get("votes", 1)) > 0 for m in members)
    bearing = sum(int(m.get("votes", 1)) > 0 and not m.get("arbiterOnly") for m in members)
    if bearing < 3:
        yield failed(
            "TooFewMembers", "with so few members that vote and hold data, the loss of one leaves one copy or none",
            expected="three members or more that vote and hold data", observed=f"{bearing}", fix="rs.add() members until there are three",
        )  # fmt: skip
    if votes % 2 == 0:
        yield failed(
            "EvenVotes", "an even number of votes can tie, and survives no more losses than one less",
            expected="an odd number of votes", observed=f"{votes}", fix="add a member, or take the vote of one",
        )  # fmt: skip


def _states(status: Mapping[str, Any], least: int) -> Iterator[Verdict]:
    members = status.get("members") or ()
    primary = next((m for m in members if m.get("state") == 1), None)
    unwell = [f"{m['name']} {_UNWELL.get(int(m.get('state', 6)), 'is not well')}" for m in members if m.get("state") not in (1, 2, 7) or not m.get("health", 1)]  # fmt: skip
    if primary is None:
        yield failed(
            "NoPrimary", f"no member is the primary: {listed(unwell) or 'an election goes on'}",
            expected="one primary", observed="none", fix="bring the members back that are down; rs.status()",
        )  # fmt: skip
        return
    seconds = [m for m in members if m.get("state") == 2 and m.get("health", 1)]
    late = [m["name"] for m in seconds if _lag(primary, m) > MAX_LAG]
    if len(seconds) - len(late) < least:
        words = listed([*unwell, *(f"{name} lags" for name in late)])
        yield failed(
            "Lagging" if late and not unwell else "TooFewSecondaries", f"too few members could take over: {words or 'no more are configured'}",
            expected=f"{least} secondaries within {MAX_LAG} s", observed=f"{len(seconds) - len(late)}",
            fix="see the log of the members that are named; rs.printSecondaryReplicationInfo()",
        )  # fmt: skip


def _lag(primary: Mapping[str, Any], member: Mapping[str, Any]) -> float:
    mine, first = (_seconds(each.get("optime")) for each in (member, primary))
    return first - mine if mine and first else 0.0


def _seconds(optime: Any) -> float:
    stamp = optime.get("ts") if isinstance(optime, Mapping) else None
    return float(getattr(stamp, "time", 0) if stamp is not None else 0)


PLUGINS: Final = (
    Control(
        id="HA-002", title="MongoDB replica set of three", severity=Severity.P0, safety=Safety.BENIGN, stores=("mongodb",),
        criterion="Three members or more vote and hold data, the number of votes is odd, one is primary, and 2 secondaries are well "
        "and within 10 s of it; writes wait for a majority by default.",
        fix="let three members vote and hold data; rs.status() tells who does not follow",
        ask=ask_store, judge=on_store(judge_mongodb), max_age=MAX_AGE,
        params=(Param("secondaries", 2, "Secondaries that must follow.", "higher"),),
        checklists=("002/7.a2", "002/7.t2", "002/7.t4"),
    ),
)  # fmt: skip
