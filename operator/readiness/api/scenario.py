"""What a policy declares as a scenario: HTTP steps that request, extract and assert, for flows only its owner knows.

A control finds a scenario by its name, and in it a step by its. How one is played is not known here.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError, PydanticKnownError

from readiness.api.formats import JsonKey, Name, Path, int_or_string, lasting, matching
from readiness.api.types import Count, Rule, Schema, keyed, scalar_set
from readiness.scenario import JOB, SECONDS, WORKING

LONGEST: Final = 256
_PLACE: Final = re.compile(r"\{([a-z][a-z0-9]*)\}")

Placeholder = Annotated[
    str,
    StringConstraints(max_length=32),
    matching(
        r"^[a-z][a-z0-9]*$",
        "must be a word of lower-case letters and digits, as it stands in braces in later steps",
    ),
]
TemplatePath = Annotated[
    Path,
    matching(
        r"^([^{}]|\{[a-z][a-z0-9]*\})*$",
        "braces hold the name of something extracted, or seconds: write other ones percent-encoded",
    ),
]
StatusCode = Annotated[Count, Field(ge=100, le=599)]


def _short(value: int | str) -> int | str:
    """A union's own limit would be told once for each of its kinds."""
    if isinstance(value, str) and len(value) > LONGEST:
        raise PydanticKnownError("string_too_long", {"max_length": LONGEST})
    return value


Scalar = Annotated[
    int | str,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": LONGEST}),
    BeforeValidator(int_or_string),
    AfterValidator(_short),
]


class Request(Schema):
    """One request. `{name}` is replaced by what an earlier step extracted under that name."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        "GET", description="HTTP method."
    )
    path: TemplatePath = Field(
        description="Path, such as /jobs/{id}. `{id}` is what an earlier step extracted as id; `{seconds}` is how long "
        "the control that plays the scenario wants a job to take, as a whole number."
    )
    body: Annotated[str, StringConstraints(max_length=1024)] = Field(
        "", description="Body, sent as application/json; the same placeholders are replaced."
    )


class Extraction(Schema):
    """A value of the answer that later steps use."""

    name: Placeholder = Field(description="Name, by which later steps call it: `{name}`.")
    at: JsonKey = Field(
        description="Where it stands in the answer's JSON: keys and indexes with dots between, such as job.id."
    )


class Assertion(Schema):
    """A value that the answer must hold."""

    at: JsonKey = Field(
        description="Where it stands in the answer's JSON: keys and indexes with dots between."
    )
    equals: Scalar = Field(
        description="What must stand there: a text or a whole number; true and false as texts."
    )


class ScenarioStep(Schema):
    """One request, and what its answer must hold."""

    name: Name = Field(description="Name of the step.")
    request: Request = Field(description="What is requested.")
    status: Annotated[tuple[StatusCode, ...], *scalar_set()] = Field(
        (), max_length=8, description="Status codes that are right. Default: 200 to 299."
    )
    extract: Annotated[tuple[Extraction, ...], *keyed("name")] = Field(
        (), max_length=4, description="Values of the answer that later steps use."
    )
    asserts: Annotated[tuple[Assertion, ...], *keyed("at")] = Field(
        (), alias="assert", max_length=4, description="Values that the answer must hold."
    )
    within: Annotated[str, StringConstraints(max_length=32), lasting("1s", "10m")] | None = Field(
        None,
        description="Request again, once a second, until the step holds, for so long at most. Default: once.",
    )


def _extracted_before(steps: tuple[ScenarioStep, ...]) -> tuple[ScenarioStep, ...]:
    """CEL cannot ask this: InvalidSpec in the status instead."""
    known = {SECONDS}
    for at, step in enumerate(steps):
        missing = set(_PLACE.findall(step.request.path)) - known
        if missing:
            context = {"message": f"no earlier step extracts {min(missing)}", "at": (at, "request", "path"),
                       "value": step.request.path}  # fmt: skip
            raise PydanticCustomError("rule", "{message}", context)
        known |= {each.name for each in step.extract}
    return steps


class Scenario(Schema):
    """A flow through the application, played on clones only."""

    name: Name = Field(
        description="Name, by which controls know it. job (SHD-007, SHD-009): starts a job that takes {seconds}, has a "
        "step `working` that holds while a worker has it, and ends with steps that hold once its effect is there, once. "
        "write (HA-010): writes to the stores of uses, again and again."
    )
    steps: Annotated[
        tuple[ScenarioStep, ...], *keyed("name"), AfterValidator(_extracted_before)
    ] = Field(
        min_length=1, max_length=12, description="Steps, in order; one that fails ends the scenario."
    )  # fmt: skip
    rules = (
        Rule(
            cel=f"self.name != '{JOB}' || (self.steps.exists(s, s.name == '{WORKING}') && "
            f"self.steps[self.steps.size() - 1].name != '{WORKING}')",
            message="the scenario job needs a step named working, which holds while a worker has the job, and after it "
            "at least one that holds when the job is done",
            holds=lambda s: s.name != JOB or WORKING in [each.name for each in s.steps][:-1],
            field="steps",
        ),
        Rule(
            cel=f"self.name != '{JOB}' || self.steps.exists(s, s.request.path.contains('{{{SECONDS}}}') || "
            f"(has(s.request.body) && s.request.body.contains('{{{SECONDS}}}')))",
            message="the scenario job must tell the application how long the job is to take: put {seconds} into the "
            "path or the body that starts it",
            holds=lambda s: (
                s.name != JOB
                or any(
                    f"{{{SECONDS}}}" in text
                    for each in s.steps
                    for text in (each.request.path, each.request.body)
                )
            ),
            field="steps",
        ),
    )
