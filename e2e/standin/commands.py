"""The commands of a mongod, as far as a driver, an operator and a ledger of writes need them; who may give them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from bson.timestamp import Timestamp

from standin.replica import NUMBERS, Refusal, Replica, not_primary, told
from standin.scram import Exchange, Kept, keep
from standin.wire import Document

ANYBODY = {
    "hello",
    "ismaster",
    "isMaster",
    "ping",
    "buildInfo",
    "saslStart",
    "saslContinue",
    "logout",
    "endSessions",
    "connectionStatus",
}
LOOPBACK = {"replSetInitiate", "createUser", "replSetGetStatus"}
RIGHTS: Mapping[str, set[str]] = {
    "clusterManager": {"replSetInitiate", "replSetReconfig", "replSetGetConfig", "replSetGetStatus", "replSetStepDown",
                       "setDefaultRWConcern", "getDefaultRWConcern"},
    "clusterMonitor": {"replSetGetConfig", "replSetGetStatus", "getDefaultRWConcern", "aggregate", "serverStatus", "dbStats"},
    "userAdminAnyDatabase": {"createUser", "updateUser", "dropUser", "usersInfo"},
    "readWrite": {"insert", "find", "drop"},
    "read": {"find"},
    "backup": {"find"},
}  # fmt: skip
UNAUTHORIZED = Refusal(13, "Unauthorized", "not authorized")


@dataclass(eq=False)
class Store:
    """What the log adds up to."""

    users: dict[str, Document] = field(default_factory=dict)
    rows: dict[str, dict[Any, Document]] = field(default_factory=dict)
    defaults: Document = field(default_factory=dict)
    retried: dict[str, Document] = field(default_factory=dict)

    def empty(self) -> None:
        for part in (self.users, self.rows, self.defaults, self.retried):
            part.clear()

    def apply(self, op: Document) -> None:
        match op["kind"]:
            case "user":
                self.users[op["name"]] = op
            case "drop user":
                self.users.pop(op["name"], None)
            case "defaults":
                self.defaults = {**self.defaults, **op["values"]}
            case "insert":
                rows = self.rows.setdefault(op["ns"], {})
                rows.update((row["_id"], row) for row in op["documents"])
                self.retried[op["retry"]] = op
            case "drop":
                self.rows.pop(op["ns"], None)


class Server:
    """A mongod. `number` counts connections."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.store = Store()
        self.connections: set[Connection] = set()
        replica.applied, replica.emptied = self.store.apply, self.store.empty


