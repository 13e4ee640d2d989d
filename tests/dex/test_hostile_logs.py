"""A contract that answers like a pool may log anything: no log of its own stops the search, none makes a claim."""

from __future__ import annotations

import pytest

from agent.dex.events import PANCAKE_V3_SWAP, V2_SYNC, V3_BURN, V3_INITIALIZE, V3_MINT, V3_SWAP
from agent.dex.pool import Completeness, Log, StateName
from agent.dex.pool_set import PoolSet
from agent.dex.v2 import V2Pool
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import Tick, TickMap
from agent.eth.units import Address, Hash32
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.opportunity import Opportunity
from agent.strategies.arb.screen import Screen
from agent.strategies.arb.search import find_opportunities
from agent.strategies.arb.sizing import finest_size

TOKEN0, TOKEN1 = Address(b"\x01" * 20), Address(b"\x02" * 20)
PAIR, CONCENTRATED, HONEST = (Address(bytes([number]) * 20) for number in (16, 17, 18))
NOWHERE = StateName(Hash32(bytes(32)), 0)
LIQUIDITY = 10**20


def word(value: int) -> bytes:
    return (value % 2**256).to_bytes(32, "big")


def words(*values: int) -> bytes:
    return b"".join(map(word, values))


def pools() -> PoolSet:
    ticks = {-60: Tick(LIQUIDITY, LIQUIDITY), 60: Tick(-LIQUIDITY, LIQUIDITY)}
    concentrated = V3Pool(
        address=CONCENTRATED,
        token0=TOKEN0,
        token1=TOKEN1,
        fee_pips=3_000,
        sqrt_price_x96=2**96,
        tick=0,
        liquidity=LIQUIDITY,
        ticks=TickMap(ticks, tick_spacing=60, known_words=None),
    )
    pairs = [
        V2Pool(address=address, token0=TOKEN0, token1=TOKEN1, fee_pips=3_000, reserve0=10**20, reserve1=reserve1)
        for address, reserve1 in ((PAIR, 2 * 10**20), (HONEST, 15 * 10**19))
    ]
    return PoolSet([concentrated, *pairs])


def searched(before: PoolSet, after: PoolSet, touched: frozenset[Address]) -> list[Opportunity]:
    cycles = index_cycles(before, start_tokens=[TOKEN0], max_hops=2)
    found = find_opportunities(
        after,
        cycles,
        touched=touched,
        state=NOWHERE,
        block_number=1,
        after_transaction=Hash32(bytes(32)),
        before=before,
        size=finest_size,
    )
    find_opportunities(
        after,
        cycles,
        touched=touched,
        state=NOWHERE,
        block_number=1,
        after_transaction=Hash32(bytes(32)),
        before=before,
        screen=Screen(cycles, before),
    )
    return found


HOSTILE = {
    "a Sync without data": (PAIR, (V2_SYNC,), b""),
    "a Sync of one word": (PAIR, (V2_SYNC,), words(1)),
    "a Sync to nothing in": (PAIR, (V2_SYNC,), words(0, 10**20)),
    "a Sync to nothing out": (PAIR, (V2_SYNC,), words(10**20, 0)),
    "a Swap without data": (CONCENTRATED, (V3_SWAP,), b""),
    "a Swap to price zero": (CONCENTRATED, (V3_SWAP, word(1), word(1)), words(1, -1, 0, LIQUIDITY, 0)),
    "a Swap to a price past the domain": (CONCENTRATED, (V3_SWAP, word(1), word(1)), words(1, -1, 2**200, 1, 0)),
    "a Swap to a tick past the domain": (CONCENTRATED, (PANCAKE_V3_SWAP,), words(1, -1, 2**96, 1, 887_273, 0, 0)),
    "an Initialize to price zero": (CONCENTRATED, (V3_INITIALIZE,), words(0, 0)),
    "a Mint without its topics": (CONCENTRATED, (V3_MINT,), words(1, 1, 1, 1)),
    "a Mint upside down": (CONCENTRATED, (V3_MINT, word(1), word(60), word(-60)), words(1, 1, 1, 1)),
    "a Mint past the domain": (CONCENTRATED, (V3_MINT, word(1), word(0), word(2**60)), words(1, 1, 1, 1)),
    "a Burn without its topics": (CONCENTRATED, (V3_BURN, word(1)), words(1, 1, 1)),
}


@pytest.mark.parametrize("log", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_log_that_no_pool_writes_silences_its_pool_and_nothing_else(
    log: tuple[Address, tuple[bytes, ...], bytes],
) -> None:
    before = pools()
    after, touched = before.apply([Log(*log)])
    address = log[0]
    assert touched == {address}
    for token in (TOKEN0, TOKEN1):
        quote = after[address].quote_exact_in(token, 10**15)
        assert quote.amount_out == 0 or quote.completeness is not Completeness.COMPLETE
    assert all(address not in one.pools for one in searched(before, after, touched))
    others = frozenset(pool.address for pool in before) - {address}
    assert searched(before, after, others), "the honest pools are searched as ever"


def test_a_pair_that_is_filled_again_is_quoted_again() -> None:
    emptied, _ = pools().apply([Log(PAIR, (V2_SYNC,), words(0, 0))])
    filled, touched = emptied.apply([Log(PAIR, (V2_SYNC,), words(10**20, 2 * 10**20))])
    assert any(PAIR in one.pools for one in searched(emptied, filled, touched))
