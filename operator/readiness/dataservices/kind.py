"""What a kind of data service is: one value, from which everything that is done for its services follows.

It knows no kind; those there are stand in `kinds.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from readiness.dataservices.command import Step, Task
from readiness.dataservices.order import Credential, Dump, Login, Order, Refusal, Source
from readiness.model import Manifest


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of data service.

    `build` returns every child but the credentials Secret, in the order in which they are
    created; what it leaves out should not exist. `problems` returns what is asked and cannot or
    should not be built; a refusal whose reason the service's `unsafe` names is dropped. `next_step`
    is what comes next of a service that runs, if anything. A `preview` has to be switched on. `source` says where one that we
    run is dumped, `dump` how it is dumped from there; `dump` is None while this version does not back the kind up, and `needs`
    which rights of a login that takes. `filler` is the user by whom our image fills an empty instance that we run; None: it cannot.
    """

    name: Literal["redis", "mongodb", "rabbitmq"]
    credentials: tuple[Credential, ...]
    build: Callable[[Order], tuple[Manifest, ...]]
    problems: Callable[[Order], tuple[Refusal, ...]]
    next_step: Callable[[Task], Step | None] = lambda _task: None
    preview: bool = False
    asked: bool = False
    source: Callable[[Order], Source] | None = None
    dump: Callable[[Source], Dump] | None = None
    needs: str = ""
    filler: Login | None = None