class Connection:
    """One client: who it is, and what it may."""

    def __init__(self, server: Server, *, loopback: bool) -> None:
        self.server, self.replica, self.store = server, server.replica, server.store
        self.user = ""
        self._loopback = loopback
        self._exchange: Exchange | None = None

    async def answer(self, command: Document) -> Document:
        name = next(iter(command))
        try:
            if name == "standin":
                return await self.replica.answer(command)
            self._check(name, command["$db"])
            method = getattr(self, f"on_{name.lower()}", None)
            if method is None:
                raise Refusal(59, "CommandNotFound", f"no such command: '{name}'")
            return {**await method(command), "ok": 1.0}
        except Refusal as refused:
            return refused.answer

    def _check(self, name: str, database: str) -> None:
        if name in ANYBODY:
            return
        if not self.store.users and self._loopback and name in LOOPBACK:
            return
        user = self.store.users.get(self.user)
        for role in user["roles"] if user else ():
            if name in RIGHTS.get(role["role"], ()) and (role["db"] == database or role["role"] not in ("read", "readWrite")):  # fmt: skip
                return
        raise UNAUTHORIZED

    # --- who is there

    async def on_hello(self, command: Document) -> Document:
        me, now = self.replica, datetime.now(UTC)
        found: Document = {
            "helloOk": True, "isWritablePrimary": me.state == "PRIMARY", "ismaster": me.state == "PRIMARY",
            "secondary": me.state == "SECONDARY", "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000,
            "maxWriteBatchSize": 100000, "localTime": now, "logicalSessionTimeoutMinutes": 30, "minWireVersion": 0,
            "maxWireVersion": 25, "readOnly": False,
        }  # fmt: skip
        if command.get("saslSupportedMechs", "").partition(".")[2] in self.store.users:
            found["saslSupportedMechs"] = ["SCRAM-SHA-256"]
        if me.config is None or me.state == "REMOVED":
            return {
                **found,
                "isreplicaset": True,
                "info": "Does not have a valid replica set config",
            }
        found |= {
            "setName": me.config["_id"], "setVersion": me.version[1], "me": me.me,
            "hosts": [m["host"] for m in me.members if m.get("priority", 1) > 0],
            "passives": [m["host"] for m in me.members if not m.get("priority", 1) > 0],
            "lastWrite": {"opTime": told(me.optime), "lastWriteDate": now},
        }  # fmt: skip
        if me.leader:
            found["primary"] = me.leader
        if me.state == "PRIMARY":
            found["electionId"] = ObjectId(f"7fffffff{me.term:016x}")
        return found

    on_ismaster = on_hello

    async def on_ping(self, command: Document) -> Document:
        return {}

    on_endsessions = on_logout = on_ping

    async def on_buildinfo(self, command: Document) -> Document:
        return {"version": "8.0.0-standin", "versionArray": [8, 0, 0, 0]}

    async def on_saslstart(self, command: Document) -> Document:
        if command["mechanism"] != "SCRAM-SHA-256":
            raise Refusal(334, "MechanismUnavailable", "only SCRAM-SHA-256")
        self._exchange = Exchange(bytes(command["payload"]))
        return {"conversationId": 1, "done": False, "payload": self._exchange.first(self._kept())}

    async def on_saslcontinue(self, command: Document) -> Document:
        if self._exchange is None:
            raise Refusal(17, "ProtocolError", "no SASL conversation")
        if not command["payload"]:
            return {"conversationId": 1, "done": True, "payload": b""}
        final = self._exchange.final(bytes(command["payload"]), self._kept())
        if final is None:
            raise Refusal(18, "AuthenticationFailed", "Authentication failed.")
        self.user = self._exchange.user
        return {"conversationId": 1, "done": True, "payload": final}

    def _kept(self) -> Kept:
        user = self.store.users.get(self._exchange.user if self._exchange else "")
        if user is None:
            raise Refusal(18, "AuthenticationFailed", "Authentication failed.")
        return Kept(*(bytes(part) for part in user["kept"]))

    # --- the set

    async def on_replsetinitiate(self, command: Document) -> Document:
        await self.replica.initiate(command["replSetInitiate"])
        return {}

    async def on_replsetgetconfig(self, command: Document) -> Document:
        return {"config": self._config()}

    def _config(self) -> Document:
        if self.replica.config is None:
            raise Refusal(94, "NotYetInitialized", "no replset config has been received")
        return self.replica.config

    async def on_replsetgetstatus(self, command: Document) -> Document:
        me, config = self.replica, self._config()
        if me.state == "REMOVED":
            raise Refusal(93, "InvalidReplicaSetConfig", "Our replica set config is invalid or we are not a member of it")  # fmt: skip
        return {"set": config["_id"], "date": datetime.now(UTC), "myState": NUMBERS[me.state], "term": me.term,
                "members": [self._member(member) for member in me.members]}  # fmt: skip

    def _member(self, member: Document) -> Document:
        me, host = self.replica, member["host"]
        found = {"_id": member["_id"], "name": host}
        if host == me.me:
            return {**found, "health": 1.0, "state": NUMBERS[me.state], "stateStr": me.state, "optime": told(me.optime), "self": True}  # fmt: skip
        if not me.is_near(host):
            return {**found, "health": 0.0, "state": 8, "stateStr": "(not reachable/healthy)", "optime": {"ts": Timestamp(0, 0), "t": -1}}  # fmt: skip
        heard = me.heard[host]
        state = heard.state if heard.state in NUMBERS else "STARTUP"
        return {**found, "health": 1.0, "state": NUMBERS[state], "stateStr": state, "optime": told(heard.optime)}  # fmt: skip

    async def on_replsetreconfig(self, command: Document) -> Document:
        me, old, new = self.replica, self._config(), command["replSetReconfig"]
        limit = command.get("maxTimeMS", 10_000) / 1000
        if command.get("force"):
            raise Refusal(2, "BadValue", "the stand-in is never forced")
        if me.state != "PRIMARY":
            raise not_primary()
        if not await me.until(me.knowing, limit):
            raise Refusal(308, "CurrentConfigNotCommittedYet", "New config is rejected")
        check_config(old, new, me.me)
        await me.install({**new, "term": me.term})
        if not await me.until(lambda: me.knowing() or me.state != "PRIMARY", limit):
            raise Refusal(50, "MaxTimeMSExpired", "the new config did not reach a majority in time")
        return {}

    async def on_replsetstepdown(self, command: Document) -> Document:
        seconds = command["replSetStepDown"]
        await self.replica.step_down(seconds, command.get("secondaryCatchUpPeriodSecs", 10))
        return {}

    async def on_setdefaultrwconcern(self, command: Document) -> Document:
        values = {key: command[key] for key in ("defaultReadConcern", "defaultWriteConcern") if key in command}  # fmt: skip
        await self._write({"kind": "defaults", "values": values}, command)
        return await self.on_getdefaultrwconcern(command)

    async def on_getdefaultrwconcern(self, command: Document) -> Document:
        implied = {"defaultWriteConcern": {"w": "majority", "wtimeout": 0}, "defaultWriteConcernSource": "implicit"}  # fmt: skip
        return {**implied, **self.store.defaults, **({"defaultWriteConcernSource": "global"} if self.store.defaults else {})}  # fmt: skip

    # --- users

    async def on_connectionstatus(self, command: Document) -> Document:
        roles = self.store.users.get(self.user, {}).get("roles", [])
        return {"authInfo": {"authenticatedUserRoles": roles}}

    async def on_serverstatus(self, command: Document) -> Document:
        current = len(self.server.connections)
        storage = {"name": "wiredTiger", "persistent": True}
        return {"connections": {"current": current, "available": 51200 - current}, "storageEngine": storage}  # fmt: skip

    async def on_dbstats(self, command: Document) -> Document:
        return {"fsUsedSize": 1.0, "fsTotalSize": 4.0}

    async def on_usersinfo(self, command: Document) -> Document:
        return {"users": [{"user": name, "db": "admin", "roles": user["roles"]} for name, user in self.store.users.items()]}  # fmt: skip

    async def on_createuser(self, command: Document) -> Document:
        if self.replica.state != "PRIMARY":
            raise not_primary()
        if command["createUser"] in self.store.users:
            raise Refusal(51003, "Location51003", "User already exists")
        await self._user(command["createUser"], command["pwd"], command["roles"], command)
        return {}

    async def on_updateuser(self, command: Document) -> Document:
        old = self.store.users.get(command["updateUser"])
        if old is None:
            raise Refusal(11, "UserNotFound", "no such user")
        kept = None if "pwd" in command else old["kept"]
        await self._user(old["name"], command.get("pwd", ""), command.get("roles", old["roles"]), command, kept)  # fmt: skip
        return {}

    async def _user(self, name: str, password: str, roles: list[Document], command: Document, kept: Any = None) -> None:  # fmt: skip
        made = keep(password)
        kept = kept or [made.salt, made.stored, made.server]
        await self._write({"kind": "user", "name": name, "kept": kept, "roles": roles}, command)

    async def on_dropuser(self, command: Document) -> Document:
        if command["dropUser"] not in self.store.users:
            raise Refusal(11, "UserNotFound", "no such user")
        await self._write({"kind": "drop user", "name": command["dropUser"]}, command)
        return {}

    async def on_aggregate(self, command: Document) -> Document:
        if "$currentOp" not in command["pipeline"][0]:
            raise Refusal(40324, "Location40324", "the stand-in knows $currentOp only")
        names = [c.user for c in self.server.connections if c.user]
        rows = [{"effectiveUsers": [{"user": name, "db": "admin"}]} for name in names]
        return {"cursor": {"id": 0, "ns": "admin.$cmd.aggregate", "firstBatch": rows}}

    # --- a ledger

    async def on_insert(self, command: Document) -> Document:
        retry = f"{command.get('lsid', {}).get('id')}/{command.get('txnNumber')}"
        documents = [{"_id": ObjectId(), **document} for document in command["documents"]]
        if "txnNumber" in command and retry in self.store.retried:
            return {"n": len(documents)}
        ns = f"{command['$db']}.{command['insert']}"
        late = await self._write({"kind": "insert", "ns": ns, "documents": documents, "retry": retry}, command)  # fmt: skip
        return {"n": len(documents), **late}

    async def on_drop(self, command: Document) -> Document:
        ns = f"{command['$db']}.{command['drop']}"
        return {"ns": ns, **await self._write({"kind": "drop", "ns": ns}, command)}

    async def on_find(self, command: Document) -> Document:
        if self.replica.state not in ("PRIMARY", "SECONDARY"):
            raise Refusal(13436, "NotPrimaryOrSecondary", "node is recovering")
        ns = f"{command['$db']}.{command['find']}"
        wanted = command.get("filter", {})
        rows = [
            row for row in self.store.rows.get(ns, {}).values() if wanted.items() <= row.items()
        ]
        return {"cursor": {"id": 0, "ns": ns, "firstBatch": rows}}

    async def _write(self, op: Document, command: Document) -> Document:
        """Write and wait as the command asks, else as the defaults say."""
        concern = (
            command.get("writeConcern") or self.store.defaults.get("defaultWriteConcern") or {}
        )
        optime = await self.replica.write(op)
        if concern.get("w", "majority") == "majority":
            limit = concern.get("wtimeout") or None
            if not await self.replica.await_majority(optime, limit / 1000 if limit else None):
                return {"writeConcernError": {"code": 64, "codeName": "WriteConcernTimeout", "errmsg": "waiting for replication timed out"}}  # fmt: skip
        return {}


