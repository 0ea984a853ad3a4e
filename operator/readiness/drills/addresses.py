"""What looks like the address of a store or queue: by scheme, by port, by its domain, by the name it stands under.

Pure text, of any origin: nothing here may take long on a hostile one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_LONGEST: Final = 4096
_SCHEMES: Final = (
    "redis|rediss|valkey|valkeys|sentinel|mongodb|amqp|amqps|postgres|postgresql|pgsql|cockroachdb|mysql|mariadb|"
    "sqlserver|mssql|oracle|kafka|nats|tls\\+nats|memcached|memcache|cassandra|clickhouse|couchbase|neo4j|bolt|"
    "elasticsearch|opensearch|pulsar|mqtt|mqtts|stomp|db2|couchbases|couchdb|etcd|zookeeper|zk|nsq|sb|sqs"
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
    rf"(?<![\w.$\[-])({_HOST}):(?:6379|6380|26379|2701[789]|567[12]|5432|6432|3306|1433|1521|9092|9200|11211|4222|9042|26257|2379|2181|5984|7687|6650|61616|61613|11300|7233|8529|28015)(?!\d)",
    re.IGNORECASE,
)
_PIECE: Final = re.compile(rf"({_HOST})(?::\d{{1,5}})?", re.IGNORECASE)
_KEY: Final = r"\b(?:host|hostaddr|server|data ?source|addr|address)\s*=\s*(?:(?:tcp|np|lpc):)?"
_KEYED: Final = re.compile(rf"(?:{_KEY}|@(?!.*@)(?:tcp\()?)({_HOST})", re.IGNORECASE)
_TOLD: Final = re.compile(rf"(?:{_KEY}|@tcp\()({_HOST})", re.IGNORECASE)
_BESIDE: Final = re.compile(
    r"@tcp\(|\b(?:dbname|database|initial catalog|user|user ?id|uid|username|password|pwd)\s*=",
    re.IGNORECASE,
)
"""What stands beside the host in a connection string of a database, whatever its name is."""
_ACCOUNT: Final = re.compile(r"\bAccountName\s*=\s*([a-z0-9]{3,24})\b", re.IGNORECASE)
_FILES: Final = (".db", ".db3", ".sqlite", ".sqlite3", ".mdb")
_DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9.-]{3,252}", re.IGNORECASE)
_HOSTED: Final = re.compile(
    r"(?:(?:^|\.)(?:sqs|sns|dynamodb|kinesis|firehose|docdb|rds|cache|es|aoss|mq|kafka|memorydb|redshift)(?:[.-][a-z0-9]+){0,6}\.amazonaws\.com(?:\.cn)?|"
    r"\.(?:servicebus|database|(?:queue|table|blob|file|dfs)\.core|redis\.cache)\.windows\.net|\.(?:documents|(?:mysql|postgres|mariadb)\.database|cosmos)\.azure\.com|"
    r"\.(?:mongodb\.net|cloudamqp\.com|redislabs\.com|redis-cloud\.com|upstash\.io|neon\.tech|cockroachlabs\.cloud|confluent\.cloud|aivencloud\.com|psdb\.cloud))$"
)
"""Domains under which nothing but stores and queues stand, kept by others."""
_STORE: Final = re.compile(
    r"(?:^|_)(?:REDIS|VALKEY|MONGO|AMQP|RABBIT|DATABASE|DB(?=_|$)|PG(?=_|$|HOST|DATABASE|SERVICE|BOUNCER)|POSTGRES|MYSQL|MARIADB|MSSQL|SQL(?=_|$)|KAFKA|ELASTIC(?!_APM)|"
    r"OPENSEARCH|MEMCACHE|NATS(?=_|$)|CASSANDRA|CLICKHOUSE|COUCH|BROKER(?=_|$)|SENTINEL)"
)
_WARE: Final = re.compile(
    r"(?:^|_)(?:QUEUES?|CACHES?|SQS|S3|MINIO|ETCD|ZOOKEEPER|ZK|CONSUL|DYNAMO(?:_?DB)?|COSMOS(?:_?DB)?|KEYDB|DRAGONFLY|SCYLLA|NEO4J|ARANGO(?:_?DB)?|INFLUX(?:_?DB)?|SOLR|HAZELCAST|"
    r"PULSAR|REDPANDA|NSQD?|NSQLOOKUPD?|ACTIVEMQ|ARTEMIS|MQTT|STOMP|JMS|MQ|BEANSTALKD?|KINESIS|PUBSUB|SERVICE_?BUS|EVENT_?HUBS?|AWS(?=_ENDPOINT)|TEMPORAL|ZEEBE|BLOB|BUCKET|OBJECT_?STOR(?:E|AGE))(?=_)"
)
"""Words that make a store of an address only: every process has caches and queues."""
_UNSEEN: Final = re.compile(
    r"(?:^|_)(?:(?<!INSIGHTS_)CONNECTION_?STRINGS?(?=_|$)|DSN$(?<!SENTRY_DSN)(?<!RAVEN_DSN)(?<!MAILER_DSN))"
)
"""Names of connection strings; of one that can be seen its value decides."""
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
_PLAIN: Final = frozenset(
    {"", "true", "false", "yes", "no", "on", "off", "none", "null", "memory", "in-memory", "inmemory", "local", "file", "filesystem", "sync", "array",
     "embedded", "disabled"}
)  # fmt: skip
_SECRETS: Final = frozenset(
    {"TLS", "SSL", "CERT", "CERTS", "CERTIFICATE", "CERTIFICATES", "CA", "PKI", "PEM", "CRT", "P12", "JKS", "TRUSTSTORE", "KEYSTORE", "KEY", "KEYS", "KEYPAIR", "JWT", "JWKS",
     "SIGNING", "TOKEN", "TOKENS", "OIDC", "OAUTH", "SAML", "SSH", "GPG", "PGP", "HTPASSWD", "PASSWORD", "PASSWORDS", "PASSWD", "AUTH", "LICENSE",
     "LICENCE", "WEBHOOK", "COOKIE", "SESSION", "ENCRYPTION", "CREDENTIALS"}
)  # fmt: skip
"""Words for what is secret by itself, and holds no address."""


def hosts_within(text: str) -> Iterator[str]:
    """Hosts of store URLs and connection strings, hosts with a well-known port or domain of a store, anywhere in a text."""
    for found in _URL.finditer(_NEXT.sub(" ", text)):
        srv = (found[2] or "").lower() == "+srv"  # asked of a DNS server, past any hosts file
        for host in _authority(found[3], found[4]):
            yield f"{found[1].lower()}+srv://{host}" if srv else host
    for found in _PORTED.finditer(text):
        yield found[1].lower()
    for found in _DOMAIN.finditer(text):
        if _HOSTED.search(host := found[0].lower().strip(".-")):
            yield host
    yield from _connecting(text[:_LONGEST])


def hosts_named(name: str, value: str) -> Iterator[str]:
    """Hosts in a value whose name says that it is an address, when name or value speak of a store."""
    name, value = _normal(name), value[:_LONGEST].strip()
    if not _PLACE.search(name) or value.lower() in _PLAIN or value.isdigit():
        return
    if not (_STORE.search(name) or _WARE.search(name) or _WORD.match(value)):
        return
    if "://" in value:
        for found in _ANY_URL.finditer(_NEXT.sub(" ", value)):
            yield from _authority(found[1], found[2])
    else:
        yield from _bare(value, kinds=name.endswith("CONNECTION"))


def is_store_name(name: str) -> bool:
    """Whether something of this name, which cannot be seen, may be the address of a store."""
    name = _normal(name)
    ware = _WARE.search(name) and _PLACE.search(name)
    found = ware or _STORE.search(name) or _UNSEEN.search(name)
    return bool(found) and not _HARMLESS.search(name)


def may_hold_address(names: Iterable[str]) -> bool:
    """Whether files that cannot be seen may hold any: by what their volume, their Secret and their directory are called."""
    words = {word for name in names for word in _normal(name).split("_")}
    return words.isdisjoint(_SECRETS)


def _normal(name: str) -> str:
    """`redisUrl`, `--redis-url` and `redis.url` as REDIS_URL."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:200])
    return re.sub(r"[^A-Z0-9]+", "_", apart.upper()).strip("_")


