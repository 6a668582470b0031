"""Checks of HTTP requests: how many fail, how slow they are, who is affected, whether endpoints answer."""
