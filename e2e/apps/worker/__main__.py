"""`python3 -m worker [streams]`: one of the two."""

import sys

from worker import lists, streams

(streams if "streams" in sys.argv[1:] else lists).main()
