"""What the outside does in a world, written down before it begins: wishes of a strategy, and blows of fate.

The list is a function of seed and profile. A failing run is made smaller by leaving actions out, so an action names what
it acts on by its place among what is there at its instant ("the third oldest live order"), never by an id.
"""

from __future__ import annotations

import random

import msgspec

from agent.core.instruments import OrderType, Side
from agent.devnet.virtual.ledger import SIGNAL_LOTS
from agent.devnet.virtual.market import BTC, ETH
from agent.devnet.virtual.profile import PPM, Profile
from agent.devnet.virtual.randomness import Streams

NS_PER_S = 1_000_000_000
BLOW_NS = 100_000_000
"""Once in this time each blow of fate has its chance."""
LOTS_MAX = 450
BURST = 0.05
"""A share of the orders brings many others with it, at once."""
QUOTES = 8
QUOTES_NS = 150_000_000
"""So long behind a burst some of its orders are replaced."""
HASTE = 0.15
HASTE_NS = 30_000_000
"""A share of the orders is not wanted any more within this."""
LAG = 0.3
LAG_NS = 150 * 1_000_000
"""A share of the orders was decided on what was seen up to so long ago."""
SYMBOLS = (BTC.symbol, ETH.symbol)
BLOWS = (
    "venue.restart", "venue.bust", "venue.phantom_fill", "venue.ghost_login", "market.silence", "market.gap",
    "market.crossed", "market.jump", "host.kill", "host.power", "host.stall", "host.clock_step", "host.drift",
    "guard.silent", "guard.gone", "signal.flood",
)  # fmt: skip
"""Faults that strike the world as a whole and not a frame or call of it."""


class PlaceAction(msgspec.Struct, frozen=True, tag="place", kw_only=True):
    """A strategy wishes an order, `offset_ticks` beyond the touch (a negative one rests behind it)."""

    at_ns: int
    symbol: str
    side: Side
    order_type: OrderType
    lots: int
    offset_ticks: int
    is_reduce_only: bool = False
    lag_ns: int = 0
    """So long ago was what it was decided on: a strategy takes its time, and the world goes on meanwhile. One that takes
    its time also waits where the session is not live, and then comes with what it had decided."""


class CancelAction(msgspec.Struct, frozen=True, tag="cancel", kw_only=True):
    """The `nth` oldest live order shall go; -1 is the youngest, which may not even be acknowledged yet."""

    at_ns: int
    nth: int


class AmendAction(msgspec.Struct, frozen=True, tag="amend", kw_only=True):
    """The `nth` oldest live order shall have `by_lots` more, and another price."""

    at_ns: int
    nth: int
    by_lots: int
    by_ticks: int


class SignalAction(msgspec.Struct, frozen=True, tag="signal", kw_only=True):
    """The slow path says something; `form` is a fault's name or empty."""

    at_ns: int
    number: int
    symbol: str
    side: Side
    lots: int
    urgency: int
    offset_ticks: int
    form: str = ""


class Blow(msgspec.Struct, frozen=True, tag="blow", kw_only=True):
    """A fault that befalls the world; `size_ppm` says how hard, 0 to a million."""

    at_ns: int
    name: str
    size_ppm: int


class CancelEverything(msgspec.Struct, frozen=True, tag="cancel_all", kw_only=True):
    """A person cancels all."""

    at_ns: int


Action = PlaceAction | CancelAction | AmendAction | SignalAction | Blow | CancelEverything


class _Lots:
    """Quantities, each used once for each symbol and side: they tell decisions apart.

    Those of signals end in 0 and the others do not, so that what is left of a signal is not taken for a wish.
    """

    def __init__(self, stream: random.Random) -> None:
        self._left: dict[tuple[str, Side, bool], list[int]] = {
            (symbol, side, of_signal): [] for symbol in SYMBOLS for side in Side for of_signal in (False, True)
        }
        for (_, _, of_signal), lots in self._left.items():
            lots.extend(number for number in range(1, LOTS_MAX) if (number % SIGNAL_LOTS == 0) is of_signal)
            stream.shuffle(lots)

    def take(self, symbol: str, side: Side, *, of_signal: bool = False) -> int | None:
        left = self._left[symbol, side, of_signal]
        return left.pop() if left else None


def draw_actions(streams: Streams, profile: Profile, *, until_ns: int) -> tuple[Action, ...]:
    """All actions of a world up to `until_ns`, in order of time."""
    wishes = [_late(wish, streams["lag"]) for wish in _wishes(streams["workload"], streams, profile, until_ns)]
    blows = [
        Blow(at_ns=at_ns + form.randrange(BLOW_NS), name=name, size_ppm=int(form.random() * PPM))
        for name in BLOWS
        if (rate_ppm := profile.rates_ppm.get(name, 0))
        for chance, form in ((streams["fault." + name], streams["form." + name]),)
        for at_ns in range(NS_PER_S, until_ns, BLOW_NS)
        if chance.random() * PPM < rate_ppm
    ]
    return tuple(sorted([*wishes, *blows], key=lambda action: action.at_ns))


