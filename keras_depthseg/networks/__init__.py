"""Networks by name, and where their weights start."""
