"""What a policy declares about how one workload starts and errs: what it must refuse, say and log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from readiness.api.formats import JsonKey, Name, Path, Regex, lasting
from readiness.api.shutdown import Short, Variable
from readiness.api.types import Flag, Rule, Schema, keyed, scalar_set

Value = Annotated[str, StringConstraints(max_length=253)]
MOST_INVALID = 24


class EnvVariable(Schema):
    """A variable that the application reads."""

    name: Variable = Field(description="Name of the variable.")
    required: Flag = Field(
        False, description="Without it the application must refuse to start (CFG-001)."
    )
    invalid: Annotated[tuple[Value, ...], *scalar_set()] = Field(
        (),
        max_length=8,
        description="Values that the application must refuse, or replace by a safe one and say so (CFG-002).",
    )


class Setting(Schema):
    """A variable with the value that a clone gets."""

    name: Variable = Field(description="Name of the variable.")
    value: Value = Field("", description="Its value.")


class Variant(Schema):
    """Another environment, and what the application must do in it."""

    name: Name = Field(description="Name of the variant, such as memory-fallback.")
    set: Annotated[tuple[Setting, ...], *keyed("name")] = Field(
        (), max_length=8, description="Variables that get another value."
    )
    unset: Annotated[tuple[Variable, ...], *scalar_set()] = Field(
        (), max_length=8, description="Variables that are taken away."
    )
    expect: Literal["warn", "refuse"] = Field(
        description="warn: it says so in its log, or ends (CFG-006: a fallback to memory). "
        "refuse: it ends with an error and says so (CFG-007: a missing plugin or provider)."
    )
    says: Regex = Field(
        description="Simple regular expression that a line of its log must match, case-insensitive, "
        "such as `memory` or `npm install`."
    )
    rules = (
        Rule(
            cel="(has(self.set) && self.set.size() > 0) || (has(self.unset) && self.unset.size() > 0)",
            message="a variant needs set or unset: otherwise it is the environment as it is",
            holds=lambda variant: bool(variant.set or variant.unset),
        ),
    )


class StartConfig(Schema):
    """The variables that the application reads, and what it must do when they are wrong."""

    env: Annotated[tuple[EnvVariable, ...], *keyed("name")] = Field(
        (),
        max_length=50,
        description="Variables that the application reads. Where its container has envFrom, every one that it needs "
        "to start: a drill of the start gives a clone these and no others.",
    )
    variants: Annotated[tuple[Variant, ...], *keyed("name")] = Field(
        (), max_length=8, description="Other environments to start in."
    )
    bootstrap_pattern: Regex | None = Field(
        None,
        description="Simple regular expression, case-insensitive, that a line of the log matches when the application "
        "sets up an empty store (its first account, say), and at no later start (CFG-014).",
    )
    persistent_paths: Annotated[tuple[Variable, ...], *scalar_set()] = Field(
        (),
        max_length=16,
        description="Variables that say where the application keeps its data, as a path or as an address of a file: each must "
        "lead to a volume that outlives the pod (CFG-006).",
    )
    ephemeral_patterns: Annotated[tuple[Regex, ...], *scalar_set()] = Field(
        (":memory:", "mode=memory"),
        max_length=8,
        description="Simple regular expressions, case-insensitive: a value of persistentPaths in which one is found keeps nothing.",
    )
    startup_fail: Annotated[Short, lasting("1s", "5m")] = Field(
        "30s",
        description="How soon after its start the application must have refused a wrong environment.",
    )
    rules = (
        Rule(
            cel="!has(self.env) || self.env.filter(e, has(e.required) && e.required).size() <= 20",
            message="at most 20 required variables: each costs a clone",
            holds=lambda config: sum(e.required for e in config.env) <= 20,
            field="env",
        ),
        Rule(
            cel="!has(self.env) || self.env.map(e, has(e.invalid) ? e.invalid.size() : 0).sum() "
            f"<= {MOST_INVALID}",
            message=f"at most {MOST_INVALID} invalid values in all: each costs a clone",
            holds=lambda config: sum(len(e.invalid) for e in config.env) <= MOST_INVALID,
            field="env",
        ),
    )


class Errors(Schema):
    """How the application reports what goes wrong inside it."""

    trigger: Path = Field(
        description="Path that answers a GET with a server error (5xx). Requested on clones only."
    )
    log_fields: Annotated[tuple[JsonKey, ...], *scalar_set()] = Field(
        ("path", "method", "status", "timestamp", "message"),
        min_length=1,
        max_length=16,
        description="Keys that the JSON line of a server error must have, as the application calls them (ERR-002).",
    )
