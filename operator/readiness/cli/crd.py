"""`readiness crd`: the CustomResourceDefinitions of this version, printed, written or compared."""

from __future__ import annotations

import argparse
from pathlib import Path

from readiness.cli.console import Console, UsageError, parser
from readiness.crd import build_crds, render_crd


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Where to."""
    found = parser(prog, text, "Apply them with: readiness crd | kubectl apply --server-side -f -")
    where = found.add_mutually_exclusive_group()
    where.add_argument("--write", metavar="DIR", help="write one file per kind")
    where.add_argument("--check", metavar="DIR", help="exit 1 when a file there differs")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Prints, writes or compares."""
    texts = {name: render_crd(crd) for name, crd in build_crds().items()}
    if args.check:
        return _check(Path(args.check), texts, console)
    if args.write:
        try:
            for name, text in texts.items():
                (Path(args.write) / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{error.filename}: cannot be written: {error.strerror}") from None
        console.say(f"wrote {len(texts)} files to {args.write}")
        return 0
    console.write("".join(texts.values()))
    return 0


def _check(folder: Path, texts: dict[str, str], console: Console) -> int:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such directory")
    there = {path.name for path in folder.glob("*.yaml")}
    wrong = sorted(there - texts.keys())
    for name, text in texts.items():
        if name not in there or (folder / name).read_text(encoding="utf-8") != text:
            wrong.append(name)
    for name in wrong:
        console.say(f"{folder / name}: differs from this version; readiness crd --write {folder}")
    return 1 if wrong else 0
