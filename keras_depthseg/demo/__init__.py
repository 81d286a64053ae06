"""A local page on which mask and depth are tried."""
