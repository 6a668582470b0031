"""What can go wrong with the simulated service, and what only looks like it: one table, FAULTS, a module per alert."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lab.faults import (
    database_connection_errors,
    high_auth_failure_rate,
    high_error_rate,
    high_memory_usage,
    instance_down,
    slow_responses,
)
from tests.lab.faults.planning import Fault, Plan, Situation

__all__ = ["FAULTS", "Fault", "Plan", "Situation"]

_MODULES = (
    high_error_rate,
    slow_responses,
    instance_down,
    high_memory_usage,
    database_connection_errors,
    high_auth_failure_rate,
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for module in _MODULES for fault in module.FAULTS}
