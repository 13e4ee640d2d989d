"""Mutation tests of the core: what to break, how to run it, what to say about it."""
