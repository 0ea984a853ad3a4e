"""What the application counts about itself, in Prometheus' text format. Labels have few values, never paths or ids."""

import time
from collections import Counter

BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one process."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._seconds: Counter[float] = Counter()
        self._sum = 0.0
        self._started = time.time()

    def observe(self, method: str, status: int, seconds: float) -> None:
        """One answered request."""
        known = method if method in ("GET", "HEAD", "OPTIONS", "POST") else "other"
        self._requests[known, f"{status // 100}xx"] += 1
        self._seconds[next((b for b in BUCKETS if seconds <= b), float("inf"))] += 1
        self._sum += seconds

    def exposition(self) -> str:
        """Everything, one series per line."""
        lines = [
            "# HELP shop_requests_total Requests answered.",
            "# TYPE shop_requests_total counter",
        ]
        for (method, status), count in sorted(self._requests.items()):
            lines.append(f'shop_requests_total{{method="{method}",status="{status}"}} {count}')
        lines += [
            "# HELP shop_request_seconds Time to answer.",
            "# TYPE shop_request_seconds histogram",
        ]
        total = 0
        for bucket in (*BUCKETS, float("inf")):
            total += self._seconds[bucket]
            edge = "+Inf" if bucket == float("inf") else f"{bucket:g}"
            lines.append(f'shop_request_seconds_bucket{{le="{edge}"}} {total}')
        lines += [
            f"shop_request_seconds_sum {self._sum:.6f}",
            f"shop_request_seconds_count {total}",
        ]
        lines += [
            "# HELP process_start_time_seconds Start of the process.",
            "# TYPE process_start_time_seconds gauge",
        ]
        return "\n".join([*lines, f"process_start_time_seconds {self._started:.3f}", ""])
