"""What the resident beside a member decides: whether to found the set, whether the member is ready.

Pure. A set is founded only by its first member, and only once every other member has answered that
it belongs to none: a first member that has lost its volume finds the others in the set, and waits
to be let in again. So no marker is kept anywhere, and nothing but the members is believed.
"""

from __future__ import annotations

from collections.abc import Sequence

from readiness.dataservices.mongodb.members import State
from readiness.dataservices.mongodb.reading import Look, lag_of, state_of


def may_found(ordinal: int, own: Look, others: Sequence[Look]) -> bool:
    """Whether this member is to found the set now."""
    looks = (own, *others)
    return ordinal == 0 and all(state_of(look) is State.EMPTY for look in looks)


def problem_of(look: Look, limit: int) -> str:
    """Why a member is not ready; nothing when it is. One that was not yet let into the set is."""
    state = state_of(look)
    if state is State.EMPTY:
        return ""
    if not state.holds_data:
        return f"the member is {state}"
    lag = lag_of(look.status) if look.status else None
    return "" if lag is None or lag <= limit else f"the member is more than {limit} s behind"
