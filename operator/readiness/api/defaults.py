"""What fields are when nobody sets them. Made by tools/generate.py from the models. Do not edit."""

from types import SimpleNamespace as Plain
from typing import Any, Final

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "PolicySpec": {"profiles": ("baseline",), "enforcement": "audit", "environment": "prod", "suspend": False, "targets": (), "data_services": (), "backups": None, "deletion_policy": "Retain", "safety": Plain(allow=(), unisolated=False, disruptive=None), "controls": (), "exempt": (), "config": Plain(forbidden=()), "secrets": Plain(readers=())},
    "Target": {"container": None, "service": None, "external_url": None, "health": None, "shutdown": Plain(drain="15s", drain_env=None, slow_request=None, ok_exit_codes=(0,143,), lame_duck=None, refuse_after="2s", idle_exit="3s", propagation="5s", log_pattern=None, jobs_field=None, standalone=False), "config": None, "errors": None, "limits": None, "load": None, "http": None, "cors": None, "headers": None, "cookies": None, "metrics": None, "data": None, "qos": None, "rate": None, "scenarios": (), "uses": (), "upstreams": ()},
    "WorkloadRef": {"api_version": "apps/v1"},
    "ProfileSpec": {"description": "", "applies_to": None, "controls": (), "floor": ()},
    "ControlSetting": {"mode": None, "severity": None, "max_age": None, "params": None},
    "Floor": {"mode": "enforce", "severity": None, "max_age": None, "environment": None, "params": None},
}  # fmt: skip
