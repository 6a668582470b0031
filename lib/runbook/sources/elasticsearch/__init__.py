"""Elasticsearch: searches of log lines, their readers, and the client that sends them."""
