"""runbook.toml as typed values: the schema, its checks, where secrets come from, and the process environment."""
