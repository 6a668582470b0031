"""Checks of memory: how full, how it grows, and what grows with it."""
