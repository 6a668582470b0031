"""MySQL: read-only statements, readers of their rows with literals masked, and the client that asks them."""
