"""Which cluster demo and e2e tests run on, brought up and taken down: CLUSTER=current|kind|local.

Without CLUSTER: kind (three nodes) where a container engine answers, kind is installed and its node image is here or
pulled within a minute; else three nodes of e2e/localcluster. Whatever it makes has a kubeconfig of its own, so that the
user's is never written; a cluster it did not make is only used when told so and the context's name is confirmed.
Standard library only: `make cluster-down` runs without a virtual environment.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)] if str(HERE) not in sys.path else []

from localcluster import build, images, state  # noqa: E402 (the path must be set first)
from localcluster import cluster as local  # noqa: E402
from localcluster.progress import ClusterError, say, step  # noqa: E402

NAME: Final = "readiness-demo"
NODES: Final = 3
ENGINES: Final = ("docker", "podman", "nerdctl")
# Of kind v0.33.0; KIND_NODE_IMAGE chooses another, as CI's matrix does.
NODE_IMAGE: Final = (
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
)
PULL_SECONDS: Final = 60
KIND_CONFIG: Final = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
- role: worker
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up. `kind` is current, kind or local."""

    kind: str
    name: str
    kubeconfig: Path | None
    engine: str = ""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment in which kubectl and helm speak to this cluster."""
        return {**os.environ, **({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {})}

    def run(self, program: str, *arguments: str, text: str | None = None) -> str:
        """Output of kubectl or helm against this cluster; a ClusterError with its complaint when it fails."""
        done = self.attempt(program, *arguments, text=text)
        if done.returncode:
            raise ClusterError(
                f"{program} {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def attempt(
        self, program: str, *arguments: str, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The result of kubectl or helm against this cluster, whatever it is."""
        command = [str(path_of(program)), *arguments]
        return subprocess.run(
            command, env=self.environ, input=text, capture_output=True, text=True, check=False
        )

    def load(self, name: str, archive: Path | None = None) -> None:
        """Bring an image onto every node: an archive, or (kind) an image of the container engine."""
        if self.kind == "local" and archive:
            found = state.load(self.name)
            if not all(images.has(node, f"library/{name}") for node in found.nodes):
                images.load(found, [archive])
        elif self.kind == "kind":
            what = ["image-archive", str(archive)] if archive else ["docker-image", name]
            with step(f"load {name}"):
                call("kind", "load", *what, "--name", self.name, engine=self.engine)
        else:
            raise ClusterError(
                f"{name}: push it to a registry your cluster pulls from, then IMAGE=<that name>"
            )


def up(environ: Mapping[str, str] = os.environ) -> Cluster:
    """Bring up the cluster that CLUSTER asks for, or use the one that is up."""
    kind, engine = choose(environ)
    if kind == "current":
        return current(environ)
    if kind == "kind":
        return up_kind(engine, environ.get("KIND_NODE_IMAGE", NODE_IMAGE))
    found = local.up(NAME, node_count=NODES)
    return Cluster("local", NAME, found.kubeconfig)


def down() -> None:
    """Remove what `up` made, whatever CLUSTER says now. Nothing happens when there is nothing."""
    if NAME in state.cluster_names():
        local.down(NAME)
    for engine in filter(answers, ENGINES if shutil.which("kind") else ()):
        if NAME in call("kind", "get", "clusters", engine=engine).split():
            with step(f"kind delete cluster {NAME}"):
                call("kind", "delete", "cluster", "--name", NAME, engine=engine)
    kubeconfig().unlink(missing_ok=True)


def choose(environ: Mapping[str, str]) -> tuple[str, str]:
    """Kind of cluster and, for kind, the container engine; says why when nobody asked for it."""
    wanted = environ.get("CLUSTER", "")
    if wanted not in ("", "current", "kind", "local"):
        raise ClusterError(f"CLUSTER={wanted}: expected current, kind or local", code=2)
    if wanted in ("current", "local"):
        return wanted, ""
    engine, obstacle = kind_engine(environ.get("KIND_NODE_IMAGE", NODE_IMAGE))
    if wanted == "kind" and obstacle:
        raise ClusterError(f"CLUSTER=kind: {obstacle}")
    if not wanted:
        say(
            f"cluster: {f'three local nodes, because {obstacle}' if obstacle else f'kind with {engine}'}"
        )
    return ("local", "") if obstacle else ("kind", engine)


