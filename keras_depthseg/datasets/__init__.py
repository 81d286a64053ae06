"""Data sets: making them, finding them, checking them and reading their records."""
