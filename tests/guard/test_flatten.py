"""Flattening: off unless asked for; then small slices that only reduce, after everything else stands still."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent.devnet.purpleflea import AccountKeys, PurpleFleaVenue
from agent.guard.control import ask
from agent.guard.flatten import Flatten
from agent.guard.peer import PeerFault
from agent.guard.venue_client import Grid, Venue, VenueClient
from tests.guard.stage import GUARD_FILE

SYMBOL = "BTC-USDC"
GRID = Grid(Decimal("0.1"), Decimal("0.001"), Decimal("0.001"))


def took(url: str, secret: str, side: str, quantity: str, price: str) -> dict[str, Decimal]:
    """A trade of the agent's, by its own key; what is held then."""
    client = VenueClient(Venue(url, secret))
    now_ns = time.time_ns()
    client.place(
        {
            "client_order_id": f"agent-{now_ns}", "symbol": SYMBOL, "side": side, "type": "ioc", "quantity": quantity,
            "price": price, "session_epoch": client.fence(), "expire_ns": now_ns + 10**9,
        }
    )  # fmt: skip
    return client.positions()


def configured(folder: Path, venue: PurpleFleaVenue, keys: AccountKeys, **more: Any) -> Path:
    for name, secret in (("guard.key", keys.guard.secret), ("agent.key", keys.trade.secret)):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    content = {
        "schema": 1,
        "folder": "guard",
        "venue": {
            "url": venue.http_url,
            "key_file": "guard.key",
            "symbols": [SYMBOL],
            "agent_key_ids": [keys.trade.key_id],
            "agent_key_files": ["agent.key"],
            "collar_ppm": 20_000,
            **more,
        },
    }
    path = folder / "guard.json"
    path.write_text(json.dumps(content))
    return path


async def halted(folder: Path, config: Path, is_over: Any) -> dict[str, Any]:
    """A guard that is told to halt; its status when `is_over` says so."""
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD_FILE), "--config", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        status: dict[str, Any] = {}
        async with asyncio.timeout(60):
            while not (folder / "guard" / "control.sock").exists():
                await asyncio.sleep(0.02)
            await asyncio.to_thread(ask, folder / "guard", {"ask": "halt", "by": "t", "reason": "flatten"}, timeout_s=5)
            while not is_over(status):
                await asyncio.sleep(0.1)
                status = await asyncio.to_thread(ask, folder / "guard", {"ask": "status"}, timeout_s=5)
        return status
    finally:
        guard.kill()
        guard.wait()


@pytest.mark.parametrize(("side", "price"), [("buy", "99999.0"), ("sell", "10000.0")])
async def test_what_is_held_goes_after_everything_else_was_seen_to_stand_still(
    tmp_path: Path, side: str, price: str
) -> None:
    async with PurpleFleaVenue(seed=3) as venue:
        keys = venue.create_account()
        band = venue.floor.engine.markets[SYMBOL]
        near = band.price_text(band.first_price_ticks * (102 if side == "buy" else 98) // 100)
        held = await asyncio.to_thread(took, venue.http_url, keys.trade.secret, side, "0.020", near)
        assert abs(held[SYMBOL]) > Decimal("0.002"), (held, price)
        config = configured(tmp_path, venue, keys, is_flattened=True)
        status = await halted(tmp_path, config, lambda told: (told.get("flatten") or {}).get("is_flat"))
        assert status["is_verified"] and {rung["rung"] for rung in status["rungs"]} == {"revoke", "sweep"}
        ledger = venue.floor.engine.ledger.accounts[keys.agent_id]
        assert ledger.positions[SYMBOL].lots == 0
        rows = [
            row for row in venue.books()["accounts"][keys.agent_id]["orders"] if row["client_order_id"][:5] == "guard"
        ]
        assert rows and not venue.floor.engine.open_orders[keys.agent_id]


async def test_it_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    async with PurpleFleaVenue(seed=3) as venue:
        keys = venue.create_account()
        band = venue.floor.engine.markets[SYMBOL]
        near = band.price_text(band.first_price_ticks * 102 // 100)
        held = await asyncio.to_thread(took, venue.http_url, keys.trade.secret, "buy", "0.020", near)
        config = configured(tmp_path, venue, keys)
        status = await halted(tmp_path, config, lambda told: told.get("is_verified"))
        assert status["flatten"] is None
        await asyncio.sleep(0.5)
        lots = venue.floor.engine.ledger.accounts[keys.agent_id].positions[SYMBOL].lots
        assert band.lots_text(lots) == f"{held[SYMBOL]:f}"


class Desk:
    """A venue's client as the rung sees it."""

    def __init__(self, held: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> None:
        self.held = {SYMBOL: Decimal(held)} if held else {}
        self.sides = tuple(tuple((Decimal(price), Decimal(size)) for price, size in side) for side in (bids, asks))
        self.open: tuple[str, ...] = ()
        self.is_complete = True
        self.placed: list[dict[str, Any]] = []

    def open_orders(self) -> Any:
        return type("Open", (), {"client_order_ids": self.open, "is_complete": self.is_complete})

    def positions(self) -> dict[str, Decimal]:
        return self.held

    def grids(self) -> dict[str, Grid]:
        return {SYMBOL: GRID}

    def fence(self) -> int:
        return 7

    def book(self, symbol: str) -> Any:
        return self.sides

    def place(self, order: dict[str, Any]) -> None:
        self.placed.append(order)


def rung(desk: Desk, collar_ppm: int = 10_000) -> Flatten:
    made = Flatten(Venue("http://127.0.0.1:9", "key"), collar_ppm, wall_ns=lambda: 5)
    made._client = desk  # type: ignore[assignment] # as far as it is used
    return made


def test_a_slice_is_a_tenth_of_what_the_collar_shows_and_only_reduces() -> None:
    desk = Desk("5", [("99.9", "0.205"), ("99.2", "0.3"), ("98.0", "100")], [("100.1", "1")])
    rung(desk).act(1)
    (order,) = desk.placed
    assert (order["side"], order["type"], order["quantity"], order["price"]) == ("sell", "ioc", "0.050", "99.0")
    assert order["reduce_only"] is True and (order["session_epoch"], order["expire_ns"]) == (7, 5 + 10**9)
    short = Desk("-0.02", [("99.9", "1")], [("100.1", "1"), ("101.1", "9")])
    rung(short).act(1)
    assert (short.placed[0]["side"], short.placed[0]["quantity"], short.placed[0]["price"]) == ("buy", "0.02", "101.0")


@pytest.mark.parametrize(
    ("desk", "word"),
    [
        (Desk("5", [("99.9", "0.005")], [("100.1", "1")]), "too thin"),
        (Desk("5", [], [("100.1", "1")]), "empty side"),
    ],
)
def test_a_book_that_cannot_take_it_is_a_fault_that_is_told(desk: Desk, word: str) -> None:
    with pytest.raises(PeerFault, match=word):
        rung(desk).act(1)
    assert not desk.placed


def test_nothing_goes_while_it_is_not_known_what_is_held() -> None:
    for changes in ({"open": ("x",)}, {"is_complete": False}):
        desk = Desk("5", [("99.9", "1")], [("100.1", "1")])
        for name, value in changes.items():
            setattr(desk, name, value)
        with pytest.raises(PeerFault, match="nothing is flattened"):
            rung(desk).act(1)
        assert not desk.placed


def test_dust_below_an_order_is_flat() -> None:
    assert rung(Desk("0.0009", [], [])).is_confirmed() and rung(Desk("", [], [])).is_confirmed()
    assert not rung(Desk("0.001", [], [])).is_confirmed()
