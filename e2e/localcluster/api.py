"""A minimal Kubernetes API client on the standard library: requests, lists and watches.

It authenticates with a client certificate and knows no kinds; callers give paths and bodies.
"""

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

Manifest = dict[str, Any]


class ApiError(Exception):
    """An answer of the API server other than 2xx; 404 and 409 are often expected."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Client:
    """One identity at one API server; a connection per request keeps it free of shared state."""

    def __init__(self, url: str, pki: Path, identity: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 443
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / f"{identity}.crt", pki / f"{identity}.key")

    @contextmanager
    def _open(
        self, method: str, path: str, body: Manifest | None, *, content: str, timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._tls, timeout=timeout
        )
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content, "Accept": "application/json"}
        try:
            connection.request(method, path, data, headers)
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        content: str = "application/json",
    ) -> Manifest:
        """One request and its decoded answer; raises `ApiError` for anything but 2xx."""
        with self._open(method, path, body, content=content, timeout=30) as response:
            text = response.read().decode()
            if response.status >= 300:
                raise ApiError(response.status, text[:500])
        return dict(json.loads(text)) if text.startswith("{") else {"text": text}

    def is_ready(self) -> bool:
        """Whether the API server answers that it is ready."""
        try:
            return self.request("GET", "/readyz") == {"text": "ok"}
        except (OSError, http.client.HTTPException, ApiError):
            return False

    def exists(self, path: str) -> bool:
        """Whether there is an object at that path."""
        try:
            return bool(self.request("GET", path))
        except ApiError as error:
            if error.status != 404:
                raise
            return False

    def watch(self, path: str, version: str) -> Iterator[Manifest]:
        """Watch events of a collection after that version, until the server ends the watch."""
        query = urlencode(
            {
                "watch": "1",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": "240",
            }
        )
        with self._open("GET", f"{path}?{query}", None, content="", timeout=300) as response:
            if response.status >= 300:
                raise ApiError(response.status, response.read().decode()[:500])
            for line in response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), str(event["object"]))
                yield event


class Mirror:
    """Objects of some collections, kept current by one thread each, which `changed` hears about."""

    def __init__(self, client: Client, paths: Mapping[str, str]) -> None:
        self.changed = threading.Event()
        self._client = client
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Manifest]] = {kind: {} for kind in paths}
        self._listed = {kind: threading.Event() for kind in paths}
        for kind, path in paths.items():
            threading.Thread(target=self._follow, args=(kind, path), daemon=True).start()

    def objects(self, kind: str) -> list[Manifest]:
        """What is known of a kind; waits until it has been listed once."""
        self._listed[kind].wait()
        with self._lock:
            return list(self._objects[kind].values())

    def _follow(self, kind: str, path: str) -> None:
        while True:
            attempt(lambda: self._list_and_watch(kind, path))
            threading.Event().wait(0.5)

    def _list_and_watch(self, kind: str, path: str) -> None:
        listed = self._client.request("GET", path)
        with self._lock:
            self._objects[kind] = {item["metadata"]["uid"]: item for item in listed["items"]}
        self._listed[kind].set()
        self.changed.set()
        for event in self._client.watch(path, listed["metadata"]["resourceVersion"]):
            if event["type"] != "BOOKMARK":
                self._take(kind, event)

    def _take(self, kind: str, event: Manifest) -> None:
        uid = event["object"]["metadata"]["uid"]
        with self._lock:
            if event["type"] == "DELETED":
                self._objects[kind].pop(uid, None)
            else:
                self._objects[kind][uid] = event["object"]
        self.changed.set()


def attempt(action: Callable[[], object]) -> bool:
    """Run an action against the API; network and API errors are printed, for the caller to retry."""
    try:
        action()
    except (OSError, http.client.HTTPException, ApiError, json.JSONDecodeError) as error:
        print(f"retrying after {type(error).__name__}: {error}", flush=True)
        return False
    return True
