"""What a configuration must hold before a run starts with it."""

from __future__ import annotations

from agent.errors import ConfigError
from agent.settings import Settings


def require_runnable(settings: Settings, *, is_live: bool) -> None:
    """Raise ConfigError where this build cannot run `settings`, or live was asked for by only one side."""
    if is_live and settings.mode != "live":
        raise ConfigError(
            f'--live was given, but the configuration says mode = "{settings.mode}"',
            hint='live needs mode = "live" in the configuration, the flag --live, and an armed guard',
            where="mode",
        )
    if settings.venue == "purpleflea":
        _require_account(settings, is_live=is_live)
    elif is_live:
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


def _require_account(settings: Settings, *, is_live: bool) -> None:
    """An account needs its key, and its guard a key of its own."""
    account = settings.purpleflea
    if settings.mode == "live" and not is_live:
        raise ConfigError(
            'the configuration says mode = "live", but --live was not given',
            hint="real funds are traded only with both, and with an armed guard",
            where="mode",
        )
    if not is_live:
        return
    missing = [
        f"purpleflea.{name}"
        for name, value in {
            "api_key": account.api_key,
            "guard_key": account.guard_key,
            "key_id": account.key_id,
        }.items()
        if not value
    ]
    if missing:
        raise ConfigError(f"live needs {', '.join(missing)}", hint="see docs/how-to/go-live.md", where="purpleflea")
    if account.guard_key == account.api_key:
        raise ConfigError(
            "purpleflea.guard_key must be another key than api_key",
            hint="make one with the scopes read, cancel and revoke: it can stop the account, and trade nothing",
            where="purpleflea",
        )
