"""Builds data sets in parts, on several workers, resumably."""
