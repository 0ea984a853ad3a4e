"""The operator's own Prometheus, asked once a minute which alerts fire. Names come back, nothing else.

The address is a setting of the process, never a tenant's text: no guard stands before it. It
decides nothing; what follows from an alert is `consent`'s.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from readiness.engines.connection import Clock
from readiness.incidents import Alert, Incidents

EVERY_SECONDS: Final = 60.0
STANDS_SECONDS: Final = 150.0
"""How long the last answer stands while none comes: one that is missed holds nobody back."""
TIMEOUT: Final = 5.0
LARGEST: Final = 1024 * 1024
_ODD: Final = re.compile(r"[^\w .:/-]")
log = logging.getLogger(__name__)


class _UnheardError(Exception):
    """There is no answer that can be used; the text says why, without the address."""


class Prometheus:
    """`known`: what fires. `changed()` is called when that is no longer what it was."""

    known = Incidents(problem="has not answered yet")

    def __init__(
        self, url: str, matchers: str, trust: ssl.SSLContext, changed: Callable[[], None],
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self._url = f"{url.rstrip('/')}/api/v1/query"
        alerts = f'ALERTS{{alertstate="firing",{matchers}}}'
        self._query = f"count by (alertname, namespace) ({alerts})"
        self._trust, self._changed, self._clock = trust, changed, clock or Clock()

    async def watch(self) -> None:
        """Ask for ever, once a minute."""
        client = httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=TIMEOUT)
        async with client:
            heard = self._clock.steady() - STANDS_SECONDS
            while True:
                try:
                    found = incidents_of(await self._ask(client))
                    heard = self._clock.steady()
                    self._learn(found)
                except _UnheardError as error:
                    log.warning("Prometheus %s", error)
                    if self._clock.steady() - heard >= STANDS_SECONDS:
                        self._learn(Incidents(problem=str(error)))
                await self._clock.sleep(EVERY_SECONDS)

    def _learn(self, found: Incidents) -> None:
        if found != self.known:
            self.known = found
            self._changed()

    async def _ask(self, client: httpx.AsyncClient) -> bytes:
        body = b""
        try:
            async with client.stream("GET", self._url, params={"query": self._query}) as answer:
                if answer.status_code != 200:
                    raise _UnheardError(f"answers {answer.status_code}")
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > LARGEST:
                        raise _UnheardError(f"answers with more than {LARGEST} bytes")
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


def _alert(labels: Mapping[str, Any]) -> Alert:
    name = _ODD.sub("?", str(labels["alertname"]))[:80]
    return Alert(name, str(labels.get("namespace", "")))