def _wishes(stream: random.Random, streams: Streams, profile: Profile, until_ns: int) -> list[Action]:
    lots_left = _Lots(streams["lots"])
    wishes: list[Action] = []
    at_ns = NS_PER_S // 2
    while (at_ns := at_ns + int(stream.expovariate(profile.calls_per_s) * NS_PER_S)) < until_ns:
        kind = stream.random()
        symbol = stream.choice(SYMBOLS)
        side = Side.BUY if stream.random() * PPM < profile.buys_ppm else Side.SELL
        if kind < 0.55:
            lots = lots_left.take(symbol, side)
            if lots is not None:
                wishes.append(_place(stream, at_ns, symbol, side, lots))
            if stream.random() < BURST:
                is_two_sided = streams["burst"].random() < 0.5
                wishes += _burst(stream, at_ns, symbol, side, lots_left, is_two_sided=is_two_sided)
                if not is_two_sided:
                    wishes += _quotes_anew(streams["quotes"], at_ns + QUOTES_NS, symbol, side, lots_left)
            if stream.random() < HASTE:
                wishes.append(CancelAction(at_ns=at_ns + stream.randint(0, HASTE_NS), nth=-1))
        elif kind < 0.75:
            wishes.append(CancelAction(at_ns=at_ns, nth=stream.randint(-2, 4)))
        elif kind < 0.87:
            wishes.append(
                AmendAction(
                    at_ns=at_ns,
                    nth=stream.randrange(4),
                    by_lots=stream.randint(-60, 60),
                    by_ticks=stream.randint(-4, 4),
                )
            )
        elif kind < 0.996:
            lots = lots_left.take(symbol, side, of_signal=True)
            if lots is not None:
                wishes.append(_signal(stream, streams, profile, at_ns, len(wishes), symbol, side, lots))
        else:
            wishes.append(CancelEverything(at_ns=at_ns))
    return wishes


def _late(wish: Action, stream: random.Random) -> Action:
    if not isinstance(wish, PlaceAction) or stream.random() >= LAG:
        return wish
    return msgspec.structs.replace(wish, lag_ns=stream.randrange(LAG_NS))


def _burst(
    stream: random.Random, at_ns: int, symbol: str, side: Side, lots_left: _Lots, *, is_two_sided: bool
) -> list[Action]:
    """Many orders within a millisecond, on one side or in turns: the order rate and the limits are met at once."""
    burst: list[Action] = []
    for number in range(stream.randint(8, 25)):
        if is_two_sided:
            side = side.opposite
        lots = lots_left.take(symbol, side)
        if lots is not None:
            burst.append(_place(stream, at_ns + number * 40_000, symbol, side, lots))
    return burst


def _quotes_anew(stream: random.Random, at_ns: int, symbol: str, side: Side, lots_left: _Lots) -> list[Action]:
    """Each of some orders is taken away and another put in its place: a cancel that fails meets a limit already reached."""
    anew: list[Action] = []
    for number in range(QUOTES):
        lots = lots_left.take(symbol, side)
        if lots is not None:
            each_ns = at_ns + number * 2_000_000
            anew.append(CancelAction(at_ns=each_ns, nth=-1 - number))
            anew.append(_place(stream, each_ns + 40_000, symbol, side, lots))
    return anew


def _behind(stream: random.Random) -> int:
    """How far from the touch an order rests: near it mostly, and sometimes where nobody comes."""
    return stream.randint(-600, -150) if stream.random() < 0.35 else stream.randint(-25, 4)


def _place(stream: random.Random, at_ns: int, symbol: str, side: Side, lots: int) -> PlaceAction:
    order_type = stream.choice((OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT, *OrderType))
    rests = order_type in (OrderType.LIMIT, OrderType.POST_ONLY)
    return PlaceAction(
        at_ns=at_ns, symbol=symbol, side=side, order_type=order_type, lots=lots,
        offset_ticks=_behind(stream) if rests else stream.randint(-2, 15),
        is_reduce_only=stream.random() < 0.08,
    )  # fmt: skip


def _signal(
    stream: random.Random,
    streams: Streams,
    profile: Profile,
    at_ns: int,
    number: int,
    symbol: str,
    side: Side,
    lots: int,
) -> SignalAction:
    form = ""
    for name in ("signal.repeat", "signal.expired", "signal.forged", "signal.wild"):
        if streams["fault." + name].random() * PPM < profile.rates_ppm.get(name, 0):
            form = name
    return SignalAction(
        at_ns=at_ns, number=number, symbol=symbol, side=side, lots=lots, urgency=stream.randint(1, 10),
        offset_ticks=stream.randint(-5, 15), form=form,
    )  # fmt: skip
