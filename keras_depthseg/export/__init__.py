"""Trained networks as files of other formats, each checked against Keras."""
