"""Quoting both sides of one book."""
