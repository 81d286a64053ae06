"""Faults on purpose: damaged files, killed processes, an hour of use."""
