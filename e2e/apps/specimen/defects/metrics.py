"""Metrics that cannot be scraped, say nothing, or are read by everyone (OBS-001, OBS-012)."""

from dataclasses import replace
from typing import Any

from specimen.defects.plants import Defect, Memory, Plant, at, body, header, late, served, status
from specimen.http import Request, Response

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OWN: dict[str, Any] = {"metrics": {"own": ["shop_requests"]}}


def exposed(request: Request, response: Response) -> bool:
    return request.path == "/metrics" and response.status == 200


def appended(text: str | bytes) -> Plant:
    """The exposition with more at its end."""
    more = text.encode() if isinstance(text, str) else text
    return lambda request, response, memory: replace(response, body=response.body + more)


def lines(kept: str) -> Plant:
    """Only the lines in which a text stands."""

    def plant(request: Request, response: Response, memory: Memory) -> Response:
        found = [line for line in response.body.decode().splitlines() if kept in line]
        return replace(response, body=("\n".join(found) + "\n").encode())

    return plant


DEFECTS = (
    Defect("OBS-001/missing", "metrics are there", {"OBS-001": "NotExposed"}, at(exposed, status(404))),
    Defect("OBS-001/wrong-type", "with a content type that Prometheus accepts", {"OBS-001": "NotExposed"}, at(exposed, header("Content-Type", "text/html"))),
    Defect("OBS-001/no-type", "with a content type", {"OBS-001": "NotExposed"}, at(exposed, header("Content-Type"))),
    Defect("OBS-001/malformed", "every line parses", {"OBS-001": "ExpositionInvalid"}, at(exposed, appended("shop_orders{status=open} 1\n"))),
    Defect("OBS-001/twice", "no series stands twice", {"OBS-001": "ExpositionInvalid"}, at(exposed, appended("shop_up 1\nshop_up 1\n"))),
    Defect("OBS-001/not-utf8", "it is UTF-8", {"OBS-001": "ExpositionInvalid"}, at(exposed, appended(b'shop_up{place="\xff"} 1\n'))),
    Defect("OBS-001/too-many", "no more series than metrics.maxSeries", {"OBS-001": "TooManySeries"},
           at(exposed, appended("".join(f'shop_hits{{id="{n}"}} 1\n' for n in range(400))))),
    Defect("OBS-001/own-missing", "metrics.own is there", {"OBS-001": "NoOwnMetric"}, at(exposed, lines("shop_request_seconds")), declares=OWN),
    Defect("OBS-001/built-in-only", "something beyond process and runtime is there", {"OBS-001": "NoOwnMetric"}, at(exposed, lines("process_"))),
    Defect("OBS-001/slow", "it answers within 2 s", {"OBS-001": "SlowScrape"}, at(exposed, late(2.3))),
    Defect("OBS-001/empty", "it is not empty", {"OBS-001": "NoOwnMetric"}, at(exposed, body("", TEXT))),
    Defect("OBS-012/public", "the edge does not serve metrics", {"OBS-012": "MetricsPublic"},
           at("/metrics", served("shop_up 1\n", TEXT))),
)  # fmt: skip
