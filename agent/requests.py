"""What a command asks of the package that does the work, and what it is answered.

The command line makes the request, the package returns an `Answer`, and the command line shows it: no package
below prints, and none knows of options or exit codes other than those of its errors.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

WorldKind = Literal["case", "slice", "fork", "live"]
Say = Callable[[str], None]
"""Takes one line of progress for a person; it never is part of the result."""


class WorldRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The world to run in. `case` is set for a case, `url` for a fork or a live chain, `block` for a fork."""

    kind: WorldKind = "slice"
    case: Path | None = None
    url: str = ""
    block: int | None = None

    def __repr__(self) -> str:
        # An endpoint's address often carries the key of its provider.
        return f"WorldRequest({self.kind}, {self.case or self.block or ''})"


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent run`."""

    world: WorldRequest
    blocks: int | None = None
    """None: one block in a case, as many as the world holds or until stopped elsewhere."""
    leave_out: tuple[bytes, ...] = ()
    only: tuple[str, ...] = ()
    assume: Path | None = None
    builder_order: Literal["archived", "profit", "gas-price"] | None = None
    """None: archived in a case, profit elsewhere."""
    pace: Literal["real", "fast"] = "fast"
    seed: int = 0
    seconds: float | None = None
    """On an order-book venue: stop after this long."""
    report: Path | None = None
    out: Path | None = None
    is_live: bool = False


class SurveyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent survey`."""

    case: Path
    assume: Path | None = None
    report: Path | None = None


class DevnetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent devnet up`. Port 0 is a free one."""

    world: WorldRequest
    port: int = 0
    relay_port: int = 0
    seed: int = 0
    pace: Literal["real", "manual"] = "real"
    """manual: a block comes only when somebody asks the node for one. A case has its one block so in any event."""


class SimulatedVenueRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent devnet purpleflea`. Port 0 is a free one."""

    port: int = 0
    seed: int = 0
    faults: Path | None = None
    """A TOML or JSON file of faults; docs/reference/purpleflea-venue.md has the knobs."""


class InspectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent inspect`: `subject` is an opportunity's id, a hash, or a block number."""

    subject: str
    run: str | None = None
    case: Path | None = None


class CaptureRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent capture`."""

    block: int
    rpc_url: str
    out: Path

    def __repr__(self) -> str:
        return f"CaptureRequest({self.block}, {self.out})"


class SpreadsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent spreads`."""

    world: WorldRequest
    is_watched: bool = False


class QuoteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent quote`: `amount_in` in units of `token_in`."""

    case: Path
    pool: bytes
    token_in: bytes
    amount_in: int


class DeployRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent deploy`: nothing is sent unless `is_broadcast`."""

    rpc_url: str
    build: Literal["cancun", "london"] = "cancun"
    is_broadcast: bool = False

    def __repr__(self) -> str:
        return f"DeployRequest({self.build}, broadcast={self.is_broadcast})"


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent replay`."""

    run: str
    is_verified: bool = False
    until: int | None = None
    is_deep: bool = False


class SimulateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent simulate`: the worlds of the seeds from `first` up to `last`, which is not one of them."""

    first: int
    last: int
    profile: str = "swarm"
    planted: str = ""
    """A bug to plant first, by name."""
    is_shrunk: bool = True


class JournalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`mev-agent journal`: `subject` is what `why` asks about, `out` where `export` writes."""

    run: str
    subject: str = ""
    out: Path | None = None
    last: int = 20
    is_followed: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a command shows: `data` in the JSON envelope, `text` for a person.

    `schema` overrides the envelope's name where a contract fixes it (`mev-agent/report/1` for a run).
    `exit_code` is 0, or 1 where a check's answer is no.
    """

    data: Any
    text: str = ""
    mode: str = "devnet"
    schema: str = ""
    exit_code: int = 0
    warnings: tuple[str, ...] = ()
