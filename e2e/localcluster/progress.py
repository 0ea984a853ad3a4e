"""What the user sees on stderr, and the one error type whose message is meant for them."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ClusterError(Exception):
    """An expected failure: the CLI prints its message and exits with `code`, without a traceback."""

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def say(message: str) -> None:
    """Print one line to stderr; stdout stays free for what scripts read."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Report how long the block took, or that it failed."""
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"  failed  {title} ({time.monotonic() - start:.1f} s)")
        raise
    say(f"  ok      {title} ({time.monotonic() - start:.1f} s)")


def wait_until(
    what: str, is_done: Callable[[], bool], *, seconds: float, every: float = 0.1
) -> None:
    """Poll `is_done()` until it is true; raise `ClusterError` naming `what` when the time is up."""
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            raise ClusterError(f"gave up after {seconds:.0f} s waiting for {what}")
        time.sleep(every)
