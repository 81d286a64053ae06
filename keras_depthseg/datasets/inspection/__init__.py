"""Validates and describes stored data sets."""
