"""What can go wrong with the simulated service, and what only looks like it: one table, FAULTS, a module per alert."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lab.faults import database_connection_errors, high_auth_failure_rate, high_error_rate, slow_responses
from tests.lab.faults.planning import Fault, Plan, Situation

__all__ = ["FAULTS", "Fault", "Plan", "Situation"]

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for module in (high_error_rate, slow_responses, database_connection_errors, high_auth_failure_rate)
    for fault in module.FAULTS
}
