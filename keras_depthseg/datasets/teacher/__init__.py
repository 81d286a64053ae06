"""Depth labels by pretrained networks."""
