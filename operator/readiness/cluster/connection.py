"""The way to the API server: one aiohttp session, raw JSON, errors with the server's own words.

`kubernetes.aio` finds the server and authenticates; everything after that is plain HTTP, because
its models cost more than the rest of a pass. Knows no kind of object.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from readiness.model import Manifest

APPLY: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"
TOKEN_SECONDS: Final = 30.0
THROTTLED_TRIES: Final = 5
LONGEST_WAIT: Final = 30.0
IN_CLUSTER: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"

Observe = Callable[[str, int], None]
"""Told the HTTP method and status of every request; 0 when no answer came."""


class ApiError(Exception):
    """The API server refused or could not be reached (status 0); the text is the server's own.

    `expected` errors (conflicts, an unreachable server) are part of life and need no traceback.
    """

    def __init__(self, status: int, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.status, self.message, self.retry_after = status, message, retry_after
        self.expected = status in (0, 404, 409, 429) or status >= 500


class Connection:
    """An authenticated session with one API server. Make it with `connect`."""

    def __init__(
        self, configuration: Any, session: aiohttp.ClientSession, observe: Observe
    ) -> None:
        self._configuration, self._session, self._observe = configuration, session, observe
        self._token, self._token_until = "", 0.0
        self._extra: dict[str, Any] = {}
        if configuration.proxy:
            self._extra["proxy"] = configuration.proxy
        if configuration.tls_server_name:
            self._extra["server_hostname"] = configuration.tls_server_name

    @property
    def host(self) -> str:
        """Host name or address of the API server."""
        return urlsplit(self._configuration.host).hostname or ""

    async def request(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content: str = JSON,
    ) -> Manifest:
        """One call, decoded. Waits out 429 as told; raises ApiError for everything else."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        for attempt in range(1, THROTTLED_TRIES + 1):
            try:
                headers = {"Content-Type": content} if data is not None else {}
                async with self.stream(method, path, query, data=data, headers=headers) as answer:
                    return _decoded(await answer.read(), f"{method} {path}")
            except ApiError as error:
                if error.status == 401 and attempt == 1:
                    self._token_until = 0.0
                elif error.status == 429 and attempt < THROTTLED_TRIES:
                    wait = min(LONGEST_WAIT, error.retry_after or 2.0**attempt / 2)
                    await asyncio.sleep(wait * random.uniform(1.0, 1.2))
                else:
                    raise
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: Mapping[str, str] | None = None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An open answer of status 2xx. Every failure, also while it is read, is an ApiError."""
        headers = {**options.pop("headers", {}), **await self._authorization()}
        status = 0
        try:
            url = self._configuration.host + path
            async with self._session.request(
                method, url, params=query, headers=headers, **options, **self._extra
            ) as answer:
                status = answer.status
                if status >= 300:
                    raise await _refusal(answer)
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = str(error) or type(error).__name__
            raise ApiError(0, f"{method} {path}: {words}") from error
        finally:
            self._observe(method, status)

    def credentials(self) -> dict[str, Any]:
        """What another client needs for the same connection (kopf's)."""
        found, token = self._configuration, self._configuration.api_key.get("BearerToken", "")
        return {
            "server": found.host,
            "ca_path": found.ssl_ca_cert,
            "insecure": not found.verify_ssl,
            "certificate_path": found.cert_file,
            "private_key_path": found.key_file,
            "proxy_url": found.proxy,
            "scheme": "Bearer" if token else None,
            "token": token.split(" ", 1)[-1].strip() or None,
        }

    async def refresh(self) -> None:
        """Reads the token anew, after somebody was refused with it."""
        self._token_until = 0.0
        await self._authorization()

    async def close(self) -> None:
        """Closes every connection."""
        await self._session.close()

    async def _authorization(self) -> dict[str, str]:
        if time.monotonic() >= self._token_until:
            key = await self._configuration.get_api_key_with_prefix("BearerToken", "authorization")
            self._token, self._token_until = (key or "").strip(), time.monotonic() + TOKEN_SECONDS
        return {"Authorization": self._token} if self._token else {}


async def connect(
    kubeconfig: str, observe: Observe, patience: float = 15.0, context: str = ""
) -> Connection:
    """Connects by `kubeconfig` or a context of it, else as the pod's service account, else by the user's kubeconfig."""
    configuration = Configuration()
    if kubeconfig or context or not _in_cluster(configuration):
        await load_kube_config(kubeconfig or None, context or None, configuration)
    tls = RESTClientObject(configuration).ssl_context
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=100, ssl=tls),
        timeout=aiohttp.ClientTimeout(total=patience, connect=5.0),
        headers={"User-Agent": "readiness-operator", "Accept": JSON},
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    return Connection(configuration, session, observe)


def _decoded(data: bytes, what: str) -> Manifest:
    try:
        found: Manifest = json.loads(data)
    except ValueError:
        raise ApiError(0, f"{what}: the answer is not JSON, {len(data)} bytes") from None
    return found


def _in_cluster(configuration: Configuration) -> bool:
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException:
        return False
    return True


async def _refusal(answer: aiohttp.ClientResponse) -> ApiError:
    text = (await answer.content.read(65536)).decode(errors="replace")
    try:
        text = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        text = f"{answer.reason or 'no reason'}: {text[:200]}"
    return ApiError(answer.status, text, _seconds(answer.headers.get("Retry-After", "")))


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