def check_config(old: Document, new: Document, me: str) -> None:
    """What a server refuses of a configuration that is not forced."""
    if new["version"] <= old["version"]:
        raise Refusal(
            103,
            "NewReplicaSetConfigurationIncompatible",
            "version and term must be greater than old",
        )
    if new["_id"] != old["_id"] or new.get("settings", {}).get("replicaSetId") != old["settings"]["replicaSetId"]:  # fmt: skip
        raise Refusal(103, "NewReplicaSetConfigurationIncompatible", "another set")
    before, after = ({m["_id"] for m in c["members"] if m.get("votes", 1)} for c in (old, new))
    if len(before ^ after) > 1:
        raise Refusal(93, "InvalidReplicaSetConfig", "Non force replica set reconfig can only add or remove at most 1 voting member.")  # fmt: skip
    ids, hosts = [m["_id"] for m in new["members"]], [m["host"] for m in new["members"]]
    if len(set(ids)) < len(ids) or len(set(hosts)) < len(hosts):
        raise Refusal(93, "InvalidReplicaSetConfig", "duplicate member")
    if not 1 <= len(after) <= 7 or any(not m.get("votes", 1) and m.get("priority", 1) for m in new["members"]):  # fmt: skip
        raise Refusal(93, "InvalidReplicaSetConfig", "votes and priorities")
    known = {m["host"]: m["_id"] for m in old["members"]}
    if any(known.get(m["host"], m["_id"]) != m["_id"] for m in new["members"]):
        raise Refusal(103, "NewReplicaSetConfigurationIncompatible", "a host changed its _id")
    mine = next((m for m in new["members"] if m["_id"] == known[me]), None)
    if mine is None:
        raise Refusal(
            74, "NodeNotFound", "no host described in new configuration maps to this node"
        )
    if not mine.get("priority", 1):
        raise Refusal(
            91, "NodeNotElectable", "this node is not electable under the new configuration"
        )
