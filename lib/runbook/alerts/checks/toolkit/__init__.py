"""What checks are made with: series on one grid, signals, histograms, the check of a threshold."""
