"""The settings of the process: one frozen value, built once from the environment.

Every setting is a variable `READINESS_<FIELD>`. All mistakes are reported at once, each with what
was expected and what was found. Nothing else in the project reads the environment.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

PREFIX: Final = "READINESS_"
_SERVICE_LINK: Final = re.compile(
    r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$"
)
"""What the kubelet sets for a Service called readiness-…; READINESS_HTTP_PORT is ours and known."""

_LOGIN: Final = re.compile(r"//[^/]*@")


class SettingsError(ValueError):
    """The environment holds settings that cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the operator process runs. Times are seconds."""

    namespaces: tuple[str, ...] = ()
    """Namespaces to watch, separated by commas; none: the whole cluster."""

    operator_namespace: str = "readiness-system"
    """Where the operator itself runs; its Lease lives there."""

    identity: str = "readiness-operator"
    """Name of this replica, unique among them: the pod's name. Holder of the Lease."""

    kubeconfig: str = ""
    """Path of a kubeconfig; empty: the service account of the pod, else ~/.kube/config."""

    lease_name: str = "readiness-operator"
    """Name of the Lease by which one of several replicas leads."""

    lease_duration: float = 15.0
    """How long others respect a Lease that is not renewed."""

    lease_renew_deadline: float = 10.0
    """How long the leader acts after its last renewal. Less than lease_duration."""

    lease_retry: float = 2.0
    """How often the leader renews and the others look. Less than lease_renew_deadline."""

    workers: int = 10
    """How many policies are worked on at the same time."""

    key_deadline: float = 60.0
    """How long one pass over one policy may take."""

    resync: float = 21600.0
    """How often every kind is listed anew, in case an event was lost. Jittered by a tenth."""

    watch_inactivity: float = 70.0
    """How long a watch may be silent before it counts as dead; bookmarks come every minute."""

    http_host: str = ""
    """Address that /metrics, /healthz and /readyz listen on; empty: all."""

    http_port: int = 8080
    """Port of /metrics, /healthz and /readyz; 0 picks a free one."""

    stop_timeout: float = 12.0
    """How long an orderly stop may take after SIGTERM before the process just ends."""

    egress_allow: tuple[str, ...] = ()
    """Hosts, `*.`-wildcards and CIDRs outside a policy's namespace that probes may reach."""

    denied_addresses: tuple[str, ...] = ()
    """CIDRs that no probe may ever reach, besides the built-in ones."""

    image: str = ""
    """The operator's own image, which the Jobs of drills run; empty: no drill runs."""

    drills_parallel: int = 3
    """How many drills run at the same time, over all policies."""

    drills_settle: float = 120.0
    """How long a rollout must be complete before a drill of its workload starts."""

    drills_redis_image: str = ""
    """Image of the throw-away Redis of a drill; empty: what uses a Redis is not drilled."""

    drills_mongodb_image: str = ""
    """Image of the throw-away MongoDB of a drill; empty: what uses a MongoDB is not drilled."""

    drills_rabbitmq_image: str = ""
    """Image of the throw-away RabbitMQ of a drill; empty: what uses a RabbitMQ is not drilled."""

    prometheus: str = ""
    """URL of a Prometheus that says whether an incident goes on; empty: nobody is asked. While an alert fires there that has the namespace of a policy, or none, or while nobody answers, no drill starts."""

    prometheus_matchers: str = 'severity="critical"'
    """Which firing alerts make an incident: label matchers of PromQL, put into ALERTS{alertstate="firing",…}."""

    prometheus_namespaces: tuple[str, ...] = ()
    """Namespaces of the Prometheus that scrapes data services, separated by commas: nobody else outside a policy's own namespace reaches their metrics; none: anybody may."""

    prometheus_labels: tuple[tuple[str, str], ...] = ()
    """Labels by which a Prometheus operator picks what is made for it, such as release=kube-prometheus-stack, separated by commas."""

    stores_redis_image: str = ""
    """Image of the Redis that the operator provides; empty: a policy has to name one."""

    stores_mongodb_image: str = ""
    """Image of the MongoDB that the operator provides; empty: a policy has to name one."""

    stores_rabbitmq_image: str = ""
    """Image of the RabbitMQ that the operator provides; empty: a policy has to name one."""

    stores_resident_image: str = ""
    """Image of the sidecar of each MongoDB: one of the operator's own, of this release or an earlier one; empty: READINESS_IMAGE, so that a new release replaces the pods of every MongoDB, one after the other."""

    stores_redis_exporter_image: str = ""
    """Image of oliver006/redis_exporter, 1.45 or newer, which tells Prometheus of each Redis; empty: none is made."""

    stores_mongodb_exporter_image: str = ""
    """Image of percona/mongodb_exporter, 0.40 or newer, which tells Prometheus of each MongoDB; empty: none is made."""

    stores_preview: tuple[str, ...] = ()
    """Kinds of data services that are provided although they are a preview, separated by commas: mongodb."""

    log_level: str = "info"
    """debug, info, warning or error."""

    log_format: str = "json"
    """json: one object per line. text: for people."""

    seed: int = 0
    """Seed of all jitter; 0: a different one each start."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Settings from `READINESS_*`; raises SettingsError naming every mistake."""
        given, problems = {}, list(_unknown(environ))
        for field in fields(cls):
            text = environ.get(_variable(field.name))
            if text is None:
                continue
            try:
                given[field.name] = _parse(field.name, str(field.type), text.strip())
            except ValueError as problem:
                told = _LOGIN.sub("//…@", text)
                problems.append(f"{_variable(field.name)}: expected {problem}, got {told!r}")
        settings = cls(**given)
        problems += () if problems else settings._contradictions()
        if problems:
            raise SettingsError("invalid settings in the environment: " + "; ".join(problems))
        return settings

    def _contradictions(self) -> Iterator[str]:
        if not self.lease_retry < self.lease_renew_deadline < self.lease_duration:
            yield (
                "READINESS_LEASE_*: expected LEASE_RETRY < LEASE_RENEW_DEADLINE < LEASE_DURATION, "
                f"got {self.lease_retry:g}, {self.lease_renew_deadline:g}, {self.lease_duration:g}"
            )


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = [_variable(field.name) for field in fields(Settings)]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not _SERVICE_LINK.search(name):
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{name}: no such setting" + (f", did you mean {near[0]}?" if near else "")


