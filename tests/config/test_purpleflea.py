"""The venue's section of the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.config.load import default_settings, load_settings
from agent.config.secrets import resolve
from agent.errors import ConfigError
from agent.settings import PathSettings, Reference
from agent.venues.purpleflea.last_guard import OrderCaps
from agent.venues.purpleflea.rest import PATHS
from agent.venues.purpleflea.setup import options_of, paths_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "purpleflea.toml"


def loaded(*overrides: str) -> object:
    return load_settings(overrides=overrides, environment={}).settings.purpleflea


def refused(*overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        loaded(*overrides)
    return error.value.message


def test_the_example_loads_and_names_no_secret() -> None:
    settings = load_settings([EXAMPLE], environment={}).settings
    assert settings.venue == "purpleflea"
    assert settings.purpleflea.api_key == Reference("env", "PURPLEFLEA_API_KEY")
    assert settings.purpleflea.symbols == ("BTC-USDC", "ETH-USDC")


def test_the_faucet_is_off_and_orders_die_with_the_connection_unless_said_otherwise() -> None:
    settings = default_settings()
    assert not settings.purpleflea.faucet
    options = options_of(settings.purpleflea, settings.last_guard)
    assert options.cod_grace_ms == 0
    assert not options.allow_unacked_orders


def test_the_options_of_the_protocol_are_the_configured_ones() -> None:
    settings = load_settings(
        overrides=(
            "purpleflea.orders_per_s=7",
            "purpleflea.self_trade=cancel_both",
            "purpleflea.cancel_on_disconnect=false",
            'purpleflea.paths=[{name="time", path="/api/clock"}]',
            "last_guard.max_orders_per_s=70",
            "last_guard.max_order_notional=500",
            "last_guard.band_ppm=1000",
        ),
        environment={},
    ).settings
    options = options_of(settings.purpleflea, settings.last_guard)
    assert (options.orders_per_s, options.stp, options.cod_grace_ms) == (7, "cancel_both", None)
    assert options.caps == OrderCaps(max_orders_per_s=70, max_order_notional=500, band_ppm=1_000)
    assert settings.purpleflea.paths == (PathSettings("time", "/api/clock"),)
    assert paths_of(settings.purpleflea) == {"time": "/api/clock"}


def test_the_caps_before_a_frame_have_one_default() -> None:
    settings = default_settings()
    assert options_of(settings.purpleflea, settings.last_guard).caps == OrderCaps()


def test_every_path_of_the_client_can_be_configured() -> None:
    for name in PATHS:
        assert loaded(f'purpleflea.paths=[{{name="{name}", path="/x"}}]')


@pytest.mark.parametrize(
    "override",
    [
        "purpleflea.ws_url=ws://venue.example/ws",
        "purpleflea.ws_url=https://venue.example/ws",
        "purpleflea.ws_url=wss://key@venue.example/ws",
        "purpleflea.rest_url=http://venue.example",
        "purpleflea.rest_url=http://127.example.com",
        "purpleflea.api_key=sk_trade_00ff",
        "purpleflea.api_key=keyring:service",
        "purpleflea.api_key=keyring:/user",
        "purpleflea.auth=basic",
        'purpleflea.symbols=["BTC USDC"]',
        'purpleflea.symbols=["A\\"B"]',
        "purpleflea.symbols=[]",
        "purpleflea.orders_per_s=0",
        "purpleflea.cod_grace_ms=10001",
        'purpleflea.paths=[{name="rotate", path="/x"}]',
        'purpleflea.paths=[{name="time", path="x"}]',
        'purpleflea.paths=[{name="time", path="/x?key=1"}]',
    ],
)
def test_what_cannot_be_is_refused(override: str) -> None:
    message = refused(override)
    assert override.partition("=")[0].removeprefix("purpleflea.").partition(".")[0] in message
    assert "sk_trade" not in message and "key@" not in message


@pytest.mark.parametrize(
    "override",
    [
        "purpleflea.ws_url=ws://127.0.0.1:1/ws",
        "purpleflea.ws_url=ws://localhost/ws",
        "purpleflea.rest_url=http://[::1]:1",
    ],
)
def test_plain_text_is_for_this_machine(override: str) -> None:
    assert loaded(override)


def test_a_key_may_lie_in_the_systems_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {("mev-agent", "purpleflea"): "sk_trade_1"}
    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=lambda *who: kept.get(who)))
    reference = Reference("keyring", "mev-agent/purpleflea")
    assert resolve(reference, key="purpleflea.api_key") == "sk_trade_1"
    with pytest.raises(ConfigError, match="has no"):
        resolve(Reference("keyring", "mev-agent/other"), key="purpleflea.api_key")


def test_a_keyring_that_fails_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*who: str) -> str:
        raise RuntimeError("sk_trade_1 is locked")

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=locked))
    with pytest.raises(ConfigError) as error:
        resolve(Reference("keyring", "a/b"), key="purpleflea.api_key")
    assert "sk_trade" not in str(error.value)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="not installed"):
        resolve(Reference("keyring", "a/b"), key="purpleflea.api_key")
