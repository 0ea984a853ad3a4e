"""What can be broken on purpose, as data: one defect per clause of a criterion.

A defect changes the healthy answer to a request and nothing else; the application does not know of it. `fails` names the
controls that must fail, with the reason; `unproven` those that can then prove nothing. Every other control still holds.
"""

from specimen.config import ConfigError
from specimen.defects import access, cors, faults, headers, health, metrics, starting, stopping
from specimen.defects.plants import Defect
from specimen.defects.starting import StartDefect
from specimen.http import Application, Request, Response

__all__ = ["DEFECTS", "DRILL_DEFECTS", "Defect", "StartDefect", "planted"]

DEFECTS: dict[str, Defect] = {
    defect.id: defect
    for module in (health, headers, cors, access, metrics)
    for defect in module.DEFECTS
}
DRILL_DEFECTS: dict[str, StartDefect] = {
    **starting.DEFECTS,
    **faults.DEFECTS,
    **stopping.DEFECTS,
    **stopping.TWIN_DEFECTS,
}
"""Those that only a drill sees, or what happens to real pods."""


def planted(application: Application, ids: tuple[str, ...]) -> Application:
    """The application with these defects. Raises ConfigError for one that does not exist."""
    unknown = [text for text in ids if text not in DEFECTS and text not in DRILL_DEFECTS]
    if unknown:
        raise ConfigError(f"DEFECTS: no such defect: {', '.join(unknown)}")
    memory: dict[str, str] = {}
    here = [text for text in ids if text in DEFECTS]

    async def answer(request: Request) -> Response:
        response = await application(request)
        for text in here:
            response = DEFECTS[text].plant(request, response, memory)
        return response

    return answer if here else application
