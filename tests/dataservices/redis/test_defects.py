"""The controls of data services on a real Redis that somebody else runs: healthy, and with one clause broken at a time."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from looked import deviating, no_name, secret_of, verdicts_of
from readiness.api.policy import PolicySpec
from readiness.control import Subject
from readiness.engines.guard import Egress, Guard
from readiness.engines.inspection import Inspector
from readiness.inspection import StoreAnswer
from readiness.model import Manifest, Verdict
from readiness.snapshot import Snapshot
from readiness.subjects import subjects_of

from .rig import image_root

pytestmark = pytest.mark.slow
PASSWORDS = {"look": "look-secret-1", "app": "app-secret-22"}
NAMES = {**{f"r{n}": f"127.77.0.{n + 1}" for n in range(3)}, **{f"s{n}": f"127.77.1.{n + 1}" for n in range(3)}}  # fmt: skip
ACL = f"""user default off
user admin on >admin-secret ~* &* +@all
user look on >{PASSWORDS["look"]} ~* &* -@all +info +config|get +ping +scan +type +ttl +cluster
user app on >{PASSWORDS["app"]} ~* &* +@all -@admin -@dangerous +info
"""
SENTINEL_ACL = f"""user default off
user admin on >admin-secret ~* &* +@all
user look on >{PASSWORDS["look"]} &* -@all +sentinel|master +sentinel|replicas +sentinel|sentinels +sentinel|ckquorum +ping
"""
LOOKED = ("HA-001", "HA-009", "HLT-006", "DAT-008", "DAT-014")


def binary(name: str) -> list[str]:
    """A program of the image, with the image's own libraries."""
    root = image_root("trixie")
    lib = root / "usr/lib/x86_64-linux-gnu"
    return [str(lib / "ld-linux-x86-64.so.2"), "--library-path", str(lib), str(root / "usr/bin" / name)]  # fmt: skip


@dataclass
class Lab:
    """Three members and three Sentinels on loopback addresses."""

    home: Path
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *options: str) -> None:
        place = self.home / name
        place.mkdir(exist_ok=True)
        sentinel = name.startswith("s")
        (place / "users.acl").write_text(SENTINEL_ACL if sentinel else ACL)
        lines = [f"bind {NAMES[name]}", f"dir {place}", f"aclfile {place}/users.acl", "protected-mode no", "daemonize no"]  # fmt: skip
        if sentinel:
            lines += [
                "port 26379", f"sentinel monitor mymaster {NAMES['r0']} 6379 2", "sentinel auth-user mymaster admin",
                "sentinel auth-pass mymaster admin-secret", "sentinel sentinel-user admin", "sentinel sentinel-pass admin-secret",
                "sentinel down-after-milliseconds mymaster 1000", f"sentinel announce-ip {NAMES[name]}",
            ]  # fmt: skip
        else:
            lines += [
                "port 6379", "appendonly yes", "min-replicas-to-write 1", "maxmemory 64mb", "repl-diskless-sync-delay 0",
                "masteruser admin", "masterauth admin-secret", f"replica-announce-ip {NAMES[name]}",
            ]  # fmt: skip
            if name != "r0":
                lines.append(f"replicaof {NAMES['r0']} 6379")
        (place / "server.conf").write_text("\n".join([*lines, *options, ""]))
        mode = ["--sentinel"] if sentinel else []
        with (self.home / f"{name}.log").open("ab") as log:
            self.servers[name] = subprocess.Popen(
                [*binary("redis-server"), str(place / "server.conf"), *mode], stdout=log, stderr=log
            )

    def stop(self, name: str) -> None:
        server = self.servers.pop(name)
        server.kill()
        server.wait()

    def tell(self, name: str, *command: str) -> str:
        port = "26379" if name.startswith("s") else "6379"
        line = [*binary("redis-cli"), "-h", NAMES[name], "-p", port, "--user", "admin", "--pass", "admin-secret", "--no-auth-warning"]  # fmt: skip
        return subprocess.run([*line, *command], capture_output=True, text=True, timeout=20, check=False).stdout  # fmt: skip

    def eventually(self, holds: Callable[[], bool], within: float = 60.0) -> None:
        end = time.monotonic() + within
        while not holds():
            assert time.monotonic() < end, "the set never came to that"
            time.sleep(0.5)

    def whole(self) -> bool:
        roles = self.tell("r0", "info", "replication").count("state=online") == 2
        return roles and all(
            "OK" in self.tell(f"s{n}", "sentinel", "ckquorum", "mymaster")
            and "down" not in self.tell(f"s{n}", "sentinel", "sentinels", "mymaster").replace("down-after", "")
            and self.tell(f"s{n}", "sentinel", "replicas", "mymaster").count("master-link-status\nok") == 2
            for n in range(3)
        )  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    found = Lab(tmp_path_factory.mktemp("lab"))
    try:
        for name in NAMES:
            found.start(name)
        found.eventually(found.whole)
        yield found
    finally:
        for name in list(found.servers):
            found.stop(name)


