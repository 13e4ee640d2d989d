"""The kill switch: a process of its own that watches the agent and can take its key away.

It imports nothing of the rest of the package and, while it runs, nothing but the standard library, so that no fault of
what it stops is a fault of its own. `python -I -S agent/guard/__main__.py --config FILE` starts it without any
installed package.
"""
