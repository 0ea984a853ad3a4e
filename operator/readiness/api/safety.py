"""What a policy lets controls do: classes of them, and single ones that disturb what is live."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from readiness.api.formats import ControlId, Schedule, TimeZone, lasting
from readiness.api.types import Flag, Schema, scalar_set

Environment = Literal["dev", "staging", "prod"]


class MaintenanceWindow(Schema):
    """When something that is live may be disturbed."""

    schedule: Schedule = Field(
        description='When it opens, as cron has it: "0 3 * * 0" is Sunday at three.'
    )
    duration: Annotated[str, StringConstraints(max_length=32), lasting("30m", "24h")] = Field(
        description="How long it stays open. What would not be over by then does not begin."
    )
    time_zone: TimeZone = Field("Etc/UTC", description="Time zone of the schedule.")


class Disruption(Schema):
    """Which controls may disturb what is live, and when."""

    controls: Annotated[tuple[ControlId, ...], *scalar_set()] = Field(
        min_length=1,
        max_length=20,
        description="Controls of class disruptive that may run, one by one.",
    )
    window: MaintenanceWindow = Field(description="They run in this time only.")
    acknowledge: Environment = Field(
        description="spec.environment once more, as the acknowledgement that this one is meant: where the two differ nothing is disturbed."
    )


class OptIn(Schema):
    """What controls may do beyond looking and sending harmless requests."""

    allow: Annotated[tuple[Literal["drill"], ...], *scalar_set()] = Field(
        (),
        max_length=5,
        description="Classes of controls that may run. drill: clones of the targets' pods are started, kept busy, "
        "disturbed and stopped, in this namespace and on throw-away stores. Who may set this can start pods.",
    )
    unisolated: Flag = Field(
        False,
        description="true: drills may run although no NetworkPolicy holds their clones, because the network enforces none or one for all "
        "pods allows more. Then only what is declared and what the environment shows is kept from production, and shutdown.standalone is not taken for an answer.",
    )
    disruptive: Disruption | None = Field(
        None,
        description="Controls that disturb what is live, such as the primary of a data service. Default: none may.",
    )
