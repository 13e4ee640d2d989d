"""The world in one thread on virtual time: every way out of the agent simulated, seeded, and breakable.

`mev-agent simulate` runs it; docs/explanation/simulation.md says how it is built and what it can and cannot find.
"""
