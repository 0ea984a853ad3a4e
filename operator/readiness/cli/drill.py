"""`readiness drill shutdown|startup|errors|upstreams|dependencies|limits|failover REF`: one drill now, watched as it goes, explained, drawn.

Uses the arms, the Job and the judge of the operator. What a policy declares about the workload is
used where there is one; options win over it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from readiness.cli import kube
from readiness.cli.console import Console, UsageError
from readiness.output import FORMATS

KINDS: Final = {
    "deployment": "Deployment", "deploy": "Deployment", "statefulset": "StatefulSet",
    "sts": "StatefulSet", "daemonset": "DaemonSet", "ds": "DaemonSet", "rollout": "Rollout",
}  # fmt: skip
FAILOVER: Final = "failover"
DRILLS: Final = ("shutdown", "startup", "errors", "upstreams", "dependencies", "limits", FAILOVER)
EPILOG: Final = (
    "Makes clones of the workload's pods in its namespace, never touches its own pods, and clears everything "
    "away, also on Ctrl-C. Needs the rights of manifests/drills in that namespace. `failover` is another thing: it takes the "
    "primary of a live data service away, where the policy allows it and its window is open; needs manifests/disruptive. Exit "
    "codes: 0 nothing failed, 1 something failed, 3 could not tell."
)


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """The workload, what it declares, and what to write."""
    found = kube.build_parser(prog, text, EPILOG)
    found.add_argument("drill", choices=DRILLS, help="how it stops and what becomes of its jobs (SHD), starts (CFG), logs server errors (ERR), bears failing upstreams (REL), tells of silent dependencies (HLT), takes large bodies (LIM); or how a data service fails over (HA-004)")  # fmt: skip
    found.add_argument(
        "ref",
        metavar="KIND/NAME",
        help="for example deployment/api; for failover dataservice/cache",
    )
    _add_declared(found)
    how = found.add_argument_group("how")
    how.add_argument("--image", default="", help="the operator's image for the drill's own pods; default: that of the installed operator")  # fmt: skip
    how.add_argument("--store-image", metavar="KIND=IMAGE", action="append", default=[], help="the image of a throw-away store; default: that of the installed operator")  # fmt: skip
    how.add_argument(
        "--control",
        action="append",
        default=[],
        metavar="ID",
        help="only this one; may be repeated",
    )
    how.add_argument("--once", action="store_true", help="do not repeat what did not pass")
    how.add_argument("--svg", metavar="FILE", type=Path, help="draw the timeline of the arm that says most")  # fmt: skip
    how.add_argument("--html", metavar="FILE", type=Path, help="a page with all timelines and findings; default with -o human: readiness-drill-DRILL-NAME.html here")  # fmt: skip
    how.add_argument("--no-picture", action="store_true", help="write no file that was not asked for")  # fmt: skip
    how.add_argument("-o", "--output", choices=FORMATS, default="human")
    how.add_argument("-v", "--verbose", action="store_true", help="show findings that hold, too")
    return found


def _add_declared(parser: argparse.ArgumentParser) -> None:
    """What the workload declares, where no policy does or another one is to be tried."""
    declared = parser.add_argument_group("what the workload declares (a policy's declaration is the default)")  # fmt: skip
    declared.add_argument("--policy", metavar="FILE", default="", help="a manifest of the policy to use, instead of the cluster's")  # fmt: skip
    declared.add_argument("--slow", metavar="PATH", default="", help="a request that takes as long as {seconds} in its path says")  # fmt: skip
    declared.add_argument("--fast", metavar="PATH", default="", help="a request that answers at once; default: health.path, else /")  # fmt: skip
    declared.add_argument("--drain", metavar="TIME", default="", help="how long it may finish work after SIGTERM; default 15s")  # fmt: skip
    declared.add_argument("--required", metavar="NAME", action="append", default=[], help="a variable that it must not start without; may be repeated")  # fmt: skip
    declared.add_argument("--bootstrap", metavar="REGEX", default="", help="what its log says when it sets up an empty store")  # fmt: skip
    declared.add_argument("--trigger", metavar="PATH", default="", help="a request that provokes a server error")  # fmt: skip
    declared.add_argument("--upstream", metavar="NAME=VARIABLE[/PATH]", action="append", default=[], help="a service that it calls, and the variable with its URL; may be repeated")  # fmt: skip
    declared.add_argument("--call", metavar="[METHOD ]PATH", default="", help="a request that makes it call its upstreams")  # fmt: skip
    declared.add_argument("--timeout", metavar="TIME", default="", help="how long that may wait for an upstream; default 30s")  # fmt: skip
    declared.add_argument("--deep", metavar="PATH", default="", help="its health with that of its dependencies")  # fmt: skip
    declared.add_argument("--store", metavar="KIND=HOST[:PORT]", action="append", default=[], help="a redis, rabbitmq or mongodb that it uses; may be repeated")  # fmt: skip
    declared.add_argument("--takes", metavar="PATH", default="", help="a request that takes a JSON body from anyone")  # fmt: skip
    declared.add_argument("--body-limit", metavar="SIZE", default="", help="its largest body; default 10M")  # fmt: skip
    declared.add_argument("--container", default="", help="default: the first one with ports")
    declared.add_argument("--service", metavar="NAME[:PORT]", default="", help="the Service that clients use")  # fmt: skip
    declared.add_argument("--standalone", action="store_true", help="your word that it needs no store: undeclared addresses do not refuse the drill")  # fmt: skip
    declared.add_argument("--unisolated", action="store_true", help="drill also where no NetworkPolicy isolates a clone; --standalone does not count there")  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Runs the drill and prints its findings."""
    if args.drill == FAILOVER:
        from readiness.cli.drill_failover import drill_service

        return drill_service(args, service_of(args.ref), console)
    kind, name = workload_of(args.ref)
    from readiness.cli.drilled import drill_workload

    return drill_workload(args, kind, name, console)


def service_of(text: str) -> str:
    """The name in `dataservice/cache`. Raises UsageError."""
    kind, _, name = text.partition("/")
    if kind.lower().removesuffix("s") != "dataservice" or not name:
        raise UsageError(f"{text!r} is no data service: expected dataservice/NAME, as in spec.dataServices")  # fmt: skip
    return name


def workload_of(text: str) -> tuple[str, str]:
    """(kind, name) of `deployment/api`, as kubectl understands it. Raises UsageError."""
    kind, _, name = text.partition("/")
    known = KINDS.get(kind.lower().removesuffix("s") if kind.lower() not in KINDS else kind.lower())
    if known is None or not name:
        raise UsageError(f"{text!r} is no workload: expected KIND/NAME with one of {', '.join(sorted(set(KINDS)))}")  # fmt: skip
    return known, name
