"""The settings of a run as plain frozen values: what `config` makes of its layers and every other package reads.

Units are in the names (`_wei`, `_bps`, `_ms`). A secret is never here, only where it is to be found (`Reference`).
Defaults are the models' in `agent.config.model`; these structs have none, so that there is one place for them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.eth.units import Address

Mode = Literal["devnet", "shadow", "live"]
Venue = Literal["onchain", "purpleflea"]
ReferenceKind = Literal["env", "file", "keystore", "keyring", "literal"]


class Reference(msgspec.Struct, frozen=True):
    """Where a value lies that must not stand in a config: an environment variable, a file, a keystore, a keyring.

    `literal` is for addresses of nodes, which may stand in the file; its text may still hold a provider's key, so
    it is shown without path and query.
    """

    kind: ReferenceKind
    name: str

    def __str__(self) -> str:
        if self.kind != "literal":
            return f"{self.kind}:{self.name}"
        scheme, _, rest = self.name.partition("://")
        host = rest.split("/", 1)[0].split("?", 1)[0].rpartition("@")[2]
        return f"{scheme}://{host}" + ("/…" if rest.rstrip("/") != host else "")

    def __repr__(self) -> str:
        return f"Reference({self})"


class RiskSettings(msgspec.Struct, frozen=True):
    """What the risk core refuses to pass."""

    min_net_wei: int
    max_gas_wei_per_day: int
    max_exposure_wei: int
    max_bundles_per_slot: int


class EndpointSettings(msgspec.Struct, frozen=True):
    """A relay or builder that bundles are sent to."""

    name: str
    url: Reference


class OnchainSettings(msgspec.Struct, frozen=True):
    """The chain, its node, the keys, the executor, and what is looked for."""

    chain_id: int
    ws_url: Reference | None
    http_url: Reference | None
    signer: Reference | None
    relay_identity: Reference | None
    endpoints: tuple[EndpointSettings, ...]
    executor: Address | None
    start_tokens: tuple[Address, ...]
    beta_bps: int
    """Share of what is left after gas that is offered to the builder."""
    max_hops: int


class PathSettings(msgspec.Struct, frozen=True):
    """Where one of the venue's requests goes, below `rest_url`."""

    name: str
    path: str


class ProducerSettings(msgspec.Struct, frozen=True):
    """A program that may send signals, and how much it may ask for."""

    name: str
    key: Reference | None
    signals_per_s: int
    notional_atoms_per_day: int


class RateSettings(msgspec.Struct, frozen=True):
    """What a currency is worth that no market prices."""

    currency: str
    account_atoms_per_unit: int


class PurpleFleaSettings(msgspec.Struct, frozen=True):
    """The order-book venue. Its own limits hold where they are smaller than the ones here."""

    ws_url: str
    rest_url: str
    auth: Literal["x-api-key", "bearer"]
    api_key: Reference | None
    symbols: tuple[str, ...]
    book_depth: int
    orders_per_s: int
    cancels_per_s: int
    max_open: int
    reads_per_minute: int
    self_trade: Literal["cancel_taker", "cancel_maker", "cancel_both"]
    cancel_on_disconnect: bool
    cod_grace_ms: int
    book_silence_ms: int
    late_ms: int
    malformed_per_minute: int
    connect_within_ms: int
    currency: str
    profile: Literal["conservative", "standard", "aggressive"]
    max_order_lots: int
    strategy: Literal["market_making", "none"]
    quote_lots: int
    max_position_lots: int
    min_half_spread_ticks: int
    guard_key: Reference | None
    key_id: str | None
    faucet: bool
    agent_id: str | None
    paths: tuple[PathSettings, ...]
    producers: tuple[ProducerSettings, ...]
    rates: tuple[RateSettings, ...]


class LastGuardSettings(msgspec.Struct, frozen=True):
    """The last look before anything leaves, with counters of its own."""

    max_value_wei: int
    max_gas_price_wei: int
    max_bid_wei: int
    max_transactions_per_hour: int
    max_gas_wei_per_day: int
    max_orders_per_s: int
    max_order_notional: int
    """Whole units of the quote currency."""
    band_ppm: int


class ObserveSettings(msgspec.Struct, frozen=True):
    """Where a run writes what happened."""

    runs_dir: str


class GuardSettings(msgspec.Struct, frozen=True):
    """The kill switch in the other process."""

    heartbeat_ms: int


class Settings(msgspec.Struct, frozen=True):
    """All of it."""

    schema: int
    mode: Mode
    venue: Venue
    risk: RiskSettings
    onchain: OnchainSettings
    purpleflea: PurpleFleaSettings
    last_guard: LastGuardSettings
    observe: ObserveSettings
    guard: GuardSettings
