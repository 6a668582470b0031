"""`python -m runbook.cli`: the command line."""

from runbook.cli.main import main

main()
