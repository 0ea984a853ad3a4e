"""What looks like the address of a store: by scheme, by port, by the name it stands under.

Pure text, of any origin: nothing here may take long on a hostile one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_LONGEST: Final = 4096
_SCHEMES: Final = (
    "redis|rediss|valkey|valkeys|sentinel|mongodb|amqp|amqps|postgres|postgresql|pgsql|cockroachdb|mysql|mariadb|"
    "sqlserver|mssql|oracle|kafka|nats|tls\\+nats|memcached|memcache|cassandra|clickhouse|couchbase|neo4j|bolt|"
    "elasticsearch|opensearch|pulsar|mqtt|mqtts|stomp|db2"
)
_URL: Final = re.compile(
    rf"(?<![a-z0-9+])({_SCHEMES})([+-][a-z0-9+-]{{1,30}})?://([^/?#\s\"'`]{{0,1000}})([^\s\"'`]{{0,1000}})",
    re.IGNORECASE,
)
_ANY_URL: Final = re.compile(
    r"[a-z][a-z0-9+.:-]{0,60}://([^/?#\s\"'`]{0,1000})([^\s\"'`]{0,1000})", re.IGNORECASE
)
_NEXT: Final = re.compile(r"[,;](?=[a-z][a-z0-9+.-]{0,30}://)", re.IGNORECASE)
_HOST: Final = r"\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9_.-]{0,251}[a-z0-9])?\.?"
_PORTED: Final = re.compile(
    rf"(?<![\w.$\[-])({_HOST}):(?:6379|6380|26379|2701[789]|567[12]|5432|6432|3306|1433|1521|9092|9200|11211|4222|9042|26257)(?!\d)",
    re.IGNORECASE,
)
_PIECE: Final = re.compile(rf"({_HOST})(?::\d{{1,5}})?", re.IGNORECASE)
_KEYED: Final = re.compile(
    rf"(?:\b(?:host|hostaddr|server|data source|addr)\s*=\s*|@(?!.*@)(?:tcp\()?)({_HOST})",
    re.IGNORECASE,
)
_STORE: Final = re.compile(
    r"(?:^|_)(?:REDIS|VALKEY|MONGO|AMQP|RABBIT|DATABASE|DB(?=_|$)|PG(?=_|$|HOST|DATABASE|SERVICE|BOUNCER)|POSTGRES|MYSQL|MARIADB|MSSQL|SQL(?=_|$)|KAFKA|ELASTIC(?!_APM)|"
    r"OPENSEARCH|MEMCACHE|NATS(?=_|$)|CASSANDRA|CLICKHOUSE|COUCH|BROKER(?=_|$)|SENTINEL)"
)
_PLACE: Final = re.compile(
    r"(?:URL|URI|DSN|HOST|HOSTNAME|ADDR|ADDRESS|ADDRESSE|SERVER|BROKER|ENDPOINT|NODE|CONN|CONNECTION|CONNECTION_?STRING|"
    r"SENTINEL|SEED|BOOTSTRAP|CONTACT_?POINT)S?$"
)
_HARMLESS: Final = re.compile(
    r"(?:.(?:PASS|PASSWORD|PASSWD|PASSPHRASE|PWD|USER|USERNAME|LOGIN|TOKEN|KEY|SECRET|CERT|CERTIFICATE|CA|CRT|NAME|DATABASE|PORT)|"
    r"_DB)$"
)
_WORD: Final = re.compile(
    r"[a-z0-9]*(?:redis|valkey|mongo|rabbit|postgres|mysql|mariadb|kafka|elastic|memcache)",
    re.IGNORECASE,
)
_PLAIN: Final = frozenset({"", "true", "false", "yes", "no", "on", "off", "none", "null"})


def hosts_within(text: str) -> Iterator[str]:
    """Hosts of store URLs, and hosts with a well-known port of a store, anywhere in a text."""
    for found in _URL.finditer(_NEXT.sub(" ", text)):
        srv = (found[2] or "").lower() == "+srv"  # asked of a DNS server, past any hosts file
        for host in _authority(found[3], found[4]):
            yield f"{found[1].lower()}+srv://{host}" if srv else host
    for found in _PORTED.finditer(text):
        yield found[1].lower()


def hosts_named(name: str, value: str) -> Iterator[str]:
    """Hosts in a value whose name says that it is an address, when name or value speak of a store."""
    name, value = _normal(name), value[:_LONGEST].strip()
    if not _PLACE.search(name) or value.lower() in _PLAIN or value.isdigit():
        return
    if not (_STORE.search(name) or _WORD.match(value)):
        return
    if "://" in value:
        for found in _ANY_URL.finditer(_NEXT.sub(" ", value)):
            yield from _authority(found[1], found[2])
    else:
        yield from _bare(value, kinds=name.endswith("CONNECTION"))


def is_store_name(name: str) -> bool:
    """Whether something of this name, which cannot be seen, may be the address of a store."""
    name = _normal(name)
    return bool(_STORE.search(name)) and not _HARMLESS.search(name)


def _normal(name: str) -> str:
    """`redisUrl`, `--redis-url` and `redis.url` as REDIS_URL."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:200])
    return re.sub(r"[^A-Z0-9]+", "_", apart.upper()).strip("_")


def _bare(value: str, *, kinds: bool) -> Iterator[str]:
    """Hosts of `host=one;…`, of `user@one` and of `one:1, two`. Where `kinds`, `redis` is no host."""
    for found in _KEYED.finditer(value):
        yield found[1].lower()
    pieces = () if kinds else re.split(r"[,;\s]+", value)
    yield from (match[1].lower() for match in map(_PIECE.fullmatch, pieces) if match)


def _authority(text: str, rest: str) -> Iterator[str]:
    """Hosts of `user:password@one:1,two:2`. What is no host is not shown: it may be a password."""
    for piece in text.rpartition("@")[2].split(","):
        found = _PIECE.fullmatch(piece)
        if found and "@" not in rest:
            yield found[1].lower()
        elif piece.strip(".:"):
            yield "an address that cannot be read"
