"""What the core raises: nothing but proof of a defect, after which it must not be stepped again."""

from __future__ import annotations


class ContradictoryEvent(Exception):
    """An event about something that is not in the state the event supposes: a defect of the shell, so it halts."""
