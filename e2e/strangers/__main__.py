"""`python3 e2e/strangers images` and `python3 e2e/strangers manifests NAMESPACE`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import strangers  # noqa: E402 (the path must be set first)
from recipes import command_line  # noqa: E402

if __name__ == "__main__":
    sys.exit(command_line(strangers.APPS, strangers.images, strangers.manifests))
