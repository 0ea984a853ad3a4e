"""DAT: who is let into a data service, and whether it is a real one that answers.

Who is let in is tried, not read from a configuration: an anonymous connection, the login that an
installation begins with, the application's own. No name of a user but those of defaults is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from readiness.connections import is_placeholder, urls_of
from readiness.control import Control, Subject, failed, passed, unknown
from readiness.inspecting import (
    KINDS,
    MAX_AGE,
    Seen,
    ask_store,
    on_store,
    reasons_of,
    silence,
)
from readiness.inspection import Told
from readiness.model import Safety, Severity, Verdict
from readiness.passive import listed

_ROLES: Final = frozenset(
    {"root", "__system", "clusterAdmin", "clusterManager", "hostManager", "userAdminAnyDatabase", "dbAdminAnyDatabase",
     "readWriteAnyDatabase", "dbOwner@admin", "userAdmin@admin", "readWrite@admin", "restore", "backup"}
)  # fmt: skip
_APP: Final = "give the application a user of its own, with rights on its data only"


def judge_access(subject: Subject, seen: Seen) -> Verdict:
    """DAT-008: nobody without a name, nobody by a default, and no application as administrator."""
    asked = [told for told in seen.told if told.facts]
    open_ = [told.name for told in asked if told.facts.get("anonymous")]
    if open_:
        sentinels = all(told.sentinel for told in asked if told.name in open_)
        return failed(
            "SentinelOpen" if sentinels else "OpenToAnyone", f"{listed(open_)} lets in whoever connects, without a login",
            expected="an anonymous connection is refused", observed="commands are carried out",
            fix="set a password for the Sentinels (requirepass, or an ACL)" if sentinels
            else "require a login: an ACL file or requirepass, security.authorization, users of a RabbitMQ",
        )  # fmt: skip
    if not asked:
        return silence(seen)
    return _defaults(asked) or _application(subject, seen, asked) or passed(
        "LeastPrivilege", "nobody is let in without a login or by a default one, and the application is no administrator"
    )  # fmt: skip


def _defaults(asked: Iterable[Told]) -> Verdict | None:
    for told in asked:
        names = {user.get("name") for user in told.facts.get("users") or ()}
        if told.facts.get("guest") or "guest" in names:
            return failed(
                "DefaultAccount", "the user guest is there, as every installation begins with", expected="no user guest",
                observed="it is let in" if told.facts.get("guest") else "it exists", fix="rabbitmqctl delete_user guest",
            )  # fmt: skip
    return None


def _application(subject: Subject, seen: Seen, asked: list[Told]) -> Verdict | None:
    if seen.store.request.app is None:
        return unknown(
            "LoginNotDeclared", f"what the application may do in {seen.store.name} cannot be seen: its login is not declared",
            fix=f"declare spec.dataServices[{seen.store.name}].external.{seen.store.kind}.secretRef",
        )  # fmt: skip
    powers = {told.name: _powers(told) for told in asked if not told.sentinel}
    strong = sorted(name for name, power in powers.items() if power)
    if strong:
        return failed(
            "AppIsAdministrator", f"the application's login may change the server: {listed(p for p in powers.values() if p)}",
            expected="rights on its own data only", observed="it is an administrator", fix=_APP,
        )  # fmt: skip
    if not any(_let_in(told) for told in asked):
        return unknown("AppLoginRefused", f"the application's login is refused by {seen.store.name}", fix="see DAT-014")  # fmt: skip
    return None


def _powers(told: Told) -> str:
    """What the application may do that is an administrator's, in a word; empty where nothing is."""
    app = told.facts.get("app")
    if told.facts.get("admin"):
        return "CONFIG is carried out for it"
    if isinstance(app, dict):
        return "it has the tag administrator" if "administrator" in app.get("tags", ()) else ""
    if isinstance(app, list):
        return listed(r for r in app if r in _ROLES or r.partition("@")[0] in _ROLES)
    return ""


def _let_in(told: Told) -> bool:
    """A RabbitMQ's user without a tag is refused by its management, and that is how it should be."""
    return told.facts.get("app") not in (None, False)


def judge_target(subject: Subject, seen: Seen) -> Verdict:
    """DAT-014: a real name, that resolves, where something answers and lets the application in."""
    invented = [host for host in seen.store.declared if not seen.store.provided and is_placeholder(host)]  # fmt: skip
    found = [
        f"{url.where} of {name}"
        for name, workload in subject.snapshot.workloads.items()
        if seen.store.name in next((t.uses for t in subject.policy.targets if t.name == name), ())
        for url in urls_of(workload, subject.snapshot, seen.store.kind)
        if any(map(is_placeholder, url.hosts))
    ]
    if invented or found:
        return failed(
            "Placeholder", f"it leads nowhere real: {listed([*invented, *found])}", expected="the name of a real server",
            observed="localhost, an example or a placeholder", fix="set the address of the real store",
        )  # fmt: skip
    lost = [told.name for told in seen.silent if told.error == "NameNotFound"]
    if lost:
        return failed(
            "NameNotFound", f"{listed(lost)} does not resolve", expected="a name that resolves", observed="no address",
            fix="correct the host, or its DNS record",
        )  # fmt: skip
    if not seen.members:
        return silence(seen)
    out = [told.name for told in seen.members if told.facts.get("app") is False]
    if out:
        return failed(
            "LoginRefused", f"{listed(out)} refuses the application's login", expected="the login of the Secret is let in",
            observed="it is refused", fix="compare user and password of the Secret with the server's",
        )  # fmt: skip
    more = f"; {reasons_of(seen.silent)}" if seen.silent else ""
    return passed("Answers", f"{seen.store.name} is a real {seen.store.kind} that answers{more}")


PLUGINS: Final = (
    Control(
        id="DAT-008", title="Store logins with least privilege", severity=Severity.P0, safety=Safety.BENIGN, stores=KINDS,
        criterion="Every server, Sentinels too, refuses a connection without a login; no user guest is left; the application's login "
        "(secretRef, or the binding of a store of ours) is let in and may change no server: CONFIG GET, the tag administrator, roles "
        "beyond its own databases.",
        fix=_APP, ask=ask_store, judge=on_store(judge_access, at_least_one=False, everybody=True), max_age=MAX_AGE,
        checklists=("002/8.a1", "003/5.1", "003/4.3a"),
    ),
    Control(
        id="DAT-014", title="A real store that answers", severity=Severity.P0, safety=Safety.BENIGN, stores=KINDS,
        criterion="Neither the declared hosts nor visible connection strings of the targets that use it are localhost, an example or a "
        "placeholder; the names resolve, a member answers its protocol, and the application's login is not refused.",
        fix="declare and use the address of the real store", ask=ask_store,
        judge=on_store(judge_target, at_least_one=False), max_age=MAX_AGE, checklists=("003/G6", "004/B0"),
    ),
)  # fmt: skip
