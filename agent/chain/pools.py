"""Read the state of pools from a node: all figures of a load belong to one block.

V2: reserves. V3: price, tick, liquidity, and the bitmap outward from the current word until a word cannot be read or
the reach ends; what was not read stays unknown. A tick whose bitmap bit is set but whose figures cannot be read is
kept as unknown: a quote may go up to it, not across. A pool that is still empty is kept: its block may fill it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.chain.discovery import GET_RESERVES, LIQUIDITY, SLOT0, BatchRpc, PoolRecord, view
from agent.dex.pool import LeftOut, Pool
from agent.dex.tick_math import MAX_TICK, MIN_TICK
from agent.dex.v2 import V2Pool
from agent.dex.v3 import V3Pool, is_possible
from agent.dex.v3_ticks import Tick, TickMap
from agent.eth.units import Address

TICK_BITMAP = bytes.fromhex("5339c296")
TICKS = bytes.fromhex("f30dba93")
WORDS_EACH_SIDE = 48
"""Bitmap words read on either side of the price; at spacing 60 that is the whole domain, at spacing 1 a factor of 3."""
_WORDS_PER_ROUND = 12


class _Reading:
    """A V3 pool whose bitmap is being read."""

    def __init__(self, record: PoolRecord, *, sqrt_price_x96: int, tick: int, liquidity: int) -> None:
        assert record.tick_spacing is not None
        self.record = record
        self.sqrt_price_x96 = sqrt_price_x96
        self.tick = tick
        self.liquidity = liquidity
        self.spacing = record.tick_spacing
        self.words: dict[int, int] = {}
        centre = (tick // self.spacing) >> 8
        lowest, highest = (MIN_TICK // self.spacing) >> 8, (MAX_TICK // self.spacing) >> 8
        self._down = iter(range(centre, max(lowest, centre - WORDS_EACH_SIDE) - 1, -1))
        self._up = iter(range(centre + 1, min(highest, centre + WORDS_EACH_SIDE) + 1))
        self._open = {False: True, True: True}

    def next_words(self) -> list[tuple[bool, int]]:
        """The next words to read in each direction that is still open: (is up, word)."""
        wanted = []
        for is_up, source in ((False, self._down), (True, self._up)):
            if self._open[is_up]:
                batch = [(is_up, word) for _, word in zip(range(_WORDS_PER_ROUND), source, strict=False)]
                self._open[is_up] = len(batch) == _WORDS_PER_ROUND
                wanted += batch
        return wanted

    def accept(self, rows: Iterable[tuple[tuple[bool, int], int | None]]) -> None:
        """Bitmaps in reading order; None closes a direction there."""
        closed: set[bool] = set()
        for (is_up, word), bitmap in rows:
            if is_up in closed:
                continue
            if bitmap is None:
                closed.add(is_up)
                self._open[is_up] = False
            else:
                self.words[word] = bitmap

    def initialised(self) -> list[int]:
        return [
            (word * 256 + bit) * self.spacing
            for word, bitmap in self.words.items()
            for bit in range(256)
            if bitmap >> bit & 1
        ]


def _signed_argument(value: int) -> bytes:
    return (value % 2**256).to_bytes(32, "big")


def _unsigned(data: bytes, index: int) -> int:
    return int.from_bytes(data[32 * index : 32 * index + 32], "big")


def _signed(data: bytes, index: int) -> int:
    return int.from_bytes(data[32 * index : 32 * index + 32], "big", signed=True)


async def load_pools(
    rpc: BatchRpc, records: Sequence[PoolRecord], *, sender: Address, block: str = "latest"
) -> tuple[list[Pool], list[LeftOut]]:
    """Pools at the state of `block`, in record order, and those whose state cannot be read or contradicts itself.

    Records without a fee are left out: a guess would be a false quote.
    """
    pools: dict[Address, Pool] = {}
    left_out: list[LeftOut] = []
    priced = [record for record in records if record.fee_pips is not None]
    left_out += [
        LeftOut(r.address, "unknown_fee", "no factory, trade or probe proves it") for r in records if r.fee_pips is None
    ]
    pools |= await _load_v2(rpc, [r for r in priced if r.kind == "v2"], left_out, sender=sender, block=block)
    pools |= await _load_v3(rpc, [r for r in priced if r.kind == "v3"], left_out, sender=sender, block=block)
    return [pools[record.address] for record in records if record.address in pools], left_out


async def differing(rpc: BatchRpc, pools: Iterable[Pool], *, sender: Address, block: str = "latest") -> list[LeftOut]:
    """Pools whose price or liquidity is not what the node says at `block`: stale, or moved without an event."""
    found: list[LeftOut] = []
    pools = tuple(pools)
    v2 = [pool for pool in pools if isinstance(pool, V2Pool)]
    v3 = [pool for pool in pools if isinstance(pool, V3Pool)]
    calls = [(pool.address, GET_RESERVES) for pool in v2]
    calls += [(pool.address, getter) for pool in v3 for getter in (SLOT0, LIQUIDITY)]
    answers = iter(await view(rpc, calls, sender=sender, block=block))
    for pair in v2:
        answer = next(answers)
        held = (pair.reserve0, pair.reserve1)
        if answer is not None and (read := (_unsigned(answer, 0), _unsigned(answer, 1))) != held:
            found.append(LeftOut(pair.address, "state_differs", f"reserves {held} here, {read} on the node"))
    for pool in v3:
        slot0, liquidity = next(answers), next(answers)
        if slot0 is None or liquidity is None:
            continue
        state = (pool.sqrt_price_x96, pool.tick, pool.liquidity)
        now = (_unsigned(slot0, 0), _signed(slot0, 1), _unsigned(liquidity, 0))
        if state != now:
            found.append(
                LeftOut(pool.address, "state_differs", f"price, tick, liquidity {state} here, {now} on the node")
            )
    return found


async def _load_v2(
    rpc: BatchRpc, records: list[PoolRecord], left_out: list[LeftOut], *, sender: Address, block: str
) -> dict[Address, Pool]:
    answers = await view(rpc, [(record.address, GET_RESERVES) for record in records], sender=sender, block=block)
    pools: dict[Address, Pool] = {}
    for record, answer in zip(records, answers, strict=True):
        if answer is None or len(answer) < 64:
            left_out.append(LeftOut(record.address, "unreadable", "getReserves() failed"))
            continue
        reserve0, reserve1 = _unsigned(answer, 0), _unsigned(answer, 1)
        assert record.fee_pips is not None
        pools[record.address] = V2Pool(
            address=record.address,
            token0=record.token0,
            token1=record.token1,
            fee_pips=record.fee_pips,
            reserve0=reserve0,
            reserve1=reserve1,
        )
    return pools


async def _load_v3(
    rpc: BatchRpc, records: list[PoolRecord], left_out: list[LeftOut], *, sender: Address, block: str
) -> dict[Address, Pool]:
    calls = [(record.address, getter) for record in records for getter in (SLOT0, LIQUIDITY)]
    answers = await view(rpc, calls, sender=sender, block=block)
    readings: list[_Reading] = []
    unborn: dict[Address, Pool] = {}
    for position, record in enumerate(records):
        slot0, liquidity = answers[2 * position], answers[2 * position + 1]
        if slot0 is None or liquidity is None or len(slot0) < 64:
            left_out.append(LeftOut(record.address, "unreadable", "slot0() or liquidity() failed"))
        elif not _unsigned(slot0, 0) and not _unsigned(liquidity, 0):
            unborn[record.address] = _unborn(record)
        elif not is_possible(_unsigned(slot0, 0), _signed(slot0, 1)):
            detail = f"price {_unsigned(slot0, 0)} and tick {_signed(slot0, 1)} are outside the domain"
            left_out.append(LeftOut(record.address, "inconsistent", detail))
        else:
            readings.append(
                _Reading(
                    record,
                    sqrt_price_x96=_unsigned(slot0, 0),
                    tick=_signed(slot0, 1),
                    liquidity=_unsigned(liquidity, 0),
                )
            )
    await _read_bitmaps(rpc, readings, sender=sender, block=block)
    ticks = await _read_ticks(rpc, readings, sender=sender, block=block)
    pools = unborn
    for reading in readings:
        pool = _v3_pool(reading, ticks[reading.record.address])
        if isinstance(pool, LeftOut):
            left_out.append(pool)
        else:
            pools[reading.record.address] = pool
    return pools


async def _read_bitmaps(rpc: BatchRpc, readings: list[_Reading], *, sender: Address, block: str) -> None:
    while True:
        rounds = [(reading, reading.next_words()) for reading in readings]
        calls = [
            (reading.record.address, TICK_BITMAP + _signed_argument(word))
            for reading, words in rounds
            for _, word in words
        ]
        if not calls:
            return
        answers = iter(await view(rpc, calls, sender=sender, block=block))
        for reading, words in rounds:
            bitmaps = [None if (data := next(answers)) is None else _unsigned(data, 0) for _ in words]
            reading.accept(zip(words, bitmaps, strict=True))


async def _read_ticks(
    rpc: BatchRpc, readings: list[_Reading], *, sender: Address, block: str
) -> dict[Address, dict[int, Tick]]:
    wanted = [(reading.record.address, tick) for reading in readings for tick in reading.initialised()]
    calls = [(pool, TICKS + _signed_argument(tick)) for pool, tick in wanted]
    answers = await view(rpc, calls, sender=sender, block=block)
    ticks: dict[Address, dict[int, Tick]] = {reading.record.address: {} for reading in readings}
    for (pool, tick), answer in zip(wanted, answers, strict=True):
        known = answer is not None and len(answer) >= 64
        ticks[pool][tick] = Tick(_signed(answer, 1), _unsigned(answer, 0)) if known and answer else Tick(None, None)
    return ticks


def _unborn(record: PoolRecord) -> V3Pool:
    """A pool without a price: it trades nothing until its Initialize, and no position can stand before that."""
    assert record.fee_pips is not None
    assert record.tick_spacing is not None
    return V3Pool(
        address=record.address,
        token0=record.token0,
        token1=record.token1,
        fee_pips=record.fee_pips,
        sqrt_price_x96=0,
        tick=0,
        liquidity=0,
        ticks=TickMap({}, tick_spacing=record.tick_spacing, known_words=None),
    )


def _v3_pool(reading: _Reading, ticks: dict[int, Tick]) -> V3Pool | LeftOut:
    record = reading.record
    assert record.fee_pips is not None
    lowest = (MIN_TICK // reading.spacing) >> 8
    is_floor_known = all(word in reading.words for word in range(lowest, (reading.tick // reading.spacing >> 8) + 1))
    below = [entry.liquidity_net for tick, entry in ticks.items() if tick <= reading.tick]
    if is_floor_known and None not in below:
        # Σ liquidityNet up to the current tick is the active liquidity: a torn or lying read breaks it.
        total = sum(net for net in below if net is not None)
        if total != reading.liquidity:
            return LeftOut(
                record.address, "inconsistent", f"ticks sum to {total}, liquidity() says {reading.liquidity}"
            )
    return V3Pool(
        address=record.address,
        token0=record.token0,
        token1=record.token1,
        fee_pips=record.fee_pips,
        sqrt_price_x96=reading.sqrt_price_x96,
        tick=reading.tick,
        liquidity=reading.liquidity,
        ticks=TickMap(ticks, tick_spacing=reading.spacing, known_words=frozenset(reading.words)),
    )
