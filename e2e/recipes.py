"""Images of other people's programs: what each is made of, and how it is made without a registry or with an engine.

A recipe names packages of Debian, PyPI, npm and Go by files that pin them, and a directory of ours. Every part is a layer
of its own, cached by content. It knows no cluster and no application.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import image
from image import Image
from localcluster import archive, build, images
from localcluster.progress import ClusterError, say

USER: Final = "10001:10001"
OURS: Final = "e2e/recipes.py"
"""This file: how layers are made is part of what is in them."""


@dataclass(frozen=True)
class Recipe:
    """One image. Files and directories are given relative to the checkout; everything lands below /usr.

    `debian` None: nothing of Debian at all. `python` is a file of requirements with hashes, `node` a directory with a
    package-lock.json, `go` are Go modules whose tools, or else whose own program, are built into /usr/bin, `files` is copied to
    /usr/share/NAME, where the image starts; without it that is /tmp.
    """

    name: str
    debian: tuple[str, ...] | None = ()
    python: str = ""
    node: str = ""
    go: tuple[str, ...] = ()
    files: str = ""
    stop_signal: str = ""

    @property
    def home(self) -> str:
        """Where its programs start."""
        return f"/usr/share/{self.name.partition('-')[0]}" if self.files else "/tmp"

    @property
    def image(self) -> str:
        """The image's name, which changes with what it is made of."""
        sources = [each for each in (self.python, self.node, *self.go, self.files) if each]
        content = repr(self) + image.hash_of(OURS, *sources) + image.SUITE
        return f"readiness-{self.name}:1.0.0-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def build_image(recipe: Recipe, engine: str = "") -> Image:
    """Build what the caches lack: an archive, or with an engine an image that it has."""
    parts = layers(recipe)
    if engine:
        return with_engine(recipe, parts, engine)
    if recipe.debian is not None:
        parts.insert(0, images.debian_layer(image.SUITE, recipe.debian))
    config = images.Config(user=USER, workdir=recipe.home, stop_signal=recipe.stop_signal)
    return Image(recipe.image, images.archive_of(recipe.image, config, parts))


def build_images(
    recipes: Mapping[str, Recipe], wanted: Collection[str], engine: str = ""
) -> list[Image]:
    """The images of a table that are wanted, by their names in it, built where the cache lacks them."""
    return [build_image(recipe, engine) for name, recipe in recipes.items() if name in wanted]


def layers(recipe: Recipe) -> list[archive.Layer]:
    """The layers above Debian's."""
    made = []
    if recipe.python:
        made.append(python_layer(recipe.python))
    if recipe.node:
        made.append(node_layer(recipe.node))
    made += [go_layer(module) for module in recipe.go]
    if recipe.files:
        made.append(files_layer(recipe.files, recipe.home))
    return made


def with_engine(recipe: Recipe, parts: Sequence[archive.Layer], engine: str) -> Image:
    """The same content by a container engine."""
    lines = ["FROM scratch"]
    if recipe.debian is not None:
        install = f"apt-get install -y --no-install-recommends {' '.join(recipe.debian)}"
        lines = [
            f"FROM debian:{image.SUITE}-slim",
            f"RUN apt-get update && {install} && rm -rf /var/lib/apt/lists/*",
        ]
    lines += [f"ADD {part.path.name} /" for part in parts]
    lines += [f"USER {USER}", f"WORKDIR {recipe.home}"]
    lines += [f"STOPSIGNAL {recipe.stop_signal}"] if recipe.stop_signal else []
    image.engine_build(engine, [recipe.image], build.cache_root() / "layers", "\n".join(lines))
    return Image(recipe.image)


def python_layer(pins: str) -> archive.Layer:
    """Packages of PyPI, as wheels for the image's Python. Their commands are `python3 -m`."""
    path = image.ROOT / pins
    return cached(pins, "python", lambda to: image.install(to / image.SITE, "--require-hashes", "--no-deps", "-r", str(path)))  # fmt: skip


def node_layer(lock: str) -> archive.Layer:
    """Packages of npm in /usr/lib/node_modules, without running their scripts."""

    def fill(to: Path) -> None:
        home = to / "usr/lib"
        for name in ("package.json", "package-lock.json"):
            image.copy(image.ROOT / lock / name, home / name)
        call("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", at=home)
        for name in ("package.json", "package-lock.json"):
            (home / name).unlink()

    return cached(lock, "node", fill)


def go_layer(module: str) -> archive.Layer:
    """Programs of a Go module in /usr/bin, each named after its package."""
    at = image.ROOT / module
    what = "tool" if "\ntool " in (at / "go.mod").read_text() else "."

    def fill(to: Path) -> None:
        out = to / "usr/bin"
        out.mkdir(parents=True)
        flags = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
        call(str(build.find_go()), "build", *flags, "-o", f"{out}/", what, at=at)

    return cached(module, "go", fill)


def files_layer(source: str, home: str) -> archive.Layer:
    """Files of the checkout."""
    return cached(source, home, lambda to: image.copy(image.ROOT / source, to / home[1:]))


def cached(source: str, kind: str, fill: Callable[[Path], None]) -> archive.Layer:
    """The layer that a file or directory of the checkout makes."""
    return image.cached(source.replace("/", "-"), kind + image.hash_of(OURS, source), fill)


def call(*command: str, at: Path) -> None:
    """Run a build tool, gently."""
    if not shutil.which(command[0]):
        raise ClusterError(f"{command[0]} is not installed, and the images need it once")
    environ = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOOS": "linux"}
    done = subprocess.run(
        ["nice", "-n", "10", *command], cwd=at, env=environ, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise ClusterError(f"{json.dumps(command)} failed:\n{done.stderr[-4000:]}")


def bundle(items: Sequence[Mapping[str, Any]]) -> str:
    """Manifests as kubectl takes them."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def command_line(
    known: Collection[str],
    build_all: Callable[..., list[Image]],
    manifests: Callable[..., Sequence[Mapping[str, Any]]],
) -> int:
    """`images [NAME…]` builds and prints names and archives, `manifests NAMESPACE [NAME…]` prints JSON for kubectl."""
    parser = argparse.ArgumentParser(description=command_line.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("images")
    verbs.add_parser("manifests").add_argument("namespace")
    for verb in verbs.choices.values():
        verb.add_argument("names", nargs="*", metavar="NAME", help="of the table; none: all")
    given = parser.parse_args()
    if unknown := set(given.names) - set(known):
        parser.error(f"not in the table: {', '.join(sorted(unknown))}")
    try:
        if given.verb == "manifests":
            print(bundle(manifests(given.namespace, given.names)))
            return 0
        for each in build_all(only=given.names):
            print(each.name, each.archive)
    except ClusterError as error:
        say(f"{given.verb}: {error}")
        return error.code
    return 0
