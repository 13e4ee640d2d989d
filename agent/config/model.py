"""The file as pydantic models: every key, its type, its default and its meaning.

The descriptions are the source of `mev-agent init`, of the JSON Schema and of docs/reference/config.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from agent.config.amounts import parse_amount
from agent.eth.hexes import address_text, to_address
from agent.eth.units import Address
from agent.ports.network import is_loopback
from agent.settings import Mode, Reference, Venue

MAINNET_START_TOKENS = (
    "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",  # WETH
    "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",  # USDC
    "0xdAC17F958D2ee523a2206206994597C13D831ec7",  # USDT
    "0x6B175474E89094C44Da98b954EedeAC495271d0F",  # DAI
    "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599",  # WBTC
)


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("agent_value", message)


def _amount(value: object) -> object:
    try:
        return parse_amount(value)
    except ValueError as error:
        raise _wrong(str(error)) from None


def _address(value: object) -> object:
    if isinstance(value, bytes):
        return value
    try:
        return to_address(str(value))
    except ValueError as error:
        raise _wrong(str(error)) from None


def _secret(value: object) -> object:
    """Only where it lies: a key written into the file is refused, and not repeated in the message."""
    reference = _reference(value, ("env", "file", "keystore"))
    if reference is None:
        raise _wrong(
            'must say where the secret lies: "keystore:NAME", "env:NAME" or "file:PATH"; never the secret itself'
        )
    return reference


def _api_key(value: object) -> object:
    """The same for the key of an account, which is no file that signs."""
    reference = _reference(value, ("env", "file", "keyring"))
    if reference is None or (reference.kind == "keyring" and not all(reference.name.partition("/"))):
        raise _wrong(
            'must say where the key lies: "file:PATH", "env:NAME" or "keyring:SERVICE/USER"; never the key itself'
        )
    return reference


def _venue_url(schemes: tuple[str, str]) -> Callable[[object], object]:
    """An address of the venue; plain text only on this machine, since the key goes there."""

    def checked(value: object) -> object:
        if not isinstance(value, str):
            raise _wrong("must be a URL")
        parts = urlsplit(value)
        host = parts.hostname or ""
        if parts.scheme not in schemes or not host or parts.username is not None:
            raise _wrong(f"must be a URL ({' or '.join(schemes)}) without a user name")
        if parts.scheme == schemes[0] and not is_loopback(host):
            raise _wrong(f"must be {schemes[1]}: plain text is for this machine alone")
        return value

    return checked


def _node(value: object) -> object:
    """A node's address, or where it lies."""
    reference = _reference(value, ("env", "file"))
    if reference is not None:
        return reference
    if isinstance(value, str) and value.startswith(("http://", "https://", "ws://", "wss://")):
        return Reference("literal", value)
    raise _wrong('must be a URL (http, https, ws, wss), "env:NAME" or "file:PATH"')


def _reference(value: object, kinds: tuple[Literal["env", "file", "keystore", "keyring"], ...]) -> Reference | None:
    if isinstance(value, Reference):
        return value
    for kind in kinds:
        if isinstance(value, str) and value.startswith(f"{kind}:") and len(value) > len(kind) + 1:
            return Reference(kind, value[len(kind) + 1 :])
    return None


Wei = Annotated[int, BeforeValidator(_amount, json_schema_input_type=int | str), Field(ge=0)]
PositiveWei = Annotated[int, BeforeValidator(_amount, json_schema_input_type=int | str), Field(ge=1)]
AddressText = Annotated[
    bytes,
    BeforeValidator(_address, json_schema_input_type=str),
    PlainSerializer(lambda raw: address_text(Address(raw)), return_type=str, when_used="json"),
]
Secret = Annotated[Reference, BeforeValidator(_secret, json_schema_input_type=str)]
ApiKey = Annotated[Reference, BeforeValidator(_api_key, json_schema_input_type=str)]
SocketUrl = Annotated[str, BeforeValidator(_venue_url(("ws", "wss")))]
RequestUrl = Annotated[str, BeforeValidator(_venue_url(("http", "https")))]
NodeUrl = Annotated[Reference, BeforeValidator(_node, json_schema_input_type=str)]


