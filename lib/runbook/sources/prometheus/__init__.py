"""Prometheus: range and instant queries, readers of their answers, and the client that sends them."""
