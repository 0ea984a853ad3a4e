"""`readiness check`: judges manifests, or a URL, without a cluster. Imports neither kopf nor kubernetes.

The verdict comes from the same `plan.make` as in the cluster; here is only what goes in and out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from readiness import files, plan, rules
from readiness.cli.console import Console, UsageError, parser
from readiness.cli.explain import find
from readiness.cli.given import load_valid
from readiness.cli.judged import Judged, judged_of, sheet_of
from readiness.cli.worlds import Defaults, World, worlds_of
from readiness.control import unknown
from readiness.model import Finding, Mode, Severity
from readiness.output import FORMATS, render
from readiness.output.sheet import Outcome
from readiness.weigh import ProfileNotFoundError, Setting, settings_of

if TYPE_CHECKING:
    from readiness.api.target import Target

EPILOG = (
    "Exit codes: 0 met, 1 a finding at --fail-on or above fails, 2 usage or input error, 3 could "
    "not tell: nothing to judge, or a finding at --fail-on or above is unproven."
)


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Paths or a URL, and how to weigh and print."""
    found = parser(prog, text, EPILOG)
    add = found.add_argument
    add("paths", nargs="*", metavar="PATH", help="file, directory, or - for standard input")
    add("--url", help="judge what answers at this address instead of manifests")
    add("--profile", action="append", metavar="NAME",
        help="what to ask where no policy says (default: baseline; with --url: web)")  # fmt: skip
    add("-n", "--namespace", default="default", help="namespace of objects that name none")
    add("--fail-on", choices=[s.value for s in Severity], default="P1", type=str.upper,
        help="least severity that decides the exit code (default: P1)")  # fmt: skip
    add("--skip", action="append", default=[], metavar="ID", help="leave this control out")
    add("-o", "--output", choices=FORMATS, default="human")
    add("-v", "--verbose", action="store_true", help="show findings that hold, too")
    declared = found.add_argument_group("what is declared of a URL")
    declared.add_argument("--health", metavar="PATH", help="health endpoint")
    declared.add_argument("--deep-health", metavar="PATH", help="health of dependencies")
    for option, text_ in _ROUTES.items():
        declared.add_argument(option, action="append", default=[], metavar="PATH", help=text_)
    declared.add_argument("--cors-origin", action="append", default=[], metavar="ORIGIN",
                          help="origin that may read answers")  # fmt: skip
    declared.add_argument("--metrics", metavar="PATH", help="Prometheus exposition")
    return found


_ROUTES = {
    "--protected": "route that must refuse anonymous requests",
    "--public": "route that anyone may read",
    "--sensitive": "route whose answers must not be cached",
}


def run(args: argparse.Namespace, console: Console) -> int:
    """Judges, prints, and returns the outcome."""
    if bool(args.url) == bool(args.paths):
        raise UsageError("expected PATHs or --url URL, one of both: readiness check DIR")
    known = rules.load()
    skipped = frozenset(known_id(known, id_) for id_ in args.skip)
    if args.url:
        from readiness.cli.url import judged_url as judged_source
    else:
        judged_source = judged_manifests
    judged = judged_source(args, known, console)
    sheet = sheet_of(judged, known, skipped, Severity(args.fail_on))
    if not sheet.rows:
        console.fail("readiness check", *sheet.notes, "nothing was judged")
        return Outcome.UNPROVEN
    console.write(render(args.output, sheet, console.style(verbose=args.verbose)))
    return sheet.outcome


def known_id(known: rules.Rules, id_: str) -> str:
    """The id of a control that exists; raises UsageError otherwise."""
    return str(find(known, id_).id)


def judged_manifests(
    args: argparse.Namespace, known: rules.Rules, console: Console
) -> list[Judged]:
    """What files, directories and standard input amount to. Raises UsageError."""
    found = load_valid(args.paths, console)
    for text in found.repeated:
        console.say(f"readiness check: warning: {text}")
    defaults = Defaults(args.namespace, _profiles(args, known, found.objects, "baseline"))
    judged = [judge(world, known) for world in worlds_of(found.objects, defaults)]
    if not any(one.rows for one in judged):
        judged.append(Judged((), notes=(_nothing(found),)))
    return judged


def _profiles(
    args: argparse.Namespace, known: rules.Rules, found: Sequence[files.Located], default: str
) -> tuple[str, ...]:
    names = {
        *known.profiles,
        *(
            i.manifest["metadata"]["name"]
            for i in found
            if i.manifest["kind"] == "ReadinessProfile"
        ),
    }
    for name in args.profile or ():
        if name not in names:
            raise UsageError(f"no profile {name!r}: expected one of {', '.join(sorted(names))}")
    return tuple(dict.fromkeys(args.profile or (default,)))


def judge(world: World, known: rules.Rules) -> Judged:
    """What the operator would say of this world, from manifests alone. Raises UsageError."""
    try:
        asked = settings_of(known, world.spec, world.snapshot)
    except ProfileNotFoundError as error:
        place, name = world.places.get(""), world.policy["metadata"]["name"]
        raise UsageError(f"{place}: ReadinessPolicy/{name}: {error}") from None
    situation = plan.Situation(world.policy, world.snapshot, {}, time.time(), world.spec)
    decided = plan.make(known, situation, {})
    absent = (t for t in world.spec.targets if t.name not in world.snapshot.workloads)
    missing = [finding for target in absent for finding in _missing(target, known, asked)]
    return judged_of(world, (*missing, *decided.findings), asked)


def _missing(target: Target, known: rules.Rules, asked: Mapping[str, Setting]) -> Iterator[Finding]:
    """A target that is not among the files: everything manifests could have shown is unknown."""
    ref = target.workload_ref
    verdict = unknown(
        "TargetNotFound",
        f"{ref.kind}/{ref.name} is not among the manifests",
        fix=f"give its manifest to the check as well, or correct spec.targets[{target.name}].workloadRef",
    )
    for id_, setting in asked.items():
        control = known.controls.get(id_)
        if control is not None and control.static and setting.mode is not Mode.OFF:
            counts = setting.mode is Mode.ENFORCE
            yield Finding(
                id_, target.name, setting.severity, setting.mode, control.safety, verdict, counts
            )


def _nothing(found: files.Manifests) -> str:
    return (
        f"no workload among {len(found.objects)} objects in {found.files} files "
        f"({found.foreign} documents are no Kubernetes objects); expected a Deployment, StatefulSet, "
        "DaemonSet or Rollout: kustomize build . | readiness check -"
    )
