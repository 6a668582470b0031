"""Kubernetes: read-only questions about one workload, readers of their answers, and the client that asks them."""
