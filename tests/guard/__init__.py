"""The kill switch, against real processes, a venue of its own, and a node."""