def secret(name: str) -> Manifest:
    return secret_of(name, PASSWORDS.get(name, "wrong-secret"))


SECRETS = {name: secret(name) for name in ("look", "app", "wrong")} | {
    "closed": {**secret("look"), "metadata": {"name": "closed"}}
}
DECLARED: Manifest = {
    "hosts": ["s0", "s1", "s2"], "sentinel": {}, "secretRef": {"name": "app"}, "probeSecretRef": {"name": "look"},
}  # fmt: skip


def subject_of(declared: Manifest, egress: bool = True) -> Subject:
    spec = PolicySpec.model_validate({"dataServices": [{"name": "cache", "external": {"redis": declared}}]})  # fmt: skip
    addresses = {address: name for name, address in NAMES.items()} if egress else {}
    return subjects_of("shop", spec, Snapshot("shop", pod_addresses=addresses), time.time())["cache"]  # fmt: skip


def judged(declared: Manifest = DECLARED, egress: bool = True) -> dict[str, Verdict]:
    """The verdict of every control, from one look."""
    subject = subject_of(declared, egress)
    assert subject.store is not None

    async def find(_namespace: str, name: str) -> Manifest | None:
        return SECRETS.get(name)

    guard = Guard(Egress(tuple(f"{address}/32" for address in NAMES.values())), no_name)
    request = subject.store.request
    answer: StoreAnswer = asyncio.run(Inspector(guard, find).inspect(request))
    found = verdicts_of(dict.fromkeys(LOOKED, subject), {request: answer})
    for verdict in found.values():
        assert not any(password in str(verdict) for password in PASSWORDS.values())
    return found


def test_a_healthy_set_passes_everything(lab: Lab) -> None:
    assert deviating(judged()) == {}


def test_who_is_not_reached_is_not_judged(lab: Lab) -> None:
    found = deviating(judged(egress=False))

    assert found == {"HA-001": "Unknown/EgressRefused", "HA-009": "Unknown/EgressRefused", "HLT-006": "Unknown/EgressRefused", "DAT-008": "Unknown/EgressRefused", "DAT-014": "Unknown/EgressRefused"}  # fmt: skip


@pytest.mark.parametrize(
    ("login", "reason"),
    [("closed", "NotConsented"), ("none", "SecretNotFound"), ("wrong", "LoginRefused")],
)
def test_nobody_logs_in_without_consent(lab: Lab, login: str, reason: str) -> None:
    found = judged({**DECLARED, "probeSecretRef": {"name": login}})

    assert {found["HA-001"].reason, found["HA-009"].reason} == {reason}


Undo = Callable[[Lab], None]


def configured(key: str, bad: str, good: str, where: str = "r0") -> tuple[Callable[[Lab], Any], Undo]:  # fmt: skip
    return (
        lambda lab: lab.tell(where, "config", "set", key, bad),
        lambda lab: lab.tell(where, "config", "set", key, good),
    )


