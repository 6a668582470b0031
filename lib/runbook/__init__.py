"""Executable on-call runbooks: one notebook per alert, every answer recorded, every run replays."""

__version__ = "0.1.0"
