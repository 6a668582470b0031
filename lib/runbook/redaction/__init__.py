"""Redaction: what is secret reads `[redacted password]`, `[redacted token]`, ... before it touches the disk.

Redacting twice changes nothing. `Redactor` is what others use; the rules stand in modules of their own.
"""

from runbook.redaction.redactor import Redactor

__all__ = ["Redactor"]
