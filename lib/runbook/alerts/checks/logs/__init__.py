"""Checks of log messages: which are new since the onset, and what they are about."""
