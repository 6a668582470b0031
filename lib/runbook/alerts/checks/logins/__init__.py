"""Checks of logins: how many fail, why, from where, for whom, and whether someone got in."""
