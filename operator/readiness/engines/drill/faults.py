"""Steps with faults: switch what stands around the clone, ask it how it is, read what it asked for.

What health or a call means for a requirement is not known here.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import replace
from typing import Final

from readiness.engines.drill.act import Act
from readiness.engines.drill.traffic import Query, once
from readiness.step import Ask, Calls, Fault
from readiness.timeline import Call, Exchange, Problem, ProblemError

LONGEST_BODY: Final = 64 * 1024
READ_AGAIN: Final = 0.5
QUIET: Final = 5.0
"""How long no call must follow the last one; longer, where the gaps before it were."""
GAPS: Final = 3.0


async def fault(act: Act, step: Fault) -> None:
    """For the clone's own address: other clones meet what their arms ordered."""
    act.note("switched", f"{step.of} {step.mode}" + (f" after {step.after}" if step.after else ""))
    problem = await act.world.prop(step.of).set_mode(step.mode, act.address, step.after)
    if problem is not None:
        raise ProblemError(problem)


async def ask(act: Act, step: Ask) -> None:
    """Of all answers the last whole one is kept: an endpoint that answers does not hang."""
    began = act.now
    kept = await _asked(act, step, began)
    while not kept.fits and act.now + step.every < began + step.within:
        await asyncio.sleep(step.every)
        seen = await _asked(act, step, began)
        kept = seen if seen.answered or not kept.answered else kept
    act.usual.setdefault(step.path, frozenset(kept.found))
    act.done.append(kept)


async def _asked(act: Act, step: Ask, began: float) -> Exchange:
    """One request, which may take what is left of the time."""
    left = began + step.within - act.now
    query = Query(step.label, step.path, keep=LONGEST_BODY, patience=left)
    seen, kept = await once(act.world.open_line(act.clone.pod), query)
    said = kept.decode(errors="replace")
    found = tuple(word for word in step.words if re.search(word, said, re.IGNORECASE))
    ill = seen.status >= 500 or bool(set(found) - act.usual.get(step.path, set(found)))
    well = seen.status == 200 and not ill
    return replace(seen, found=found, fits=seen.answered and (ill if step.ill else well))


async def calls(act: Act, step: Calls) -> None:
    """What came before the last reading is told already; what came before this clone was another's."""
    began, prop = act.now, act.world.prop(step.of)
    created = next((m.at for m in act.moments if m.name == "created"), 0.0)
    while True:
        told = await prop.records(act.address)
        if not isinstance(told, Problem) and told.missed:
            told = Problem("Aborted", f"more calls came to {step.of} than the fault sink remembers")
        if isinstance(told, Problem):
            raise ProblemError(told)
        seen = [call for call in told.calls if call.at >= created][act.told_of[step.of] :]
        if act.now - began >= step.within or _enough(step, seen, told.now):
            break
        await asyncio.sleep(READ_AGAIN)
    act.told_of[step.of] += len(seen)
    act.calls += (_nameless(replace(call, label=step.label)) for call in seen)


def _enough(step: Calls, seen: list[Call], now: float) -> bool:
    if len(seen) < step.least or not step.last:
        return len(seen) >= step.least
    gap = seen[-1].at - seen[-2].at if len(seen) > 1 else 0.0
    ended = all(call.end >= 0 for call in seen)
    return ended and now - max(c.end for c in seen) >= max(QUIET, GAPS * gap)


def _nameless(call: Call) -> Call:
    """Without what may hold a secret: a token in a path, or the name of a header of its own."""
    path = hashlib.sha256(call.path.encode()).hexdigest()[:8]
    return replace(call, path=path, headers=(), source="")