class Section(BaseModel):
    """Strict, frozen, and closed: a key that is not listed is a mistake."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Risk(Section):
    """What the risk core refuses to pass. The defaults suit local worlds; choose your own before going live."""

    min_net_wei: PositiveWei = Field(1, description="Least profit after gas and bid for which anything is sent.")
    max_gas_wei_per_day: Wei = Field(10**18, description="Gas paid in one day (UTC), live bundles at their worst.")
    max_exposure_wei: Wei = Field(10**18, description="Worst gas of all live bundles together.")
    max_bundles_per_slot: int = Field(32, ge=1, le=64, description="Bundles sent in one slot, over all keys.")


class Endpoint(Section):
    """A relay or builder that bundles are sent to."""

    name: str = Field(min_length=1, max_length=32, description="The word it has in logs and reports.")
    url: NodeUrl = Field(description="Its address.")


class Onchain(Section):
    """The chain, its node, the keys, the executor, and what is looked for."""

    chain_id: int = Field(1, ge=1, description="Checked against the node at start.")
    ws_url: NodeUrl | None = Field(None, description="WebSocket of the node: heads and pending transactions.")
    http_url: NodeUrl | None = Field(None, description="HTTP of the node: state and simulation.")
    signer: Secret | None = Field(None, description="The trading key; read in live mode only.")
    relay_identity: Secret | None = Field(
        None, description="The key that signs requests to relays; never the trading key."
    )
    endpoints: list[Endpoint] = Field([], description="Relays and builders; a bundle goes to all of them at once.")
    executor: AddressText | None = Field(None, description="The executor contract; `mev-agent deploy` makes it.")
    start_tokens: list[AddressText] = Field(
        list(MAINNET_START_TOKENS),
        validate_default=True,
        min_length=1,
        description="Tokens in which profit is taken.",
    )
    beta_bps: int = Field(
        9_000,
        ge=0,
        le=10_000,
        description="Share of what is left after gas that is offered to the builder, in 1/10 000.",
    )
    max_hops: int = Field(3, ge=2, le=4, description="Pools in one cycle.")

    @model_validator(mode="after")
    def _keys_differ(self) -> Onchain:
        if self.signer is not None and self.signer == self.relay_identity:
            raise _wrong(
                "relay_identity must be another key than signer: the relay identity is not meant to hold funds"
            )
        names = [endpoint.name for endpoint in self.endpoints]
        if len(set(names)) != len(names):
            raise _wrong("endpoints: two have the same name")
        return self


class Path(Section):
    """Where one of the venue's requests goes."""

    name: Literal[
        "time",
        "instruments",
        "orders",
        "executions",
        "positions",
        "balances",
        "deadman",
        "cod",
        "keys",
        "faucet",
    ] = Field(description="What is asked for.")
    path: str = Field(pattern=r"^/[A-Za-z0-9/_.-]*$", max_length=128, description="The path below rest_url.")


class Producer(Section):
    """A program that may send signals, and how much it may ask for."""

    name: str = Field(pattern=r"^[a-z0-9_-]{1,32}$", description="By which it calls itself.")
    key: ApiKey | None = Field(
        None,
        description="Of the code over its signals; without one every program of the agent's own user may send them.",
    )
    signals_per_s: int = Field(5, ge=1, le=100, description="Most signals in a second.")
    notional_atoms_per_day: int = Field(
        ge=1, le=10**30, description="Most value that it may ask for in a UTC day, in atoms of the quote currency."
    )


class FixedRate(Section):
    """What a currency is worth that no market prices, and fees may be in."""

    currency: str = Field(pattern=r"^[A-Z0-9]{1,16}$", description="Its name at the venue.")
    account_atoms_per_unit: int = Field(
        ge=0, le=10**30, description="Worth of one whole unit of it, in atoms of the account's currency."
    )


