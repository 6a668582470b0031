"""`python -m runbook`: the command line."""

from runbook.cli.main import main

main()
