"""What Prometheus sees. The only importer of prometheus_client, with a registry of its own.

Verdicts are kept as plain rows per policy and turned into samples when somebody asks: they cost
no memory per series, and vanish with their policy or finding. Label sets are closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from readiness import __version__
from readiness.backups.alerts import METRICS as STORE_METRICS
from readiness.evidence import Memory
from readiness.model import Finding, Manifest

CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
_PASS_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
Key = tuple[str, str]


class Metrics:
    """Every metric of the process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs is not annotated
        self.registry = CollectorRegistry()
        self.verdicts = Verdicts(clock)
        self.registry.register(self.verdicts)
        own = self.registry
        self._passes = Counter(
            "readiness_reconcile_total", "Passes over policies.", ["result"], registry=own
        )
        self._seconds = Histogram(
            "readiness_reconcile_duration_seconds", "Duration of one pass.",
            registry=own, buckets=_PASS_BUCKETS,
        )  # fmt: skip
        self._looks = Counter(
            "readiness_looks_total", "Looks at targets, by control.", ["control"], registry=own
        )
        self._drills = Counter(
            "readiness_drill_total", "Drills that ended; what kept one from an answer.", ["result"],
            registry=own,
        )  # fmt: skip
        self._left = Gauge(
            "readiness_drill_leftover",
            "Pods that outlive their drills by a minute, now.",
            registry=own,
        )
        self._calls = Counter(
            "readiness_api_requests_total", "Requests to the API server; code 0: no answer.",
            ["method", "code"], registry=own,
        )  # fmt: skip
        self._lag = Histogram(
            "readiness_loop_lag_seconds", "How late the event loop runs what is due.",
            registry=own, buckets=_LAG_BUCKETS,
        )  # fmt: skip
        self._leader = Gauge("readiness_leader", "Whether this replica leads.", registry=own)
        info = Gauge("readiness_build_info", "The running version.", ["version"], registry=own)
        info.labels(__version__).set(1)

    def worked(self, key: Key, seconds: float, error: BaseException | None) -> None:
        """One pass ended."""
        status = getattr(error, "status", None)
        result = "success" if error is None else "conflict" if status == 409 else "error"
        self._passes.labels(result).inc()
        self._seconds.observe(seconds)

    def looked(self, looks: Iterable[tuple[str, str]]) -> None:
        """These controls were looked at, each on some target."""
        for control, _ in looks:
            self._looks.labels(control).inc()

    def drilled(self, result: str) -> None:
        """A drill ended: Complete, or the reason of its first problem."""
        self._drills.labels(result).inc()

    def left_over(self, pods: int) -> None:
        """So many pods of ended drills are still there."""
        self._left.set(pods)

    def called(self, method: str, status: int) -> None:
        """One request to the API server was answered; 0 when it was not."""
        self._calls.labels(method if method in _METHODS else "other", str(status)).inc()

    def lagged(self, seconds: float) -> None:
        """The loop was late."""
        self._lag.observe(seconds)

    def led(self, *, leads: bool) -> None:
        """Whether this replica leads."""
        self._leader.set(leads)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge that is read when somebody asks."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def watch_rows(self, name: str, text: str, labels: tuple[str, ...], read: Rows) -> None:
        """A gauge with labels whose rows are read when somebody asks."""
        self.registry.register(_Read(name, text, labels, read))

    def exposition(self) -> bytes:
        """Everything in the text format. Takes a while with many policies: not for the loop."""
        return generate_latest(self.registry)


Rows = Callable[[], Mapping[tuple[str, ...], float]]


class _Read(Collector):
    def __init__(self, name: str, text: str, labels: tuple[str, ...], read: Rows) -> None:
        self._name, self._text, self._labels, self._rows = name, text, labels, read

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for values, number in self._rows().items():
            family.add_metric(values, number)
        yield family


class Verdicts(Collector):
    """The standing findings, conditions and evidence of every policy."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._findings: dict[Key, tuple[tuple[str, str, str, str], ...]] = {}
        self._conditions: dict[Key, Sequence[Manifest]] = {}
        self._evidence: dict[Key, tuple[tuple[str, str, float], ...]] = {}
        self._stores: dict[Key, Mapping[str, Mapping[str, float]]] = {}

    def record(
        self, key: Key, findings: Iterable[Finding], status: Manifest, memory: Memory
    ) -> None:
        """Replaces what is known of one policy. `status` is kept, and must not change any more."""
        self._findings[key] = tuple(
            (f.id, f.target, f.severity.value, f.result.value) for f in findings if not f.capability
        )
        self._conditions[key] = status.get("conditions") or ()
        self._evidence[key] = tuple(
            (control, target, look.at)
            for (control, target), look in memory.items()
            if control and look.standing is not None
        )

    def record_stores(self, key: Key, stores: Mapping[str, Mapping[str, float]]) -> None:
        """Replaces what is known of the backups of a policy's data services."""
        self._stores[key] = stores

    def forget(self, key: Key) -> None:
        """A policy is gone, and its series with it."""
        for rows in (self._findings, self._conditions, self._evidence, self._stores):
            rows.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """The families, for the registry."""
        place = ("namespace", "policy")
        yield _family(
            "readiness_control_result", "The result of a control on a target: 1 for the one that stands.",
            (*place, "control", "target", "severity", "result"),
            ((*key, *row) for key, rows in list(self._findings.items()) for row in rows),
        )  # fmt: skip
        yield _family(
            "readiness_policy_condition", "The status of a condition of a policy: 1 for the one that stands.",
            (*place, "type", "status"),
            ((*key, row["type"], row["status"])
             for key, rows in list(self._conditions.items()) for row in rows),
        )  # fmt: skip
        ages = GaugeMetricFamily(
            "readiness_evidence_age_seconds", "Age of the evidence of a control that probes.",
            labels=(*place, "control", "target"),
        )  # fmt: skip
        now = self._clock()
        for key, rows in list(self._evidence.items()):
            for control, target, at in rows:
                ages.add_metric((*key, control, target), max(0.0, now - at))
        yield ages
        for name, text in STORE_METRICS.items():
            backups = GaugeMetricFamily(name, text, labels=(*place, "service"))
            for key, stores in list(self._stores.items()):
                for service, samples in stores.items():
                    if name in samples:
                        backups.add_metric((*key, service), samples[name])
            yield backups


def _family(
    name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for row in rows:
        family.add_metric(row, 1)
    return family
