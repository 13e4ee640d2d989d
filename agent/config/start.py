"""What a configuration must hold before a run starts with it."""

from __future__ import annotations

from agent.errors import ConfigError
from agent.settings import Settings


def require_runnable(settings: Settings, *, is_live: bool) -> None:
    """Raise ConfigError where this build cannot run `settings`, or live was asked for by only one side."""
    if settings.venue == "purpleflea":
        raise ConfigError(
            'venue = "purpleflea" is not part of this build',
            code="E_VENUE_NOT_AVAILABLE",
            hint='set venue = "onchain"',
            where="venue",
        )
    if is_live and settings.mode != "live":
        raise ConfigError(
            f'--live was given, but the configuration says mode = "{settings.mode}"',
            hint='live needs mode = "live" in the configuration, the flag --live, and an armed guard',
            where="mode",
        )
    if is_live:
        chain = settings.onchain
        missing = [
            name
            for name, value in {
                "onchain.signer": chain.signer,
                "onchain.relay_identity": chain.relay_identity,
                "onchain.executor": chain.executor,
                "onchain.endpoints": chain.endpoints,
            }.items()
            if not value
        ]
        if missing:
            raise ConfigError(f"live needs {', '.join(missing)}", hint="see docs/how-to/go-live.md", where="onchain")
