"""What a policy declares about how one workload stops: what its owner promises, and how to ask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from readiness.api.durations import seconds
from readiness.api.formats import JsonKey, Path, Regex, lasting, matching
from readiness.api.types import Count, Flag, Rule, Schema, scalar_set

Short = Annotated[str, StringConstraints(max_length=32)]
Moment = Annotated[Short, lasting("0s", "5m")]
Variable = Annotated[
    str,
    StringConstraints(max_length=253),
    matching(
        r"^[-._a-zA-Z][-._a-zA-Z0-9]*$",
        "must be the name of an environment variable, such as DRAIN_SECONDS",
    ),
]
ExitCode = Annotated[
    Count,
    Field(ge=0, le=255),
    Rule(
        cel="self != 137",
        shown="'137'",
        message="an application that was killed ends with 137: it cannot promise to",
        holds=lambda code: code != 137,
    ),
]


class SlowRequest(Schema):
    """A request that the application works on for a while."""

    path: Path = Field(
        description="Path to request with GET. `{seconds}` in it is replaced by the whole number of seconds that "
        "the answer shall take; a path without it, such as an export or a stream, takes what it takes."
    )
    rules = (
        Rule(
            cel="!self.path.replace('{seconds}', '').matches(r'[{}]')",
            shown="'\"' + self.path + '\"'",
            message="{seconds} is the only placeholder: write the rest of the path as it is sent",
            holds=lambda slow: not set("{}") & set(slow.path.replace("{seconds}", "")),
            field="path",
        ),
    )


class DrainEnv(Schema):
    """The environment variable that sets the drain."""

    name: Variable = Field(description="Name of the variable.")
    unit: Literal["s", "ms"] = Field(
        "s", description="What the variable counts: seconds or milliseconds, as a whole number."
    )


class Shutdown(Schema):
    """How the application is meant to stop."""

    drain: Annotated[Short, lasting("1s", "1h")] = Field(
        "15s",
        description="How long the application may take to finish work in flight after SIGTERM.",
    )
    drain_env: DrainEnv | None = Field(
        None, description="The variable by which the drain is configured (SHD-005)."
    )
    slow_request: SlowRequest | None = Field(
        None, description="How to keep the application busy while it stops (SHD-004, SHD-005)."
    )
    ok_exit_codes: Annotated[tuple[ExitCode, ...], *scalar_set()] = Field(
        (0, 143),
        min_length=1,
        max_length=8,
        description="Exit codes that mean an orderly end after SIGTERM.",
    )
    lame_duck: Moment | None = Field(
        None,
        description="How long the application keeps serving on purpose after SIGTERM, as part of drain, before it "
        "refuses new connections.",
    )
    refuse_after: Moment = Field(
        "2s",
        description="How soon after SIGTERM, or after lameDuck, new connections must be refused (SHD-003).",
    )
    idle_exit: Moment = Field(
        "3s",
        description="How soon an application with nothing to do must end after SIGTERM, or after lameDuck (SHD-006).",
    )
    propagation: Moment = Field(
        "5s",
        description="How long new connections may still arrive once a pod is being deleted, until every proxy knows; "
        "they must be served (SHD-010).",
    )
    log_pattern: Regex | None = Field(
        None,
        description="Simple regular expression, case-insensitive, that the JSON line of the log matches which tells "
        "after SIGTERM how many jobs are under way (SHD-007).",
    )
    jobs_field: JsonKey | None = Field(
        None, description="Key of that number in this line, such as jobs or worker.jobs (SHD-007)."
    )
    standalone: Flag = Field(
        False,
        description="The owner's word that the application does its work without a store: a drill clones it although "
        "its environment holds what looks like the address of one.",
    )
    rules = (
        Rule(
            cel="!has(self.lameDuck) || duration(self.lameDuck) < duration(self.drain)",
            message="lameDuck must be shorter than drain: the time to finish what is in flight follows it",
            holds=lambda s: s.lame_duck is None or seconds(s.lame_duck) < seconds(s.drain),
            field="lame_duck",
        ),
    )
