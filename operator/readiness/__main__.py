"""The command line: finds the command, loads only its module, and turns mistakes into sentences.

The composition root. Nothing heavy is imported here: `readiness version` costs as much as Python.
Exit codes: 0 met, 1 not met, 2 usage or input error, 3 could not tell, 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from readiness.cli.console import Console, UsageError

COMMANDS: Final = {
    "check": "judge manifests, or a URL, without a cluster",
    "explain": "what a control asks, why, and how to meet it",
    "controls": "list every control",
    "status": "the verdict of policies in the cluster",
    "report": "every finding of one policy",
    "gate": "exit code of a policy's verdict, for pipelines",
    "drill": "prove on throw-away clones how a workload stops and starts",
    "backup": "save what data services hold",
    "restore": "bring a snapshot back, into a new instance",
    "wait": "wait until a policy is ready or compliant",
    "render": "the objects that the data services of a policy become",
    "crd": "print, write or compare the CustomResourceDefinitions",
    "run": "run the operator",
    "version": "print the version",
}
INTERNAL: Final = {
    "drill-isolated": "wait until a clone is isolated",
    "drill-job": "the process of a drill's Job",
    "drill-meter": "read what the container beside it uses",
    "drill-signal": "signal the process beside it",
    "drill-sink": "the upstreams and store gates of a drill",
    "restore-drill": "the process of a restore drill's Job",
    "mongod-resident": "founds a replica set, knows its member, hands over",
}
"""Commands of containers that we start; not for people."""
USAGE: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
LASTING: Final = (
    "run", "wait", "drill", "backup", "restore", "drill-job", "drill-sink", "drill-meter", "mongod-resident",
    "restore-drill",
)  # fmt: skip
HELP_WORDS: Final = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    console = Console(os.environ, sys.stdin, sys.stdout, sys.stderr)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(words, console)
        sys.stdout.flush()
    except KeyboardInterrupt:
        console.say("interrupted")
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough; Python must not complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    finally:
        gc.enable()
    if argv is None:
        gc.freeze()  # the process ends here: looking through everything once more would free nothing
    return code


def program(path: str) -> str:
    """What the user typed: `kubectl readiness` when kubectl runs us as its plugin."""
    return "kubectl readiness" if Path(path).name.startswith("kubectl-") else "readiness"


def _run(words: list[str], console: Console) -> int:
    name = program(sys.argv[0])
    if not words or words[0] in HELP_WORDS:
        print(_help(name), end="")
        return 0 if words else USAGE
    command = "version" if words[0] == "--version" else words[0]
    text = COMMANDS.get(command) or INTERNAL.get(command)
    if text is None:
        console.fail(name, _unknown(command))
        return USAGE
    if command not in LASTING:
        gc.disable()  # short-lived: collecting costs a tenth of its time and frees nothing
    module = import_module(f"readiness.cli.{command.replace('-', '_')}")
    args = module.build_parser(f"{name} {command}", text).parse_args(words[1:])
    try:
        return int(module.run(args, console))
    except UsageError as error:
        console.fail(f"{name} {command}", *error.problems)
        return error.code


def _unknown(command: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(COMMANDS)}"
    return f"no command {command!r}: {hint}"


def _help(name: str) -> str:
    rows = "".join(f"  {command:9} {text}\n" for command, text in COMMANDS.items())
    return (
        f"usage: {name} COMMAND [options]\n\nVerifies that applications are ready for production.\n\n"
        f"{rows}\n{name} COMMAND --help tells more. Start with: {name} check FILE\n"
        "Exit codes: 0 met, 1 not met, 2 usage or input error, 3 could not tell.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
