"""From two photographs to maps."""
