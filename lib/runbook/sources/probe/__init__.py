"""The service itself, asked over HTTP and by name and port."""
