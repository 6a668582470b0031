"""Checks of the workload in Kubernetes: what changed, pods, nodes, limits, policies, scrapes."""
