"""Random changes of samples while they are read for training."""
