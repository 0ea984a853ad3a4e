"""Images without a registry: made from Debian packages or single binaries, imported into nodes.

Layers and archives are cached by content. The Debian layer is kept apart from added directories, so
that an image of python and changing packages is quick to make again.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from localcluster import package
from localcluster.archive import Config, Layer, config_json, layer_of, write_archive, write_tar
from localcluster.build import cache_root
from localcluster.progress import ClusterError, step
from localcluster.run import run
from localcluster.state import Cluster, Node, locked

__all__ = [
    "Config",
    "archive_of",
    "ctr",
    "debian",
    "debian_layer",
    "ensure",
    "has",
    "load",
    "load_on",
    "parse_layer",
    "scratch",
]

PLAIN: Final = Config()
MOST_BYTES: Final = 6 * 1024**3  # of all archives together
USED_SECONDS: Final = 3600  # what was made or used since then may still be imported by somebody
SLIM: Final = (
    '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
)
# its packages link manual pages and do not configure where there is no place for them
FOR_JAVA: Final = ('--essential-hook=mkdir -p "$1/usr/share/man/man1"',)


def debian(
    name: str,
    *,
    packages: Sequence[str],
    suite: str = "trixie",
    layers: Sequence[tuple[Path, str]] = (),
    config: Config = PLAIN,
    output: Path | None = None,
) -> Path:
    """Archive of an image with Debian packages and further directories; returns its path.

    `layers` are pairs of a directory or file of this machine and where it lies in the image.
    """
    base = debian_layer(suite, packages)
    with tempfile.TemporaryDirectory(dir=_directory("layers")) as scratch_dir:
        made = []
        for index, (source, dest) in enumerate(layers):
            tar = Path(scratch_dir) / f"{index}.tar"
            write_tar(tar, source, dest)
            made.append(layer_of(tar))
        path = archive_of(name, config, [base, *made])
    if output:
        shutil.copy(path, output)
    return path


def scratch(name: str, *, binary: Path, config: Config | None = None) -> Path:
    """Archive of an image with one static binary, which is also its entrypoint; returns its path."""
    tar = _directory("layers") / f"{binary.parent.name}.tar"
    with locked(tar.with_suffix(".lock")):
        if not tar.exists():
            write_tar(tar.with_suffix(".partial"), binary, f"/{binary.name}")
            tar.with_suffix(".partial").replace(tar)
        layer = layer_of(tar)
    return archive_of(name, config or Config(entrypoint=(f"/{binary.name}",)), [layer])


def parse_layer(text: str) -> tuple[Path, str]:
    """`DIR=DEST` of the command line."""
    source, found, dest = text.rpartition("=")
    if not found or not dest.startswith("/") or not Path(source).exists():
        raise ClusterError(f"--layer {text!r} is not an existing DIR=/DEST", code=2)
    return Path(source), dest


def load(cluster: Cluster, files: Iterable[Path]) -> None:
    """Import archives into every node at the same time."""
    if not cluster.node_count:
        raise ClusterError(f"cluster {cluster.name} is bare and has no nodes for images", code=2)
    for file in files:
        if not file.is_file():
            raise ClusterError(f"there is no file {file}", code=2)
        with step(f"import {file.name}"), ThreadPoolExecutor(cluster.node_count) as pool:
            list(pool.map(lambda node, file=file: load_on(node, file), cluster.nodes))


def load_on(node: Node, file: Path) -> None:
    """Import one archive into one node."""
    run(*ctr(node), "images", "import", file)


def has(node: Node, name: str) -> bool:
    """Whether the node has an image of that short name."""
    return f"docker.io/{name}\n" in run(*ctr(node), "images", "list", "--quiet")


def ensure(node: Node, name: str, file: Path) -> None:
    """Import an archive into a node that has no image of that short name yet."""
    if not has(node, name):
        load_on(node, file)


def ctr(node: Node) -> list[str]:
    """containerd's own client for the node, in the namespace of Kubernetes."""
    return ["ctr", "--address", str(node.containerd_socket), "--namespace", "k8s.io"]


def debian_layer(suite: str, packages: Sequence[str]) -> Layer:
    """The layer of a Debian suite's essential packages and the given ones."""
    wanted = sorted(set(packages))
    options = [*SLIM, *(FOR_JAVA if any("openjdk" in each for each in wanted) else ())]
    arch = run("dpkg", "--print-architecture").strip()
    key = hashlib.sha256(json.dumps([suite, arch, wanted, options]).encode()).hexdigest()[:16]
    tar = _directory("layers") / f"debian-{suite}-{key}.tar"
    with locked(tar.with_suffix(".lock")):
        if not tar.exists():
            package.install_missing(package.FOR_IMAGES)
            with step(f"Debian {suite} with {', '.join(wanted) or 'nothing more'}"):
                partial = tar.with_name(f"{tar.stem}.partial.tar")
                run(
                    "mmdebstrap",
                    "--quiet",
                    "--variant=essential",
                    *options,
                    *([f"--include={','.join(wanted)}"] if wanted else []),
                    suite,
                    partial,
                )
                partial.replace(tar)
        return layer_of(tar)


def archive_of(name: str, config: Config, layers: Sequence[Layer]) -> Path:
    """Archive of an image made of layers; archives that nobody has used for longest make room for it."""
    if ":" not in name.rpartition("/")[2] or name.endswith(":latest"):
        raise ClusterError(
            f"image {name!r} needs a tag other than latest, which is always pulled", code=2
        )
    digest = hashlib.sha256(name.encode() + config_json(config, layers)).hexdigest()[:16]
    stem = name.replace("/", "_").replace(":", "_")
    path = _directory("images") / f"{stem}-{digest}.tar"
    if not path.exists():
        write_archive(path, name, config, layers)
    os.utime(path)
    prune(path.parent, time.time())
    return path


def prune(directory: Path, now: float) -> None:
    """Remove the archives that were used longest ago until the rest fits, but none that is in use."""
    found = []
    for path in directory.glob("*.tar"):
        with suppress(FileNotFoundError):  # others make room, too
            seen = path.stat()
            found.append((now - seen.st_mtime, seen.st_size, path))
    total = 0
    for age, size, path in sorted(found):
        total += size
        if total > MOST_BYTES and age > USED_SECONDS:
            path.unlink(missing_ok=True)


def _directory(name: str) -> Path:
    directory = cache_root() / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory
