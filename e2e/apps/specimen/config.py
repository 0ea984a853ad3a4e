"""Settings from the environment, read once. A process that is set up wrongly says so and does not start."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LEVELS = ("debug", "info", "warning", "error")
STORES = ("files",)
UPSTREAMS = ("llm", "pay")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?|\*")


class ConfigError(ValueError):
    """Every mistake in the environment, as one text."""


@dataclass(frozen=True)
class Config:
    """How this process runs. Dependencies are `name`, or `name=host:port` of a Redis that deep health then asks; `upstreams`
    are URLs by name."""

    port: int = 8080
    tls_port: int = 0
    tls_cert: str = ""
    tls_key: str = ""
    drain: float = 15.0
    log_level: str = "info"
    production: bool = False
    api_token: str = ""
    store: str = "files"
    data_dir: str = ""
    origins: tuple[str, ...] = ("https://shop.example.com",)
    dependencies: tuple[str, ...] = ("orders", "cache")
    upstreams: Mapping[str, str] = field(default_factory=dict)
    defects: tuple[str, ...] = ()

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Config":
        """Settings of this environment. Raises ConfigError with every mistake at once."""
        wrong: list[str] = []

        def number(name: str, default: float, most: float) -> float:
            text = environ.get(name, str(default)).removesuffix("s")
            if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text) and float(text) <= most:
                return float(text)
            wrong.append(f"{name}: expected a number up to {most:g}, got {text!r}")
            return default

        level = environ.get("LOG_LEVEL", "info").lower()
        if level not in LEVELS:
            wrong.append(f"LOG_LEVEL: expected one of {', '.join(LEVELS)}, got {level!r}")
        origins = words(environ.get("CORS_ORIGINS", cls.origins[0]))
        wrong += [
            f"CORS_ORIGINS: {text!r} is no origin" for text in origins if not ORIGIN.fullmatch(text)
        ]
        production = environ.get("ENVIRONMENT", "") == "production"
        if production and not environ.get("API_TOKEN"):
            wrong.append("API_TOKEN: must be set in production")
        store = environ.get("STORE", cls.store)
        if store not in STORES:
            wrong.append(f"STORE: {store!r} is not installed: pip install shop-store-{store}")
        upstreams = {n: url for n in UPSTREAMS if (url := environ.get(f"{n.upper()}_URL", ""))}
        wrong += [
            f"{n.upper()}_URL: {url!r} is no http URL"
            for n, url in upstreams.items()
            if not url.startswith("http://")
        ]
        found = cls(
            port=int(number("PORT", cls.port, 65535)),
            tls_port=int(number("TLS_PORT", 0, 65535)),
            tls_cert=environ.get("TLS_CERT", ""),
            tls_key=environ.get("TLS_KEY", ""),
            drain=number("DRAIN", cls.drain, 3600),
            log_level=level,
            production=production,
            api_token=environ.get("API_TOKEN", ""),
            store=store,
            data_dir=environ.get("DATA_DIR", ""),
            origins=origins,
            dependencies=words(environ.get("DEPENDENCIES", "orders,cache")),
            upstreams=upstreams,
            defects=words(environ.get("DEFECTS", "")),
        )
        if found.tls_port and not (found.tls_cert and found.tls_key):
            wrong.append("TLS_PORT: needs the files TLS_CERT and TLS_KEY")
        if wrong:
            raise ConfigError("; ".join(wrong))
        return found


def words(text: str) -> tuple[str, ...]:
    """Members of a comma-separated list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
