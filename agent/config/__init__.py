"""Configuration: TOML files, variables and options, checked as one, become frozen `agent.settings.Settings`.

Layers, weakest first: defaults, `--config FILE` (repeatable; without one `./mev-agent.toml` if it is there),
`MEV_AGENT__SECTION__KEY`, `--set section.key=value`. Nothing else is searched. The only part of the agent that
uses pydantic.
"""

from __future__ import annotations

from agent.config.load import Loaded, default_settings, load_settings
from agent.config.secrets import node_url, resolve
from agent.config.start import require_runnable

__all__ = ["Loaded", "default_settings", "load_settings", "node_url", "require_runnable", "resolve"]