def kind_engine(image: str) -> tuple[str, str]:
    """The container engine kind can use, or what stands in the way of kind."""
    if NAME in state.cluster_names():
        return "", "the local cluster is up"
    engine = next(filter(answers, ENGINES), "")
    if not engine:
        return "", f"no container engine answers (asked {', '.join(ENGINES)})"
    if not shutil.which("kind"):
        return (
            "",
            f"{engine} answers but the program kind is not installed (https://kind.sigs.k8s.io)",
        )
    if not quiet(engine, "image", "inspect", image) and not pull(engine, image):
        return "", f"{engine} could not pull {image.partition('@')[0]} within {PULL_SECONDS} s"
    return engine, ""


def answers(engine: str) -> bool:
    """Whether a container engine is installed and its daemon answers."""
    return bool(shutil.which(engine)) and quiet(engine, "info", seconds=10)


def pull(engine: str, image: str) -> bool:
    """Whether the image could be pulled in time."""
    say(f"cluster: pulling {image.partition('@')[0]} (at most {PULL_SECONDS} s)")
    return quiet(engine, "pull", "--quiet", image, seconds=PULL_SECONDS)


def up_kind(engine: str, image: str) -> Cluster:
    """Three kind nodes with a kubeconfig of their own."""
    path = kubeconfig()
    path.parent.mkdir(parents=True, exist_ok=True)
    if NAME not in call("kind", "get", "clusters", engine=engine).split():
        with step(f"kind create cluster {NAME}"):
            call(
                "kind",
                "create",
                "cluster",
                "--name",
                NAME,
                "--image",
                image,
                "--wait",
                "180s",
                "--config",
                "-",
                "--kubeconfig",
                str(path),
                engine=engine,
                text=KIND_CONFIG,
            )
    else:
        call(
            "kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", str(path), engine=engine
        )
    return Cluster("kind", NAME, path, engine)


def current(environ: Mapping[str, str]) -> Cluster:
    """The cluster of the user's own kubeconfig, once they have confirmed its name."""
    cluster = Cluster("current", "", None)
    context = cluster.run("kubectl", "config", "current-context").strip()
    given = environ.get("CONFIRM_CONTEXT", "")
    if not given and sys.stdin.isatty():
        given = input(
            f"This installs into the cluster of context {context!r}. Type its name to confirm: "
        ).strip()
    if given != context:
        raise ClusterError(
            f"CLUSTER=current: context {context!r} is not confirmed: set CONFIRM_CONTEXT={context}",
            code=2,
        )
    return Cluster("current", context, None)


def kubeconfig() -> Path:
    """Where the kubeconfig of our kind cluster lies."""
    return state.state_root().parent / f"{NAME}.kubeconfig"


def path_of(program: str) -> Path:
    """kubectl or helm: from PATH, else built from its Go module."""
    found = shutil.which(program)
    if found:
        return Path(found)
    return (
        build.build("kube").with_name("kubectl") if program == "kubectl" else build.build(program)
    )


def call(program: str, *arguments: str, engine: str = "", text: str | None = None) -> str:
    """Output of a program; a ClusterError with its complaint when it fails."""
    environ = {**os.environ, **({"KIND_EXPERIMENTAL_PROVIDER": engine} if engine else {})}
    done = subprocess.run(
        [program, *arguments], env=environ, input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ClusterError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def quiet(*command: str, seconds: float = 30) -> bool:
    """Whether a command succeeds in time; its output is of no interest."""
    try:
        return (
            subprocess.run(command, capture_output=True, check=False, timeout=seconds).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """`up` prints how to speak to the cluster, `down` removes it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=["up", "down"])
    try:
        if parser.parse_args(arguments).command == "down":
            down()
            return 0
        cluster = up()
    except ClusterError as error:
        say(f"cluster: {error}")
        return error.code
    except KeyboardInterrupt:
        say("cluster: interrupted; `make cluster-up` continues, `make cluster-down` cleans up")
        return 130
    print(
        f"export KUBECONFIG={cluster.kubeconfig}"
        if cluster.kubeconfig
        else f"context {cluster.name}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
