"""The API: pydantic models of the four kinds, the only truth about their schema.

`readiness crd` turns them into `crds/*.yaml`; the operator and the command line validate with
the same models. Nothing here performs I/O.
"""

from readiness.api.policy import PolicySpec, ReadinessPolicy
from readiness.api.profile import ProfileSpec
from readiness.api.target import Target
from readiness.api.waiver import WaiverSpec

__all__ = ["PolicySpec", "ProfileSpec", "ReadinessPolicy", "Target", "WaiverSpec"]
