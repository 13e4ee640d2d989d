"""A secret that a command is told of by where it lies; itself it would stand in the list of processes."""

from __future__ import annotations

from agent.config.secrets import resolve
from agent.errors import UsageError
from agent.settings import Reference


def secret_of(text: str, *, key: str) -> str:
    """What lies at `env:NAME` or `file:PATH`. Raises UsageError for anything else, ConfigError where nothing lies there."""
    kind, _, name = text.partition(":")
    if kind not in ("env", "file") or not name:
        raise UsageError(f"{key} must be env:NAME or file:PATH", hint="never the key itself")
    return resolve(Reference("env" if kind == "env" else "file", name), key=key)
