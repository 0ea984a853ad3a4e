"""What a policy declares about the metrics of one workload."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from readiness.api.formats import Path, Port, Text
from readiness.api.types import Count, Schema, scalar_set


class Metrics(Schema):
    """Where Prometheus reads the application's metrics."""

    path: Path = Field("/metrics", description="Path of the exposition.")
    port: Port | None = Field(
        None, description="Port of the pod, by name or number. Default: the probed port."
    )
    max_series: Count = Field(
        10000, ge=1, le=1000000, description="Most series one pod may expose."
    )
    own: Annotated[tuple[Text, ...], *scalar_set()] = Field(
        (),
        max_length=50,
        description="Names of metrics that must be present. Default: any beyond process and runtime ones.",
    )
