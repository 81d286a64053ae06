"""Data sets: sources, composites, depth labels, records."""