class PurpleFlea(Section):
    """The order-book venue. Its own limits hold where they are smaller than the ones here."""

    ws_url: SocketUrl = Field("wss://purpleflea.com/trading-api/ws", description="Its WebSocket.")
    rest_url: RequestUrl = Field("https://trading.purpleflea.com", description="Its requests beside the WebSocket.")
    auth: Literal["x-api-key", "bearer"] = Field("x-api-key", description="The header that carries the key.")
    api_key: ApiKey | None = Field(
        None, description="Where the account's key lies: a file, a variable, or the system's keyring."
    )
    symbols: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9:._-]{1,64}$")]] = Field(
        ["ETH-USDC"], min_length=1, description="What is traded."
    )
    book_depth: int = Field(50, ge=1, le=50, description="Levels of a book on each side.")
    orders_per_s: int = Field(50, ge=1, le=1_000, description="Most orders in a second.")
    cancels_per_s: int = Field(100, ge=1, le=2_000, description="Most cancels in a second.")
    max_open: int = Field(200, ge=1, le=10_000, description="Most open orders.")
    reads_per_minute: int = Field(
        60, ge=1, le=6_000, description="Most reads of the agent beside the WebSocket in a minute."
    )
    self_trade: Literal["cancel_taker", "cancel_maker", "cancel_both"] = Field(
        "cancel_taker", description="What ends where two of our own orders would meet."
    )
    cancel_on_disconnect: bool = Field(True, description="The venue cancels our orders when the connection ends.")
    cod_grace_ms: int = Field(0, ge=0, le=10_000, description="How long it waits before it does.")
    book_silence_ms: int = Field(
        5_000, ge=100, le=120_000, description="A book without news for so long is asked for anew."
    )
    late_ms: int = Field(
        2_000, ge=50, le=60_000, description="Prices older than this by the venue's clock are dropped."
    )
    malformed_per_minute: int = Field(
        20, ge=1, le=1_000, description="More frames than this that cannot be read end the connection."
    )
    connect_within_ms: int = Field(10_000, ge=100, le=60_000, description="How long a connection may take to open.")
    currency: str = Field("USDC", pattern=r"^[A-Z0-9]{1,16}$", description="The account's currency.")
    profile: Literal["conservative", "standard", "aggressive"] = Field(
        "standard", description="The figures of the six breakers."
    )
    max_order_lots: int = Field(100, ge=1, description="Most lots in one order, whatever its value.")
    strategy: Literal["market_making", "none"] = Field("market_making", description="What trades.")
    quote_lots: int = Field(4, ge=1, description="Lots of each quote of the market maker.")
    max_position_lots: int = Field(20, ge=1, description="Lots that the market maker holds at most, per symbol.")
    min_half_spread_ticks: int = Field(3, ge=1, description="Least distance of its quotes from the middle.")
    guard_key: ApiKey | None = Field(
        None, description="The guard's own key, with the scopes read, cancel and revoke; never the account's."
    )
    key_id: str | None = Field(None, description="The venue's name for the account's key: what the guard deletes.")
    faucet: bool = Field(
        False, description="Start funds are claimed from the venue's faucet when a run begins; not in shadow."
    )
    agent_id: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_.:-]{1,64}$", description="The account's name at the venue, for its faucet."
    )
    paths: list[Path] = Field(
        [], description="Where the venue's requests are, if not where the contract has them; for agent and guard."
    )
    producers: list[Producer] = Field([], description="Programs whose signals are taken; without any, none is.")

    rates: list[FixedRate] = Field(
        [], description="Worth of currencies that fees are in and no market prices; without it such a fee halts."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> PurpleFlea:
        for what, names in (
            ("paths", [path.name for path in self.paths]),
            ("producers", [producer.name for producer in self.producers]),
            ("rates", [rate.currency for rate in self.rates]),
        ):
            if len(set(names)) != len(names):
                raise _wrong(f"{what}: two have the same name")
        if self.faucet and self.agent_id is None:
            raise _wrong("faucet needs agent_id: the faucet asks whose start funds they are")
        return self


class LastGuard(Section):
    """The last look before anything leaves, with counters of its own: wider than every limit, and for when one failed."""

    max_value_wei: Wei = Field(0, description="ETH sent along with a transaction; an executor needs none.")
    max_gas_price_wei: PositiveWei = Field(
        1_000 * 10**9, description="Fee cap of a transaction per unit of gas, priority fee included."
    )
    max_bid_wei: Wei = Field(10 * 10**18, description="What one bundle may offer the builder.")
    max_transactions_per_hour: int = Field(
        1_200, ge=1, le=100_000, description="Transactions signed in any hour, landed or not."
    )
    max_gas_wei_per_day: Wei = Field(
        2 * 10**18, description="Gas of any 24 hours, what is signed and not ended at its worst."
    )
    max_orders_per_s: int = Field(
        100, ge=1, le=4_000, description="Orders and amendments in any second at an order-book venue."
    )
    max_order_notional: int = Field(
        10_000, ge=0, description="Worth of one order that does not reduce, in whole units of its quote currency."
    )
    band_ppm: int = Field(
        50_000, ge=0, le=1_000_000, description="How far beyond the touch an order's price may lie, in 1/1 000 000."
    )


class Observe(Section):
    """Where a run writes what happened."""

    runs_dir: str = Field("runs", min_length=1, description="Folder of journals and reports.")


class Guard(Section):
    """The kill switch in the other process."""

    heartbeat_ms: int = Field(
        250, ge=150, le=10_000, description="Silence of the agent after which the guard stops it; it beats every 50 ms."
    )


class File(Section):
    """The whole file."""

    schema_version: Literal[1] = Field(1, alias="schema", description="The version of this format.")
    mode: Mode = Field(
        "devnet", description="devnet: local worlds. shadow: a live chain, nothing sent. live: needs --live too."
    )
    venue: Venue = Field("onchain", description="Where to trade; one word switches it.")
    risk: Risk = Field(Risk(), description="What the risk core refuses to pass.")
    onchain: Onchain = Field(Onchain(), description="The chain, its node, the keys, the executor.")
    purpleflea: PurpleFlea = Field(PurpleFlea(), description="The order-book venue.")
    last_guard: LastGuard = Field(LastGuard(), description="The last look before anything leaves.")
    observe: Observe = Field(Observe(), description="Where a run writes what happened.")
    guard: Guard = Field(Guard(), description="The kill switch in the other process.")


def sections() -> dict[str, type[Section]]:
    """The tables of the file by name."""
    found: dict[str, type[Section]] = {}
    for name, field in File.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found[name] = kind
    return found
