"""`mev-agent doctor`: what this machine and the configuration can do, row by row, each with how to mend it.

A check that itself fails is a failed row, never the end of the command. Warnings leave the exit code at 0.
"""

from __future__ import annotations

from agent.doctor.examination import examine

__all__ = ["examine"]