def ruled(where: str, user: str, bad: tuple[str, ...], good: tuple[str, ...]) -> tuple[Callable[[Lab], Any], Undo]:  # fmt: skip
    return (
        lambda lab: lab.tell(where, "acl", "setuser", user, *bad),
        lambda lab: lab.tell(where, "acl", "setuser", user, *good),
    )


def forgets(lab: Lab) -> None:
    lab.tell("r1", "config", "set", "appendonly", "no")
    lab.tell("r1", "config", "set", "save", "")


def sentinel_lost(lab: Lab) -> None:
    lab.stop("s2")
    lab.eventually(lambda: "s_down" in lab.tell("s0", "sentinel", "sentinels", "mymaster"))


def sentinels_lost(lab: Lab) -> None:
    lab.stop("s1")
    sentinel_lost(lab)


def replica_lost(lab: Lab) -> None:
    lab.stop("r2")
    lab.eventually(lambda: "s_down" in lab.tell("s0", "sentinel", "replicas", "mymaster"))


def back(*names: str) -> Undo:
    def start(lab: Lab) -> None:
        for name in names:
            if name not in lab.servers:
                lab.start(name)

    return start


DEFECTS: dict[str, tuple[Callable[[Lab], Any], Undo, dict[str, str]]] = {
    "takes writes alone": (*configured("min-replicas-to-write", "0", "1"), {"HA-001": "Fail/AcceptsAlone"}),
    "throws keys away": (*configured("maxmemory-policy", "allkeys-lru", "noeviction"), {"HA-009": "Fail/Evicts"}),
    "a member writes nothing down": (forgets, lambda lab: lab.tell("r1", "config", "set", "appendonly", "yes"), {"HA-009": "Fail/NotPersisted"}),
    "anybody is let in": (*ruled("r2", "default", ("on", "nopass", "~*", "+@all"), ("off", "reset")), {"DAT-008": "Fail/OpenToAnyone"}),
    "anybody may tell a Sentinel": (*ruled("s1", "default", ("on", "nopass", "&*", "+@all"), ("off", "reset")), {"DAT-008": "Fail/SentinelOpen"}),
    "the application is an administrator": (*ruled("r0", "app", ("+@all",), ("-@admin", "-@dangerous", "+info")), {"DAT-008": "Fail/AppIsAdministrator"}),
    "the application's password is another": (*ruled("r0", "app", ("resetpass", ">other-secret"), ("resetpass", f">{PASSWORDS['app']}")), {"DAT-014": "Fail/LoginRefused"}),
    "settings may not be read": (*ruled("r0", "look", ("-config",), ("+config|get",)), {"HA-001": "Unknown/NotPermitted"}),
    "a Sentinel is down": (sentinel_lost, back("s2"), {"HA-001": "Fail/SentinelDown", "HA-009": "Unknown/Unreachable", "DAT-008": "Unknown/Unreachable", "HLT-006": "Fail/MemberSilent"}),
    "a minority of Sentinels": (sentinels_lost, back("s1", "s2"), {"HA-001": "Fail/NoMajority", "HA-009": "Unknown/Unreachable", "DAT-008": "Unknown/Unreachable", "HLT-006": "Fail/MemberSilent"}),
    "a replica is down": (replica_lost, back("r2"), {"HA-001": "Fail/TooFewReplicas", "HA-009": "Unknown/Unreachable", "DAT-008": "Unknown/Unreachable", "HLT-006": "Fail/MemberSilent"}),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_found_and_nothing_else(lab: Lab, defect: str) -> None:
    plant, undo, expected = DEFECTS[defect]
    try:
        plant(lab)
        found = judged()
        print(defect, {id_: found[id_].message for id_ in expected})
        assert deviating(found) == expected
    finally:
        undo(lab)
        lab.eventually(lab.whole)
    assert deviating(judged()) == {}, "mended, it passes again"
