"""A training run: configuration, run folder, fit, report."""
