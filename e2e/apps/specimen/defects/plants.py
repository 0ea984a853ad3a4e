"""The small pieces that defects are made of: where an answer is changed, and how."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from specimen.http import Request, Response

Memory = dict[str, str]
Plant = Callable[[Request, Response, Memory], Response]
Where = Callable[[Request, Response], bool]


@dataclass(frozen=True)
class Defect:
    """One broken clause. `declares` is what the policy must say beyond the common declaration to make it a clause."""

    id: str
    clause: str
    fails: Mapping[str, str]
    plant: Plant
    unproven: Mapping[str, str] = field(default_factory=dict)
    declares: Mapping[str, Any] = field(default_factory=dict)


def at(where: Where | str, *plants: Plant) -> Plant:
    """The plants, one after the other, on the answers of a path or of whatever `where` accepts."""

    def plant(request: Request, response: Response, memory: Memory) -> Response:
        here = request.path == where if isinstance(where, str) else where(request, response)
        for each in plants if here else ():
            response = each(request, response, memory)
        return response

    return plant


def status(number: int) -> Plant:
    """Another status."""
    return lambda _, response, memory: replace(response, status=number)


def late(seconds: float) -> Plant:
    """An answer that is held back."""
    return lambda _, response, memory: replace(response, delay=seconds)


def header(name: str, *values: str) -> Plant:
    """A header with exactly these values; without values, none at all."""

    def plant(_: Request, response: Response, memory: Memory) -> Response:
        kept = tuple(h for h in response.headers if h[0].lower() != name.lower())
        return replace(response, headers=(*kept, *((name, value) for value in values)))

    return plant


def reworded(name: str, old: str, new: str) -> Plant:
    """A header with a part of its value replaced."""

    def plant(_: Request, response: Response, memory: Memory) -> Response:
        said = tuple(
            (k, v.replace(old, new) if k.lower() == name.lower() else v)
            for k, v in response.headers
        )
        return replace(response, headers=said)

    return plant


def body(text: str | bytes, kind: str) -> Plant:
    """Another body of another type."""
    data = text.encode() if isinstance(text, str) else text

    def plant(request: Request, response: Response, memory: Memory) -> Response:
        return replace(header("Content-Type", kind)(request, response, memory), body=data)

    return plant


def served(text: str, kind: str) -> Plant:
    """A route that is there: 200 with a body."""
    return lambda request, response, memory: status(200)(
        request, body(text, kind)(request, response, memory), memory
    )


def said(change: Callable[[dict[str, Any], Memory], Any]) -> Plant:
    """A JSON body after `change`, which may keep things in memory from one answer to the next."""

    def plant(_: Request, response: Response, memory: Memory) -> Response:
        content = json.loads(response.body)
        return replace(response, body=json.dumps(change(content, memory)).encode())

    return plant
