"""Checks of the database, from the service's side and from the server's own."""
