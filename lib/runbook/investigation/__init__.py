"""The engine: definitions of alerts, checks and causes; asks all queries at once, judges, ranks, verifies recovery.

It knows no check of its own, no screen and no disk.
"""
