"""Redaction: what is secret reads `[redacted password]`, `[redacted token]`, ... before it touches the disk.

Redacting twice changes nothing. `redactor.Redactor` is what others use; the rules stand in modules of their own.
"""
