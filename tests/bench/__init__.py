"""What our own parts win over what one would use instead, measured side by side in one run.

`python -m tests.bench [name ...]` prints a table per bench. A bench is a module here with a `TITLE` and a function
`measure(directory) -> list[Row]`, ours first; it may start real servers in the directory.
"""
