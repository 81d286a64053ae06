"""Composites of cutouts on backgrounds, from the user's own pictures."""
