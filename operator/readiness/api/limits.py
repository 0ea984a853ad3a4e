"""What a policy declares about what one workload takes in: how large a body may be, and who takes one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from readiness.api.formats import Path, matching
from readiness.api.types import Schema

Size = Annotated[
    str,
    StringConstraints(max_length=16),
    matching(
        r"^[1-9][0-9]{0,11}([kMG]|[KMG]i)?$",
        "must be a whole number of bytes, or of k, M, G, Ki, Mi or Gi, such as 10M",
    ),
]
MediaType = Annotated[
    str,
    StringConstraints(max_length=100),
    matching(
        r"^[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(; ?[a-z]+=[A-Za-z0-9_-]+)?$",
        "must be a media type such as application/json",
    ),
]


class BodyRequest(Schema):
    """A request with a body that the application reads for anyone."""

    path: Path = Field(description="Path that takes a body without credentials.")
    method: Literal["POST", "PUT", "PATCH"] = Field("POST", description="Method.")
    content_type: MediaType = Field("application/json", description="Content-Type of the body.")
    body: Annotated[str, StringConstraints(max_length=4096)] = Field(
        "{}", description="A small body that it accepts: the answer must be below 400."
    )


class WorstCase(BodyRequest):
    """The request that takes the most memory of all that are allowed."""

    size: Size | None = Field(
        None,
        description="How large its body is, filled up as a JSON object where it is one, instead of body.",
    )


class Load(Schema):
    """The loads that the application must bear."""

    worst_case: WorstCase | None = Field(
        None, description="Ten of these at a time must leave a tenth of its memory limit (LIM-007)."
    )


class Limits(Schema):
    """The largest bodies that the application takes."""

    body: Size = Field("10M", description="Largest body of a request.")
    request: BodyRequest | None = Field(
        None, description="A request with a body, sent to clones only (LIM-007)."
    )
