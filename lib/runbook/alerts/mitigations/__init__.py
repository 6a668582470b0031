"""What to do about a cause: a title and ready steps, filled in from a run's results; never executed."""
