"""The operator's image for clusters without a registry: Debian's python3, the locked packages, our code.

The same content as the Dockerfile's (`tests/install` compares both with uv.lock), in three layers of which only the
last, small one changes with the code. Everything is cached by content. It knows no cluster.
"""

import argparse
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)] if str(HERE) not in sys.path else []

from localcluster import archive, build, images  # noqa: E402 (the path must be set first)
from localcluster.progress import ClusterError, say, step  # noqa: E402
from localcluster.state import locked  # noqa: E402

ROOT: Final = HERE.parent
SPECIMEN: Final = "e2e/apps"  # a directory that python3 runs
SPECIMEN_REPOSITORY: Final = "readiness-specimen"
SPECIMEN_HOME: Final = "/usr/share/specimen"
SPECIMEN_ENTRYPOINT: Final = ("python3", SPECIMEN_HOME)
SPECIMEN_USER: Final = "10001:10001"
REPOSITORY: Final = "readiness-operator"
SUITE: Final = "trixie"
PYTHON: Final = "3.13"  # of that suite, and of the Dockerfile
PACKAGES: Final = ("python3", "ca-certificates")
TOOLS: Final = ("restic", "openssh-client")  # of the operator's image alone
SITE: Final = f"usr/local/lib/python{PYTHON}/dist-packages"
LAUNCHER: Final = (
    "#!/usr/bin/python3\nimport sys\nfrom readiness.__main__ import main\nsys.exit(main())\n"
)
SOURCES: Final = ("operator", "pyproject.toml", "README.md", "LICENSE")
ACCOUNTS: Final = "root:x:0:0:root:/root:/bin/sh\nreadiness:x:65532:65532::/tmp:/usr/sbin/nologin\n"
CONFIG: Final = images.Config(
    entrypoint=("readiness",),
    user="65532:65532",
    workdir="/tmp",
    env=("PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"),
)


@dataclass(frozen=True)
class Image:
    """A name, and the archive that docker, kind and containerd import; none where a container engine has it."""

    name: str
    archive: Path | None = None


def operator_image() -> Image:
    """The image of the code as it lies here; its tag is a hash of its content."""
    layers = [images.debian_layer(SUITE, (*PACKAGES, *TOOLS)), package_layer(), code_layer()]
    tag = hashlib.sha256("".join(each.digest for each in layers).encode()).hexdigest()[:12]
    name = f"{REPOSITORY}:{version()}-{tag}"
    return Image(name, images.archive_of(name, CONFIG, layers))


def specimen_images() -> tuple[Image, Image]:
    """The application of the samples under two tags: one that names a build, and one that moves."""
    layers = [images.debian_layer(SUITE, PACKAGES), specimen_layer()]
    config = images.Config(entrypoint=SPECIMEN_ENTRYPOINT, user=SPECIMEN_USER, workdir="/tmp")
    first, second = (
        Image(name, images.archive_of(name, config, layers)) for name in specimen_names()
    )
    return first, second


def specimen_names() -> list[str]:
    """Its two names, which change with its content."""
    return [f"{SPECIMEN_REPOSITORY}:{tag}-{hash_of(SPECIMEN)[:12]}" for tag in ("1.0.0", "stable")]


def specimen_layer() -> archive.Layer:
    """The specimen's files."""
    return cached(
        "specimen", hash_of(SPECIMEN), lambda root: copy(ROOT / SPECIMEN, root / SPECIMEN_HOME[1:])
    )


def build_without_engine() -> tuple[Image, ...]:
    """The operator's image and the two of the samples, as archives."""
    return operator_image(), *specimen_images()


def build_with(engine: str) -> tuple[Image, ...]:
    """The same by a container engine: the Dockerfile, and a few lines like it for the specimen."""
    name = f"{REPOSITORY}:{version()}-{hash_of(*SOURCES, 'uv.lock', 'Dockerfile')[:12]}"
    engine_build(engine, [name], ROOT, (ROOT / "Dockerfile").read_text())
    base = next(
        line
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("ARG PYTHON=")
    )
    recipe = (
        f"{base}\nFROM ${{PYTHON}}\nCOPY . {SPECIMEN_HOME}\nUSER {SPECIMEN_USER}\nWORKDIR /tmp\n"
        f"ENTRYPOINT {json.dumps(SPECIMEN_ENTRYPOINT)}\n"
    )
    engine_build(engine, specimen_names(), ROOT / SPECIMEN, recipe)
    return tuple(Image(each) for each in (name, *specimen_names()))


