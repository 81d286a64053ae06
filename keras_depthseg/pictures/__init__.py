"""Picture files, for data sets and for predictions."""
