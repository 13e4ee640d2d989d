"""The matching rules beside engines that nobody here wrote, each in the environment that `make setup-peers` makes.

The same seeded orders of several accounts go through the simulated venue and through PyPI order-matching (limit
orders and cancels) and PyPI liquibook (also immediate-or-cancel, fill-or-kill and amends; C++). Where both define a
case the trades must be the same, in the same order, and the same orders must be left. Where they define it otherwise,
a test shows the difference, and docs/reference/purpleflea-venue.md explains it.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.devnet.purpleflea import Terms
from agent.devnet.purpleflea.markets import Market, default_markets
from tests.conftest import REPOSITORY
from tests.devnet.purpleflea.bench import Bench, Client

pytestmark = pytest.mark.peer

ENGINES = Path(__file__).parent / "engines"
PYTHON = REPOSITORY / ".venv-engines" / "bin" / "python"
TIMEOUT_S = 120
MID = 600_000
SYMBOL = "BTC-USDC"

Step = list[Any]


def foreign(engine: str, streams: list[Any], *arguments: str) -> list[Any]:
    """What an engine makes of each stream, in one process. Skips where it is not installed."""
    if not PYTHON.exists():
        pytest.skip("no .venv-engines: run `make setup-peers`")
    command = [PYTHON, ENGINES / f"run_{engine}.py", *arguments]
    given = json.dumps(streams)
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=ENGINES)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"{engine} has no wheel for this machine")
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def ours(steps: list[Step]) -> dict[str, Any]:
    """The same stream through the venue, order by order as a client would send it."""
    bench = Bench(terms=Terms(markets=(free_market(),), max_open=100_000))
    clients: dict[str, Client] = {}
    owner: dict[str, Client] = {}
    for step in steps:
        if step[0] == "place":
            _, name, account, side, lots, ticks, *kind = step
            client = owner[name] = clients.setdefault(account, bench.trader("100000000"))
            bench.clock.ns += 10_000_000
            said = client.place(name, side, qty(lots), price(ticks), type=kind[0] if kind else "limit")
            assert said[0]["type"] == "order_ack", said
        elif step[0] == "cancel":
            owner[step[1]].say("cancel_order", client_order_id=step[1])
        else:
            _, name, total, ticks = step
            owner[name].say(
                "amend_order", client_order_id=name, quantity=qty(total), price=price(ticks), session_epoch=1
            )
    trades = [
        [trade.taker.client_order_id, trade.maker.client_order_id, trade.lots, trade.price_ticks]
        for trade in bench.engine.trades
    ]
    resting = [order for orders in bench.engine.open_orders.values() for order in orders.values()]
    return {"trades": trades, "left": sorted([order.client_order_id, order.leaves_lots] for order in resting)}


def free_market() -> Market:
    """BTC-USDC without the limits that the other engines do not know."""
    market = default_markets()[0]
    instrument = msgspec.structs.replace(market.instrument, min_notional_atoms=0, price_band_bps=10_000)
    return msgspec.structs.replace(market, instrument=instrument)


def qty(lots: int) -> str:
    return f"{lots // 1000}.{lots % 1000:03d}"


def price(ticks: int) -> str:
    return f"{ticks // 10}.{ticks % 10}"


def stream(seed: int, count: int, kinds: tuple[str, ...], *, amends: bool = False) -> list[Step]:
    """Orders of four accounts: two only buy and two only sell, so that nobody would meet itself."""
    dice = random.Random(seed)
    steps: list[Step] = []
    asked: dict[str, int] = {}
    for index in range(count):
        roll = dice.random()
        ticks = MID + dice.randint(-6, 6)
        if asked and roll < 0.2:
            steps.append(["cancel", dice.choice(list(asked))])
        elif amends and asked and roll < 0.35:
            name = dice.choice(list(asked))
            # More than anything that was filled, and never the same price: the one case that is defined otherwise.
            ticks += ticks == asked[name]
            asked[name] = ticks
            steps.append(["amend", name, dice.randint(31, 60), ticks])
        else:
            side, kind, name = dice.choice(("buy", "sell")), dice.choice(kinds), f"n{index}"
            steps.append(["place", name, f"{side}{dice.randrange(2)}", side, dice.randint(1, 30), ticks, kind])
            if kind == "limit":
                asked[name] = ticks
    return steps


SEEDS = range(4)
LIMITS = [stream(seed, 400, ("limit",)) for seed in SEEDS]
TYPES = [stream(seed, 1_500, ("limit", "limit", "ioc", "fok")) for seed in SEEDS]
AMENDS = [stream(seed, 800, ("limit", "limit", "ioc", "fok"), amends=True) for seed in SEEDS]
SMALLER: list[Step] = [
    ["place", "first", "sell0", "sell", 10, MID, "limit"],
    ["place", "second", "sell1", "sell", 10, MID, "limit"],
    ["amend", "first", 5, MID],
    ["place", "taker", "buy0", "buy", 5, MID, "limit"],
]
OWN: list[Step] = [
    ["place", "own", "same", "sell", 10, MID, "limit"],
    ["place", "taker", "same", "buy", 10, MID, "limit"],
]


@pytest.fixture(scope="module")
def order_matching() -> list[Any]:
    """What it makes of LIMITS and OWN."""
    return foreign("order_matching", [*LIMITS, OWN])


@pytest.fixture(scope="module")
def liquibook() -> list[Any]:
    """What it makes of TYPES, AMENDS, SMALLER and OWN."""
    return foreign("liquibook", [*TYPES, *AMENDS, SMALLER, OWN])


@pytest.mark.parametrize("seed", SEEDS)
def test_order_matching_agrees_on_limits_and_cancels(seed: int, order_matching: list[Any]) -> None:
    own = ours(LIMITS[seed])
    assert own == order_matching[seed]
    assert len(own["trades"]) > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_liquibook_agrees_on_limits_ioc_fok_and_cancels(seed: int, liquibook: list[Any]) -> None:
    own = ours(TYPES[seed])
    assert own == liquibook[seed]
    assert len(own["trades"]) > 300


@pytest.mark.parametrize("seed", SEEDS)
def test_liquibook_agrees_on_amends_that_lose_their_place(seed: int, liquibook: list[Any]) -> None:
    assert ours(AMENDS[seed]) == liquibook[len(TYPES) + seed]
    assert sum(step[0] == "amend" for step in AMENDS[seed]) > 80


def test_liquibook_sends_a_smaller_order_to_the_end_where_the_contract_lets_it_stay(liquibook: list[Any]) -> None:
    assert ours(SMALLER)["trades"] == [["taker", "first", 5, MID]]
    assert liquibook[-2]["trades"] == [["taker", "second", 5, MID]]


def test_the_others_let_an_account_trade_with_itself(order_matching: list[Any], liquibook: list[Any]) -> None:
    assert ours(OWN) == {"trades": [], "left": [["own", 10]]}
    assert order_matching[-1] == liquibook[-1] == {"trades": [["taker", "own", 10, MID]], "left": []}
