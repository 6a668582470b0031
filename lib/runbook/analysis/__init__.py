"""Judgements from data, pure statistics: when something began and by how much, whether it still grows, and which log
messages are new since."""
