"""Everything that is done about the data services of a policy: those that we run, what is only backed up, and what has to be made up for.

Pure; it joins what stands in modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

from readiness.dataservices.catchup import caught_up
from readiness.dataservices.foreign import kept_stores
from readiness.dataservices.kept import Kept, with_kept
from readiness.dataservices.kind import Kind
from readiness.dataservices.provision import Provision, provide
from readiness.dataservices.volumes import kept_volumes
from readiness.dataservices.wish import Wish
from readiness.snapshot import Snapshot


def kept_of(wish: Wish, snapshot: Snapshot, kinds: Iterable[Kind]) -> tuple[Kept, ...]:
    """What is backed up and not run by us."""
    return (*kept_stores(wish, snapshot, kinds), *kept_volumes(wish, snapshot))


def provide_all(wish: Wish, snapshot: Snapshot, kinds: Iterable[Kind]) -> Provision:
    """What is written, told and caught up with."""
    known = tuple(kinds)
    kept = kept_of(wish, snapshot, known)
    decided = with_kept(wish, snapshot, provide(wish, snapshot, known), kept)
    return caught_up(wish, snapshot, decided, {each.name: each.order for each in kept})
