"""The operator's own Prometheus, asked once a minute which alerts fire, and which of ours it has loaded. Names come back, nothing else.

The address is a setting of the process, never a tenant's text: no guard stands before it. It
decides nothing; what follows from an alert is `consent`'s.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import httpx

from readiness.backups.alerts import ALERTS
from readiness.engines.connection import Clock
from readiness.incidents import Alert, Incidents, Loaded

EVERY_SECONDS: Final = 60.0
STANDS_SECONDS: Final = 150.0
"""How long the last answer stands while none comes: one that is missed holds nobody back."""
TIMEOUT: Final = 5.0
LARGEST: Final = 1024 * 1024
LARGEST_RULES: Final = 16 * LARGEST
"""A Prometheus older than 2.44 answers with every rule that it has."""
UNHEARD: Final = "has not answered yet"
OURS: Final = "readiness-backups-"
"""How groups of our alerts are called."""
_ODD: Final = re.compile(r"[^\w .:/-]")
log = logging.getLogger(__name__)


class _UnheardError(Exception):
    """There is no answer that can be used; the text says why, without the address."""


class Prometheus:
    """`known`: what fires. `changed()` is called when that is no longer what it was."""

    known = Incidents(problem=UNHEARD, loaded=Loaded(problem=UNHEARD))

    def __init__(
        self, url: str, matchers: str, trust: ssl.SSLContext, changed: Callable[[], None],
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self._url = f"{url.rstrip('/')}/api/v1"
        alerts = f'ALERTS{{alertstate="firing",{matchers}}}'
        self._query = f"count by (alertname, namespace) ({alerts})"
        self._trust, self._changed, self._clock = trust, changed, clock or Clock()
        self._told = 0.0

    async def watch(self) -> None:
        """Ask for ever, once a minute."""
        client = httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=TIMEOUT)
        async with client:
            heard = self._clock.steady() - STANDS_SECONDS
            while True:
                try:
                    query = {"query": self._query}
                    found = incidents_of(await self._ask(client, "query", query, LARGEST))
                    heard = self._clock.steady()
                    self._learn(replace(found, loaded=await self._loaded(client)))
                except _UnheardError as error:
                    log.warning("Prometheus %s", error)
                    if self._clock.steady() - heard >= STANDS_SECONDS:
                        problem = str(error)
                        self._learn(Incidents(problem=problem, loaded=Loaded(problem=problem)))
                await self._clock.sleep(EVERY_SECONDS)

    def _learn(self, found: Incidents) -> None:
        if found != self.known:
            self.known = found
            self._changed()

    async def _loaded(self, client: httpx.AsyncClient) -> Loaded:
        """An answer of its own, for which no drill waits; it stands as long as that of what fires."""
        asked = {"type": "alert", "rule_name[]": [alert.name for alert in ALERTS]}
        now, before = self._clock.steady(), self.known.loaded
        try:
            found = Loaded(loaded_of(await self._ask(client, "rules", asked, LARGEST_RULES)))
        except _UnheardError as error:
            log.warning("Prometheus, asked for its rules, %s", error)
            stands = before and not before.problem and now - self._told < STANDS_SECONDS
            return before if before and stands else Loaded(problem=str(error))
        self._told = now
        return found

    async def _ask(
        self, client: httpx.AsyncClient, what: str, asked: Mapping[str, Any], largest: int
    ) -> bytes:
        body = b""
        try:
            async with client.stream("GET", f"{self._url}/{what}", params=asked) as answer:
                if answer.status_code != 200:
                    raise _UnheardError(f"answers {answer.status_code}")
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > largest:
                        raise _UnheardError(f"answers with more than {largest} bytes")
        except httpx.HTTPError as error:
            raise _UnheardError(f"does not answer ({type(error).__name__})") from None
        return body


def incidents_of(body: bytes) -> Incidents:
    """What an answer says. Raises when it says less than everything: what is missing may be what fires."""
    try:
        told = json.loads(body)
        if told["status"] != "success" or told["data"]["resultType"] != "vector":
            raise _UnheardError("answers with something else than a vector")
        if told.get("warnings"):
            raise _UnheardError("answers in part only")
        firing = sorted({_alert(row["metric"]) for row in told["data"]["result"]})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _UnheardError("gives an answer that cannot be read") from None
    return Incidents(tuple(firing))


def loaded_of(body: bytes) -> frozenset[tuple[str, str, str, str]]:
    """Which of our alerts are loaded, and could be evaluated the last time."""
    try:
        told = json.loads(body)
        if told["status"] != "success":
            raise _UnheardError("answers with no rules")
        groups = [each for each in told["data"]["groups"] if str(each["name"]).startswith(OURS)]
        rules = [each for group in groups for each in group["rules"] if each.get("health") != "err"]
        return frozenset(_place(each["labels"], str(each["name"])) for each in rules)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _UnheardError("gives an answer that cannot be read") from None


def _place(labels: Mapping[str, Any], name: str) -> tuple[str, str, str, str]:
    return str(labels["namespace"]), str(labels["policy"]), str(labels["service"]), name


def _alert(labels: Mapping[str, Any]) -> Alert:
    name = _ODD.sub("?", str(labels["alertname"]))[:80]
    return Alert(name, str(labels.get("namespace", "")))
