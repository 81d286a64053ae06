"""Where the pictures that the shipped weights are trained on come from."""
