"""What can be asked, each source a small client behind the one `ask`; all read-only."""
