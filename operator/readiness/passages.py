"""What clients saw while real rollouts replaced the pods: values, and back from text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from readiness.terminations import epoch_of, stamp_of

ROLLOUT_CONTROL: Final = "SHD-010p"
_LINE: Final = re.compile(r"(\S{20}) (\S{1,63}) (\d{1,5}) sent((?:, \d{1,5} [a-z ]{1,15})*)")
_LOST: Final = re.compile(r"(\d{1,5}) ([a-z ]{1,15})")


@dataclass(frozen=True, slots=True)
class Passage:
    """One rollout as a slow stream of requests through the Service saw it.

    `template` is the new one's hash, `ended` whole epoch seconds; `lost` says how often what
    happened to requests that were not answered as they should.
    """

    template: str
    ended: int
    sent: int
    lost: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        lost = "".join(f", {times} {kind}" for kind, times in self.lost)
        return f"{stamp_of(self.ended)} {self.template} {self.sent} sent{lost}"


def parse_passages(text: str) -> Iterator[Passage]:
    """What `str` made of them, one after another, whatever else stands there."""
    for when, template, sent, lost in _LINE.findall(text):
        kinds = tuple((kind, int(times)) for times, kind in _LOST.findall(lost))
        yield Passage(template, epoch_of(when), int(sent), kinds)
