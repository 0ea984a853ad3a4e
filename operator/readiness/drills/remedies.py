"""What to do about an end that went wrong, for whoever is paged: by the pattern that was seen.

They name what the common servers call the thing, and promise nothing else.
"""

from typing import Final

from readiness.drills.reading import Seen

HANDLE: Final = (
    "handle SIGTERM: process 1 of a container has no default for it. Start the server itself (exec in a shell "
    "script, CMD as a list), or behind an init such as tini, and install a handler"
)
BOUND: Final = (
    "end what is left when the drain is over: --timeout-graceful-shutdown (uvicorn), --graceful-timeout (gunicorn, "
    "hypercorn), the context of Shutdown (Go), server.closeAllConnections() after a timer (Node), "
    "spring.lifecycle.timeout-per-shutdown-phase"
)
AWAIT: Final = (
    "on SIGTERM stop accepting, wait for what is open, then end: server.close() and no process.exit() (Node), "
    "Server.Shutdown (Go), a shutdown hook or server.shutdown: graceful (JVM), STOPSIGNAL SIGQUIT (nginx)"
)
LENGTHEN: Final = (
    "let its graceful timeout last as long as shutdown.drain: --timeout-graceful-shutdown (uvicorn), "
    "--graceful-timeout (gunicorn, hypercorn), the context of Shutdown (Go), stop(seconds) of a JVM's server; "
    "or declare the drain it really has"
)
CODE: Final = (
    "end with 0, or by the signal itself (143), after an orderly stop; a runtime that is process 1 may end with 1 "
    "or 2 at once: start it behind an init such as tini, or install a handler. A code that is meant belongs "
    "into shutdown.okExitCodes"
)
CLOSE: Final = (
    "close idle connections at the signal: server.closeIdleConnections() (Node), Server.Shutdown (Go), a keep-alive "
    "timeout below the drain elsewhere"
)
TIMERS: Final = (
    "cancel timers, consumers and pools at the signal: unref() or clearInterval (Node), daemon threads or "
    "cancelled tasks (Python), contexts (Go), executor.shutdown() (JVM)"
)
REFUSE: Final = (
    "close the listening socket at the signal, or answer 503 with Connection: close; if it serves on purpose for a "
    "while, declare shutdown.lameDuck"
)
MEMORY: Final = (
    "raise resources.limits.memory, or find what the shutdown itself allocates (flushes, dumps)"
)
SLEEP: Final = "use lifecycle.preStop.sleep.seconds: its duration can be read"


def of_loss(seen: Seen) -> str:
    """For requests that were lost: it did not wait at all, was killed, or not long enough."""
    if seen.killed:
        return f"give it time: terminationGracePeriodSeconds of at least preStop + drain + 5. Or {BOUND}"
    return AWAIT if seen.took.lo < 1 else LENGTHEN