def _bare(value: str, *, kinds: bool) -> Iterator[str]:
    """Hosts of `host=one;…`, of `user@one` and of `one:1, two`. Where `kinds`, `redis` is no host."""
    yield from _remote(_KEYED, value)
    between = r"\s*[,;]\s*" if "=" in value else r"[,;\s]+"  # a key may be of two words
    pieces = () if kinds else re.split(between, value)
    yield from (match[1].lower() for match in map(_PIECE.fullmatch, pieces) if match)


def _connecting(text: str) -> Iterator[str]:
    """The host in `Server=one;Database=x` and `host=one user=x`; the account of cloud storage."""
    if _BESIDE.search(text):
        yield from _remote(_TOLD, text)
    if "AccountKey" in text or "SharedAccessSignature" in text:
        yield from (found[1].lower() for found in _ACCOUNT.finditer(text))


def _remote(keyed: re.Pattern[str], text: str) -> Iterator[str]:
    """Values of keys for hosts that are no files, as SQLite's are."""
    hosts = (found[1].lower() for found in keyed.finditer(text))
    yield from (host for host in hosts if not host.endswith(_FILES) and host not in _PLAIN)


def _authority(text: str, rest: str) -> Iterator[str]:
    """Hosts of `user:password@one:1,two:2`. What is no host is not shown: it may be a password."""
    for piece in text.rpartition("@")[2].split(","):
        found = _PIECE.fullmatch(piece)
        if found and "@" not in rest:
            yield found[1].lower()
        elif piece.strip(".:"):
            yield "an address that cannot be read"