def engine_build(engine: str, names: list[str], context: Path, recipe: str) -> None:
    """Build an image with a container engine, unless it has it already."""
    if (
        subprocess.run(
            [engine, "image", "inspect", names[0]], capture_output=True, check=False
        ).returncode
        == 0
    ):
        return
    tags = [word for name in names for word in ("--tag", name)]
    with step(f"{engine} build {names[0]}"):
        done = subprocess.run(
            [engine, "build", "--file", "-", *tags, str(context)],
            input=recipe,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"{engine} build failed:\n{done.stderr[-4000:]}")


def package_layer() -> archive.Layer:
    """Everything uv.lock says the operator needs at run time, as wheels for the image's Python."""
    wanted = requirements()

    def fill(root: Path) -> None:
        pins = root / "requirements.txt"
        pins.write_text(wanted)
        install(root / SITE, "--require-hashes", "--no-deps", "-r", str(pins))
        pins.unlink()

    return cached("packages", wanted, fill)


def code_layer() -> archive.Layer:
    """Our own package and the command."""

    def fill(root: Path) -> None:
        source = root / "source"  # a copy, so that no build artefact lands in the checkout
        for name in SOURCES:
            copy(ROOT / name, source / name)
        install(root / SITE, "--no-deps", str(source))
        shutil.rmtree(source)
        launcher = root / "usr/local/bin/readiness"
        launcher.parent.mkdir(parents=True)
        launcher.write_text(LAUNCHER)
        launcher.chmod(0o755)
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text(ACCOUNTS)

    return cached("code", hash_of(*SOURCES) + ACCOUNTS, fill)


def version() -> str:
    """The version that pyproject.toml says."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def requirements() -> str:
    """Name, version and hashes of every locked package the operator needs at run time."""
    return uv(
        "export",
        "--frozen",
        "--no-default-groups",
        "--all-extras",
        "--no-emit-project",
        "--no-header",
        "--no-annotate",
        "--directory",
        str(ROOT),
    )


def installed(layer: archive.Layer) -> frozenset[str]:
    """`name==version` of every distribution in a layer."""
    with tarfile.open(layer.path) as tar:
        names = {
            Path(each).parent.name
            for each in tar.getnames()
            if each.endswith(".dist-info/METADATA")
        }
    return frozenset("==".join(name.removesuffix(".dist-info").rsplit("-", 1)) for name in names)


def install(target: Path, *what: str) -> None:
    """Install into a directory for the image's Python and machine, from wheels only, without scripts."""
    uv(
        "pip",
        "install",
        "--quiet",
        "--target",
        str(target),
        "--python-version",
        PYTHON,
        "--python-platform",
        f"{platform.machine()}-manylinux_2_28",
        *(("--only-binary", ":all:") if "--require-hashes" in what else ()),
        *what,
    )
    shutil.rmtree(target / "bin", ignore_errors=True)
    (target / ".lock").unlink(missing_ok=True)


def cached(kind: str, content: str, fill: Callable[[Path], None]) -> archive.Layer:
    """The layer of that content, filled when the cache lacks it."""
    key = hashlib.sha256(
        "\0".join((kind, content, PYTHON, SUITE, LAUNCHER, platform.machine())).encode()
    )
    tar = build.cache_root() / "layers" / f"operator-{kind}-{key.hexdigest()[:16]}.tar"
    tar.parent.mkdir(parents=True, exist_ok=True)
    with locked(tar.with_suffix(".lock")):
        if not tar.exists():
            with (
                step(f"image layer: {kind}"),
                tempfile.TemporaryDirectory(dir=tar.parent) as directory,
            ):
                fill(Path(directory))
                archive.write_tar(tar.with_suffix(".partial"), Path(directory) / "usr", "/usr")
                tar.with_suffix(".partial").replace(tar)
        return archive.layer_of(tar)


def hash_of(*names: str) -> str:
    """Hash of files and directories of the checkout, without what Python leaves in them."""
    digest = hashlib.sha256()
    for path in sorted(each for name in names for each in files(ROOT / name)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def files(path: Path) -> list[Path]:
    """A file, or the files below a directory."""
    found = path.rglob("*") if path.is_dir() else [path]
    return [each for each in found if each.is_file() and "__pycache__" not in each.parts]


def copy(source: Path, target: Path) -> None:
    """Copy a file or a directory's files."""
    for path in files(source):
        place = target / path.relative_to(source) if source.is_dir() else target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)


def uv(*arguments: str) -> str:
    """Output of uv, which `make` puts into the virtual environment."""
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    if not program:
        raise ClusterError("uv is not installed: run `make bootstrap`, or `pip install uv`")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"uv {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
    return done.stdout


def main() -> int:
    argparse.ArgumentParser(
        description="Build the operator's image; prints its name and archive."
    ).parse_args()
    try:
        image = operator_image()
    except ClusterError as error:
        say(f"image: {error}")
        return error.code
    print(image.name, image.archive)
    return 0


if __name__ == "__main__":
    sys.exit(main())
