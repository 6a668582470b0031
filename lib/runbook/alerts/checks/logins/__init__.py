"""Checks of logins: how many fail, why, from where, for whom, and whether somebody got in."""
