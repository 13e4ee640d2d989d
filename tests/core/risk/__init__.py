"""Limits and breakers."""
