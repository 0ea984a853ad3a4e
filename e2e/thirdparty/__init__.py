"""The committed truth about third-party servers, and which verdicts agree with it."""

from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).resolve().parent
CONTROLS: Final = (
    "HLT-001", "HLT-002", "HLT-003", "HDR-001", "HDR-002", "HDR-003", "HDR-004", "HDR-005", "COR-001", "COR-003",
    "AUT-001", "CFG-009", "OBS-001", "OBS-012",
)  # fmt: skip
RIGHT: Final = {
    "yes": ("Pass", "Unknown"),
    "no": ("Fail", "Unknown"),
    "n/a": ("NotApplicable",),
    "unknown": ("Unknown",),
}
LEFT_OPEN: Final[set[tuple[str, str]]] = set()


class Truth(NamedTuple):
    """Whether the requirement holds (yes, no, n/a, unknown), and what curl saw."""

    holds: str
    seen: str


def truth() -> dict[tuple[str, str], Truth]:
    """By server and control."""
    lines = (HERE / "truth.tsv").read_text().splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {(server, control): Truth(holds, seen) for server, control, holds, seen in rows}
