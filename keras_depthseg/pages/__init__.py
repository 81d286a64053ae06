"""HTML pages for people: one look, filled in from templates, and their plots."""
