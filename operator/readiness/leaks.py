"""Recognising secrets in text that anyone may read: manifests, ConfigMaps, annotations.

Two kinds of evidence: a text that has the unmistakable shape of a credential, wherever it
stands, and a literal value under a name that promises a secret. Answers are ids of patterns,
never the text. Every expression is linear in its input, and the input is capped: the texts are
written by tenants. Knows no policy and no verdict.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from math import log2
from typing import Final

from readiness.model import Manifest
from readiness.snapshot import Leak

MAX_TEXT: Final = 65536
PLAIN: Final = "plain-secret"
SHORTEST: Final = 16  # no shape below fits into fewer characters without a `:` or `=`

_URL: Final = re.compile(r"://[^\s:/?#@\"'<>]{0,100}:([^\s/?#@\"'<>]{1,200})@(?!sha256:)", re.ASCII)
# A pattern is only tried where its marker stands: `in` costs a fraction of a search.
_SHAPES: Final = tuple(
    (name, marker, re.compile(pattern, re.ASCII))
    for name, marker, pattern in (
        ("private-key", "PRIVATE KEY", r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY"),
        ("aws-access-key", "AKIA", r"(?<![A-Z0-9])AKIA[A-Z2-7]{16}(?![A-Z0-9])(?<!EXAMPLE)"),
        ("aws-access-key", "ASIA", r"(?<![A-Z0-9])ASIA[A-Z2-7]{16}(?![A-Z0-9])(?<!EXAMPLE)"),
        ("gcp-api-key", "AIza", r"(?<!\w)AIza[\w-]{35}(?![\w-])"),
        ("gcp-oauth-secret", "GOCSPX-", r"(?<!\w)GOCSPX-[\w-]{20,60}"),
        ("azure-storage-key", "AccountKey=", r"AccountKey=[A-Za-z0-9+/]{86}=="),
        ("github-token", "gh", r"(?<!\w)gh[pousr]_[A-Za-z0-9]{36,255}(?!\w)"),
        ("github-token", "github_pat_", r"(?<!\w)github_pat_\w{22,255}"),
        ("gitlab-token", "glpat-", r"(?<!\w)glpat-[\w-]{20,100}"),
        ("slack-token", "xox", r"(?<!\w)xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
        ("slack-webhook", "hooks.slack.com", r"hooks\.slack\.com/services/T\w{6,20}/B\w{6,20}/\w{16,40}"),
        ("stripe-key", "k_live_", r"(?<![A-Za-z0-9])[sr]k_live_[A-Za-z0-9]{10,250}"),
        ("stripe-key", "k_test_", r"(?<![A-Za-z0-9])[sr]k_test_[A-Za-z0-9]{10,250}"),
        ("stripe-webhook-secret", "whsec_", r"(?<!\w)whsec_[A-Za-z0-9+/]{24,200}"),
        ("ai-provider-key", "sk-", r"(?<![\w-])sk-(?:ant-|proj-)[\w-]{32,250}"),
        ("npm-token", "npm_", r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)"),
        ("sendgrid-key", "SG.", r"(?<!\w)SG\.[\w-]{22}\.[\w-]{43}"),
        ("vault-token", "hvs.", r"(?<!\w)hvs\.[\w-]{24,200}"),
        ("jwt", "eyJ", r"(?<![\w-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{16,1000}"),
    )
)  # fmt: skip
_SECRET_NAME: Final = re.compile(
    r"(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|CREDENTIALS?"
    r"|(?:^|_)(?:PASS|AUTHORIZATION)|_PWD|(?:^|_)(?:PRIVATE|SECRET|ACCESS|ENCRYPTION|SIGNING|MASTER"
    r"|AUTH|SESSION|COOKIE|JWT|HMAC)_?KEY)(?:_(?:BASE(?:64)?|B64|HEX|OLD|NEW|CURRENT|PREVIOUS|V\d{1,3})|_?\d{1,3})?$"
)
_HARMLESS_NAME: Final = re.compile(
    r"PUBLIC|PUBLISHABLE|CSRF|XSRF|CHECKSUM|^STAKATER_|(?:PULL|TLS|CERT|CA|INGRESS)_?SECRETS?$"
)
_PASSWORD: Final = re.compile(r"PASS(?!IVE)|PWD")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_VALUE: Final = frozenset(
    [
        "none",
        "null",
        "nil",
        "undefined",
        "unset",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "enabled",
        "disabled",
        "required",
        "optional",
        "auto",
        "n/a",
    ]
)
_NO_TOKEN: Final = frozenset(
    [
        "bearer",
        "basic",
        "jwt",
        "opaque",
        "default",
        "include",
        "omit",
        "same-origin",
        "vault",
        "env",
        "file",
        "kubernetes",
        "aws",
        "gcp",
        "azure",
        "iam",
        "cookie",
        "header",
        "string",
    ]
)
_REFERENCE: Final = re.compile(
    r"\$\{|\$\(|\{\{|^\$\w+$|^%\w+%$|^@\w+@$|^__\w+__$|^<.*>$|^[*.]+$|^[xX]{3,}$|^ENC\[|^\{cipher\}"
    r"|^(?:arn|vault|ssm|sm|secret|secretref|gcpsm|awssm|azurekeyvault|env|file):|^(?:op|ref\+\w+)://"
    r"|^projects/[^/]+/secrets/"
)
_ELSEWHERE: Final = re.compile(
    r"^(?:~|\.{1,2})?/[\w./@%-]*$|^[A-Za-z]:\\|^[a-z][a-z0-9+.-]{1,20}://"
)
_NUMBER: Final = re.compile(r"[-+]?[\d.,_]+(?:ms|s|m|h|d|[KMGT]i?)?")
_OBJECT_NAME: Final = re.compile(
    r"[a-z0-9-]+-(?:tls|secrets?|credentials?|creds|certs?|tokens?|auth|ca|keys)"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_SECRET_WORDS: Final = ("pass", "pwd", "secret", "token", "key", "credential", "authorization")
_ASSIGNED: Final = re.compile(
    r"(?<![\w.-])([A-Za-z_][\w.-]{2,79})[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?"
    r"([^\s\"'`,;&|<>(){}\[\]$]{6,200})(?![\[({$<])",
    re.ASCII,
)


def scan(text: str) -> tuple[str, ...]:
    """The ids of what looks like a secret in free text; only its first 64 Ki characters count."""
    if ":" not in text and "=" not in text and len(text) < SHORTEST:
        return ()
    text = text[:MAX_TEXT]
    found = {name for name, marker, shape in _SHAPES if marker in text and shape.search(text)}
    if "://" in text and any(_is_literal("PASSWORD", m[1]) for m in _URL.finditer(text)):
        found.add("url-password")
    if (":" in text or "=" in text) and _assigns_secret(text):
        found.add("assigned-secret")
    return tuple(sorted(found))


def _assigns_secret(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in _SECRET_WORDS) and any(
        _is_strong(m[1], m[2]) for m in _ASSIGNED.finditer(text)
    )


def scan_named(name: str, value: str) -> tuple[str, ...]:
    """The ids for a value that stands under a name: a variable, a flag, a ConfigMap key."""
    found = scan(value)
    return found or ((PLAIN,) if is_secret_name(name) and _is_literal(name, value) else ())


@lru_cache(maxsize=8192)
def is_secret_name(name: str) -> bool:
    """Whether a name promises a secret itself: DB_PASSWORD, apiKey; not TOKEN_TTL, SECRET_NAME."""
    flat = _flat(name)
    return _SECRET_NAME.search(flat) is not None and _HARMLESS_NAME.search(flat) is None


def scan_config_map(manifest: Manifest) -> tuple[Leak, ...]:
    """What a ConfigMap leaks, by key and in its annotations."""
    metadata = manifest.get("metadata") or {}
    owner = f"ConfigMap/{metadata.get('name', '')}"
    data, notes = manifest.get("data") or {}, metadata.get("annotations") or {}
    found = [(f"data.{key}", scan_named(key, str(text))) for key, text in sorted(data.items())]
    # names of annotations promise nothing: `checksum/secret`, `auth-secret` only refer to secrets
    found += [(f"annotations.{key}", scan(str(text))) for key, text in sorted(notes.items())]
    return tuple(Leak(f"{owner} {place}", pattern) for place, ids in found for pattern in ids)


def _flat(name: str) -> str:
    """`spring.datasource.dbPassword` → `SPRING_DATASOURCE_DB_PASSWORD`."""
    return re.sub(r"[^A-Z0-9]+", "_", _HUMP.sub("_", name[:200]).upper())


def _is_literal(name: str, value: str) -> bool:
    """Whether a value is the secret itself, not a place, a reference, a switch or a setting."""
    text = value.strip()[:MAX_TEXT]
    if len(text) < 3 or "\n" in text or text.lower() in _NO_VALUE:
        return False
    if _REFERENCE.search(text) or _ELSEWHERE.match(text):
        return False
    if _PASSWORD.search(_flat(name)):
        return not _NUMBER.fullmatch(text) or (text.isdigit() and len(text) >= 4)
    if text.lower() in _NO_TOKEN or _NUMBER.fullmatch(text):
        return False
    return _OBJECT_NAME.fullmatch(text) is None


def _is_strong(name: str, value: str) -> bool:
    """Whether `name=value` inside free text, which may be code or prose, is a secret for sure."""
    if not is_secret_name(name) or not _is_literal(name, value) or _IDENTIFIER.fullmatch(value):
        return False
    mixed = any(c.isalpha() for c in value) and any(not c.isalpha() for c in value)
    if _PASSWORD.search(_flat(name)):
        return mixed
    return mixed and any(c.isdigit() for c in value) and len(value) >= 16 and _entropy(value) >= 3.0


def _entropy(text: str) -> float:
    """Shannon's bits per character."""
    size = len(text)
    return -sum(n / size * log2(n / size) for n in Counter(text).values())
