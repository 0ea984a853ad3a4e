"""`readiness render`: the objects that the operator would create for the data services of policies.

Offline, from the code that the operator runs. What it would generate once stands as a placeholder.
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import yaml

from readiness import __version__, naming
from readiness.cli.console import Console, parser
from readiness.cli.given import load_valid
from readiness.cli.worlds import Defaults, World, worlds_of
from readiness.dataservices.kept import children_of_kept, refusals_of_kept
from readiness.dataservices.kind import Kind
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.whole import kept_of
from readiness.dataservices.wish import (
    Wish,
    children_of,
    kind_of,
    order_of,
    refusals_of,
)
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Provided, Snapshot

NODE: Manifest = {"metadata": {"name": "node"}}
IMAGES = ("redis", "rabbitmq", "mongodb", "redis_exporter", "mongodb_exporter")
EPILOG = (
    "Passwords are placeholders: the operator generates them once, into a Secret. Exit codes: 0 rendered, 1 a data "
    "service is refused, 2 usage or input error."
)


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Dumper.add_representer(str, _text)


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Paths, and what only the cluster or the operator's settings would tell."""
    found = parser(prog, text, EPILOG)
    add = found.add_argument
    add("paths", nargs="+", metavar="PATH", help="file, directory, or - for standard input")
    add("-n", "--namespace", default="default", help="namespace of policies that name none")
    add("--nodes", type=int, default=3, metavar="N", help="nodes of the cluster (default: 3)")
    for name in IMAGES:
        add(f"--{name.replace('_', '-')}-image", default="", metavar="IMAGE",
            help=f"the operator's own setting for {name.replace('_', ' ')}")  # fmt: skip
    add("--operator-image", default=f"readiness-operator:{__version__}", metavar="IMAGE",
        help="the operator's own image, which backups run in")  # fmt: skip
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Prints the children of every policy; refusals go to stderr."""
    found = load_valid(args.paths, console)
    images = {name: getattr(args, f"{name}_image") for name in IMAGES}
    frame = Provided(images=images, operator_image=args.operator_image)
    refused = False
    for world in worlds_of(found.objects, Defaults(args.namespace)):
        for service, rendered in (*_services(world, args.nodes, frame), *_kept(world, frame)):
            if isinstance(rendered, Obstacle):
                refused = True
                console.say(f"{world.policy['metadata']['name']}: {service}: {rendered.message} ({rendered.fix})")  # fmt: skip
            else:
                console.write(f"---\n{_shown(rendered)}")
    return 1 if refused else 0


def _services(
    world: World, nodes: int, frame: Provided
) -> Iterator[tuple[str, Manifest | Obstacle]]:
    kinds: dict[str, Kind] = {kind.name: kind for kind in KINDS}
    policy = world.policy | {"metadata": {"uid": "", **world.policy["metadata"]}}
    wish = Wish(policy, world.spec, 0.0, "")
    for service in world.spec.data_services:
        kind = kinds.get(kind_of(service))
        if not kind_of(service):
            continue
        known = {each.key: f"GENERATED-{each.key}" for each in (kind.credentials if kind else ())}
        provided = replace(frame, credentials={service.name: known})
        placed = {str(number): NODE for number in range(nodes)}
        snapshot = Snapshot(world.snapshot.namespace, nodes=placed, provided=provided)
        order = order_of(wish, snapshot, service)
        refusals = refusals_of(kind, order, tuple(kinds))
        yield from ((service.name, each) for each in refusals)
        if kind is not None and not refusals:
            yield from ((service.name, child) for child in children_of(wish, kind, order))


def _kept(world: World, frame: Provided) -> Iterator[tuple[str, Manifest | Obstacle]]:
    policy = world.policy | {"metadata": {"uid": "", **world.policy["metadata"]}}
    wish = Wish(policy, world.spec, 0.0, "")
    for kept in kept_of(wish, Snapshot(world.snapshot.namespace, provided=frame), KINDS):
        refusals = tuple(refusals_of_kept(kept))
        yield from ((kept.name, each) for each in refusals or children_of_kept(wish, kept))


def _shown(child: Manifest) -> str:
    """Secrets in plain words, without the owner and the hash that are known in the cluster only."""
    meta = {key: value for key, value in child["metadata"].items() if key != "ownerReferences"}
    notes = {k: v for k, v in meta.pop("annotations", {}).items() if k != naming.DESIRED_HASH}
    shown = child | {"metadata": meta | ({"annotations": notes} if notes else {})}
    if child["kind"] == "Secret":
        data = shown.pop("data").items()
        shown["stringData"] = {key: base64.b64decode(text).decode() for key, text in data}
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
