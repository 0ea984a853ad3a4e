"""Entry point of `python3 e2e/localcluster`: puts the package's parent on the path and starts the CLI."""

import sys
from pathlib import Path

HERE = str(Path(__file__).resolve().parent)
sys.path[:] = [str(Path(HERE).parent), *(entry for entry in sys.path if entry not in (HERE, ""))]

from localcluster.cli import main  # noqa: E402 (the path must be set first)

if __name__ == "__main__":
    sys.exit(main())