def _number(text: str, least: float, most: float) -> float:
    wanted = f"a number from {least:g} to {most:g}"
    try:
        value = float(text)
    except ValueError:
        raise ValueError(wanted) from None
    if not least <= value <= most:
        raise ValueError(wanted)
    return value


def _integer(text: str, least: int, most: int) -> int:
    value = _number(text, least, most)
    if value != int(value):
        raise ValueError(f"a whole number from {least} to {most}")
    return int(value)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,]+", text) if word)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return text.lower()

    return parse


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", text):
        raise ValueError("a Kubernetes name (lower case letters, digits, '-' and '.')")
    return text


def _image(text: str) -> str:
    if text and not re.fullmatch(r"[a-z0-9][a-z0-9._:/-]*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?", text):
        raise ValueError("an image such as registry.example.com/redis:8 or redis@sha256:…")
    return text


def _url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
        raise ValueError("a URL such as http://prometheus.monitoring:9090, without user and query")
    return text


def _matchers(text: str) -> str:
    one = r'\s*[a-zA-Z_]\w*\s*(=|!=|=~|!~)\s*"(\\.|[^"\\])*"\s*'
    if not re.fullmatch(f"{one}(,{one})*", text):
        raise ValueError('label matchers such as severity="critical"')
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(_name(word) for word in _words(text))


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    pairs = tuple(word.partition("=") for word in _words(text))
    if not all(re.fullmatch(r"[A-Za-z0-9][\w./-]*=[\w.-]*", "".join(pair)) for pair in pairs):
        raise ValueError("labels such as release=prometheus, separated by commas")
    return tuple((name, value) for name, _, value in pairs)


def _previews(text: str) -> tuple[str, ...]:
    if unknown := set(_words(text)) - {"mongodb"}:
        raise ValueError(f"mongodb, and no {', '.join(sorted(unknown))}")
    return _words(text)


def _networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(word, strict=False)) for word in _words(text))
    except ValueError:
        raise ValueError("addresses or CIDRs separated by commas") from None


def _hosts(text: str) -> tuple[str, ...]:
    for word in _words(text):
        try:
            ipaddress.ip_network(word, strict=False)
        except ValueError:
            if not re.fullmatch(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", word):
                raise ValueError("host names, `*.suffix` or CIDRs separated by commas") from None
    return _words(text)


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "namespaces": _names,
    "operator_namespace": _name,
    "lease_name": _name,
    "workers": lambda text: _integer(text, 1, 100),
    "http_port": lambda text: _integer(text, 0, 65535),
    "seed": lambda text: _integer(text, 0, 2**53),
    "egress_allow": _hosts,
    "denied_addresses": _networks,
    "drills_parallel": lambda text: _integer(text, 1, 20),
    "stores_preview": _previews,
    "prometheus": _url,
    "prometheus_namespaces": _names,
    "prometheus_labels": _labels,
    "prometheus_matchers": _matchers,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("json", "text"),
}


def _parse(field: str, kind: str, text: str) -> Any:
    if field in _PARSERS:
        return _PARSERS[field](text)
    if field.endswith("image"):
        return _image(text)
    return _number(text, 0.01, 1e6) if kind == "float" else text
