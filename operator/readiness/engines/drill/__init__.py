"""The engine of drills: carries a Script out on clones and reports Timelines. It judges nothing."""

from readiness.engines.drill.runner import CAPS, Build, Drill, Props, Reports
from readiness.engines.drill.stage import Stage

__all__ = ["CAPS", "Build", "Drill", "Props", "Reports", "Stage"]
