"""`python3 e2e/shapes images [NAME…]` builds and prints names and archives; `manifests NAMESPACE [NAME…]` prints JSON."""

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import shapes  # noqa: E402 (the path must be set first)
from localcluster.progress import ClusterError, say  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="shapes", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("images")
    verbs.add_parser("manifests").add_argument("namespace")
    for verb in verbs.choices.values():
        verb.add_argument("names", nargs="*", metavar="NAME", help="of shapes.yaml; none: all")
    given = parser.parse_args()
    if unknown := set(given.names) - shapes.TABLE.keys():
        parser.error(f"not in shapes.yaml: {', '.join(sorted(unknown))}")
    try:
        if given.verb == "manifests":
            print(shapes.bundle(given.namespace, given.names))
            return 0
        for image in shapes.images(only=given.names):
            print(image.name, image.archive)
    except ClusterError as error:
        say(f"shapes: {error}")
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
