"""The command line: parses, calls, prints. Exit codes: 0 done, 1 failed, 2 wrong usage."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from localcluster import build, cluster, images, netpolicy, node, state, storage
from localcluster.progress import ClusterError, say

Command = Callable[[argparse.Namespace], int]
DEFAULT_NAME: Final = "local"
LOOPS: Final = {"storage": storage.run_loop, "netpolicy": netpolicy.run_loop}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        args = parser().parse_args(argv)
        command: Command = args.command
        return command(args)
    except ClusterError as failure:
        say(f"localcluster: {failure}")
        return failure.code
    except BrokenPipeError:  # the reader of our output, like head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("localcluster: interrupted; `up` continues, `down` cleans up")
        return 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="localcluster", description=cluster_description())
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    _add_lifecycle(commands)
    _add_images(commands)
    _add_node(commands)
    loop = _command(commands, "loop", run_loop, "run one of a cluster's own loops (internal)")
    _name(loop)
    loop.add_argument("loop", choices=[*LOOPS])
    kubectl = _command(commands, "kubectl", run_kubectl, "run kubectl against a cluster")
    _name(kubectl)
    kubectl.add_argument("args", nargs=argparse.REMAINDER, metavar="-- ARGS")
    return top


def cluster_description() -> str:
    return (
        "A real Kubernetes cluster on this machine, without a registry. See README.md beside this."
    )


def _add_lifecycle(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    build_ = _command(commands, "build", run_build, "build the programs into the cache")
    build_.add_argument(
        "program",
        nargs="*",
        choices=[*build.PROGRAMS, []],
        metavar="PROGRAM",
        help=f"of {', '.join(build.PROGRAMS)} (default: {', '.join(build.FOR_NODES)})",
    )
    up = _command(commands, "up", run_up, "bring a cluster up; harmless when it is up")
    _name(up)
    size = up.add_mutually_exclusive_group()
    size.add_argument(
        "--bare", action="store_true", help="control plane only, no root needed (the default)"
    )
    size.add_argument("--nodes", type=int, default=0, metavar="K", help="real nodes; needs root")
    up.add_argument(
        "--no-controllers",
        action="store_true",
        help="leave out the controller manager (with --bare)",
    )
    down = _command(commands, "down", run_down, "remove a cluster; harmless when there is none")
    which = down.add_mutually_exclusive_group()
    which.add_argument("--name", default=DEFAULT_NAME)
    which.add_argument("--all", action="store_true", help="remove every cluster of this user")
    status = _command(
        commands, "status", run_status, "where a cluster's files, ports and nodes are"
    )
    _name(status)
    status.add_argument("-o", "--output", choices=["text", "json"], default="text")


def _add_images(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    group = commands.add_parser("image", help="make and import images").add_subparsers(
        metavar="COMMAND", required=True
    )
    debian = _command(group, "debian", run_debian, "an image archive from Debian packages")
    debian.add_argument("--name", required=True, metavar="IMAGE:TAG", dest="image")
    debian.add_argument("--suite", default="trixie")
    debian.add_argument("--package", action="append", default=[], metavar="PACKAGE")
    debian.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="DIR=DEST",
        help="a directory of this machine as a further layer",
    )
    debian.add_argument(
        "--entrypoint", default="", metavar="'COMMAND ARG ...'", help="split as a shell would"
    )
    debian.add_argument("--cmd", default="", metavar="'ARG ...'")
    debian.add_argument("--env", action="append", default=[], metavar="KEY=VALUE")
    debian.add_argument("--user", default="")
    debian.add_argument("--workdir", default="/")
    debian.add_argument("--output", type=Path, help="also copy the archive there")
    load = _command(group, "import", run_import, "import archives into every node of a cluster")
    load.add_argument("--cluster", "--name", default=DEFAULT_NAME, dest="name")
    load.add_argument("files", nargs="+", type=Path, metavar="FILE")


def _add_node(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    group = commands.add_parser("node", help="break and mend a node").add_subparsers(
        metavar="COMMAND", required=True
    )
    for name, action, text in (
        ("cut", node.cut, "unplug its network cable"),
        ("heal", node.heal, "plug the cable in again"),
        ("crash", node.crash, "SIGKILL everything that runs on it"),
        ("restart", node.restart, "start it again after a crash"),
    ):
        each = _command(group, name, run_node, text)
        _name(each)
        each.add_argument("node", metavar="NODE")
        each.set_defaults(action=action)


def _command(
    group: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Command,
    text: str,
) -> argparse.ArgumentParser:
    added = group.add_parser(name, help=text, description=text.capitalize() + ".")
    added.set_defaults(command=command)
    return added


def _name(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", default=DEFAULT_NAME, help="cluster (default: %(default)s)")


def run_build(args: argparse.Namespace) -> int:
    for program in args.program or build.FOR_NODES:
        print(build.build(program))
    return 0


def run_up(args: argparse.Namespace) -> int:
    if args.no_controllers and args.nodes:
        raise ClusterError("--no-controllers is for bare clusters", code=2)
    found = cluster.up(args.name, node_count=args.nodes, controllers=not args.no_controllers)
    print(f"export KUBECONFIG={found.kubeconfig}")
    return 0


def run_down(args: argparse.Namespace) -> int:
    for name in state.cluster_names() if args.all else [args.name]:
        cluster.down(name)
    return 0


def run_status(args: argparse.Namespace) -> int:
    found = cluster.status(state.load(args.name))
    if args.output == "json":
        print(json.dumps(found, indent=2))
    else:
        for key, value in found.items():
            print(f"{key:12} {value if isinstance(value, str) else json.dumps(value)}")
    return 0 if found["running"] else 1


def run_debian(args: argparse.Namespace) -> int:
    layers = [images.parse_layer(text) for text in args.layer]
    config = images.Config(
        entrypoint=tuple(shlex.split(args.entrypoint)),
        cmd=tuple(shlex.split(args.cmd)),
        env=tuple(args.env),
        user=args.user,
        workdir=args.workdir,
    )
    print(
        images.debian(
            args.image,
            suite=args.suite,
            packages=args.package,
            layers=layers,
            config=config,
            output=args.output,
        )
    )
    return 0


def run_import(args: argparse.Namespace) -> int:
    images.load(state.load(args.name), args.files)
    return 0


def run_node(args: argparse.Namespace) -> int:
    found = state.load(args.name)
    args.action(found, found.node(args.node))
    return 0


def run_loop(args: argparse.Namespace) -> int:
    LOOPS[args.loop](state.load(args.name))
    return 0


def run_kubectl(args: argparse.Namespace) -> int:
    found = state.load(args.name)
    rest = args.args[1:] if args.args[:1] == ["--"] else args.args
    kubectl = str(build.build("kube").with_name("kubectl"))
    sys.stdout.flush()
    os.execve(kubectl, [kubectl, *rest], {**os.environ, "KUBECONFIG": str(found.kubeconfig)})
