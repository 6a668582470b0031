"""Is everything that the checks need reachable, allowed and there? `runbook doctor` asks each source."""
