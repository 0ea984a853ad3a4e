"""A failover drill carried out: writes that are kept account of, while the primary of a live data service is taken away.

Judges nothing. One client module for each kind speaks to the servers, its library imported when it is needed.
"""

from readiness.engines.failover.client import build_client
from readiness.engines.failover.runner import Failover, Hands, Means
from readiness.engines.failover.served import asker

__all__ = ["Failover", "Hands", "Means", "asker", "build_client"]
