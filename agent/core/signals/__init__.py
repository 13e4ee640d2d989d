"""Signals: bounded numbers from the slow path, kept until they are met, and turned into orders."""
