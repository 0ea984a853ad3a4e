"""What a policy declares about the services that one workload calls, and how to make it call them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from readiness.api.external import Host
from readiness.api.formats import Name, Path, lasting
from readiness.api.shutdown import Short, Variable
from readiness.api.types import Count, Flag, Rule, Schema, scalar_set

Limit = Annotated[Short, lasting("1s", "5m")]


class UpstreamCall(Schema):
    """A request to the application that makes it call an upstream."""

    path: Path = Field(description="Path to request. Requested on clones only.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        "GET", description="Method to request it with."
    )
    body: Annotated[str, StringConstraints(max_length=4096)] = Field(
        "", description="JSON that is sent with it. Nothing secret: a policy is no place for that."
    )
    fallback: Flag = Field(
        False,
        description="The owner's word that it is answered below 500 on purpose when the upstream does not answer: "
        "from a cache, or with a default (REL-002).",
    )
    rules = (
        Rule(
            cel="!has(self.body) || self.body.size() == 0 || (has(self.method) && self.method != 'GET')",
            message="a GET carries no body: set method, or leave body out",
            holds=lambda call: not call.body or call.method != "GET",
            field="body",
        ),
    )


class Upstream(Schema):
    """A service that the application calls over HTTP. Drills let their own sink stand for it."""

    name: Name = Field(description="Name of the upstream within this target.")
    url_env: Variable = Field(
        description="The variable that holds its URL; a clone gets the sink's, with http:// (CFG-012)."
    )
    path: Path | None = Field(
        None, description="Path of the URL in that variable, such as /v1. Default: none."
    )
    hosts: Annotated[tuple[Host, ...], *scalar_set()] = Field(
        (),
        max_length=4,
        description="Names by which the application may know it elsewhere. In a clone that is to call the sink they "
        "lead there, too, so that a call which ignores the variable reaches nobody.",
    )
    timeout: Limit = Field(
        "30s",
        description="How long a request to the application may wait for this upstream, repetitions included, before it "
        "must be answered with an error (REL-002).",
    )
    retries: Annotated[Count, Field(ge=0, le=20)] | None = Field(
        None,
        description="How often a failed call may be repeated; 0: never. Default: as often as fits in retryBudget "
        "(REL-003).",
    )
    retry_budget: Limit = Field(
        "60s", description="How long a failed call may be repeated, in all (REL-003)."
    )
    call: UpstreamCall | None = Field(
        None,
        description="A request that makes the application call this upstream once (REL-002, REL-003). Without it a "
        "clone is only watched for calls of its own (CFG-012).",
    )
