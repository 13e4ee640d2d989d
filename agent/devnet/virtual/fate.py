"""Carries out the actions of a world: the wishes of its strategy and slow path, and what befalls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agent.core.events import orders as events
from agent.core.events.control import OperatorCommand
from agent.core.events.market import BookSnapshot, BookStale, SignalIn
from agent.core.instruments import OrderType, Side
from agent.devnet.virtual import actions as act
from agent.devnet.virtual.faults import PPM
from agent.devnet.virtual.link import NS_PER_MS
from agent.devnet.virtual.market import Market
from agent.devnet.virtual.profile import PRODUCER

if TYPE_CHECKING:
    from agent.devnet.virtual.world import World

NS_PER_S = 1_000_000_000
PULSE_NS = 200 * NS_PER_MS
"""A guard gives a sign of life so often."""
FLOOD = 40
"""Signals at once."""
STRATEGIES = tuple(f"strategy-{number}" for number in range(12))


class Fate:
    """Of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._signals: list[SignalIn] = []
        self._held: list[events.PlaceRequested] = []
        """Wishes of slow strategies, which wait until the session is live."""

    def carry_out(self, action: act.Action) -> None:
        if self._world.is_healed:
            return
        match action:
            case act.PlaceAction():
                self._wish(action)
            case act.CancelAction():
                order = self._world.oracles.nth_live(action.nth)
                if order is not None:
                    self._world.host.take(events.CancelRequested(order))
            case act.AmendAction():
                self._amend(action)
            case act.SignalAction():
                self._signal(action)
            case act.CancelEverything():
                self._world.host.take(OperatorCommand(action="cancel_all", reason="the workload wishes it"))
            case act.Blow():
                self._strike(action)

    def _wish(self, wish: act.PlaceAction) -> None:
        host = self._world.host
        if not host.is_running:
            return
        seen = self._world.oracles.seen_by(self._world.timeline.now_ns - wish.lag_ns)
        decision = self._world.ledger.decide(
            (wish.symbol, wish.side, wish.lots),
            run=0 if seen is None else seen.run,
            on_market_ns=None if seen is None else seen.monotonic_ns,
        )
        request = events.PlaceRequested(
            strategy=STRATEGIES[decision.number % len(STRATEGIES)],
            symbol=wish.symbol,
            side=wish.side,
            order_type=wish.order_type,
            lots=wish.lots,
            price_ticks=self._price(wish.symbol, wish.side, wish.offset_ticks, wish.order_type),
            is_reduce_only=wish.is_reduce_only,
            decided_seq=0 if seen is None else seen.seq,
        )
        if wish.lag_ns and host.started is not None and not host.started.is_live:
            self._held.append(request)
        else:
            host.take(request)

    def session_live(self) -> None:
        """The agent may trade (again): what slow strategies wished meanwhile comes now."""
        if self._held:
            self._world.reach("wish of an earlier session")
            self._world.schedule.at(self._world.timeline.now_ns, self._world.host.take, *self._held)
            self._held.clear()

    def _price(self, symbol: str, side: Side, offset_ticks: int, order_type: OrderType | None = None) -> int:
        market = self._world.markets[symbol]
        rests_behind = order_type is OrderType.POST_ONLY
        touch_ticks = market.touch_ticks(side.opposite if rests_behind else side)
        return touch_ticks + side.sign * (min(offset_ticks, 0) if rests_behind else offset_ticks)

    def _amend(self, wish: act.AmendAction) -> None:
        client_order_id = self._world.oracles.nth_live(wish.nth)
        order = self._world.ledger.orders.get(client_order_id or "")
        if order is not None and not order.is_for_signal:
            self._world.host.take(
                events.AmendRequested(
                    client_order_id=order.client_order_id, total_lots=max(1, order.total_lots + wish.by_lots),
                    price_ticks=order.price_ticks + wish.by_ticks,
                )
            )  # fmt: skip

    def _signal(self, wish: act.SignalAction) -> None:
        wall_ns = self._world.host.clock.wall_ns()
        seen = self._world.oracles.seen_by(self._world.timeline.now_ns)
        is_wild, is_expired = wish.form == "signal.wild", wish.form == "signal.expired"
        signal = SignalIn(
            signal_id=f"{wish.number:032x}", producer=PRODUCER, symbol=wish.symbol, side=wish.side,
            lots=-wish.lots if is_wild else wish.lots, limit_ticks=self._price(wish.symbol, wish.side, wish.offset_ticks),
            urgency=99 if is_wild else wish.urgency, valid_from_ns=wall_ns,
            expires_ns=wall_ns + (-1 if is_expired else 2 * NS_PER_S), max_slippage_ppm=5_000,
            input_seq=0 if seen is None else seen.seq, is_authentic=wish.form != "signal.forged",
        )  # fmt: skip
        self._signals.append(signal)
        if wish.form:
            self._world.count(wish.form)
        if wish.form in ("", "signal.repeat") and self._world.host.is_running:
            self._world.ledger.signal(wish.symbol, wish.side, wish.lots)
        self._world.host.take(signal)
        if wish.form == "signal.repeat":
            self._world.host.take(signal)

    def _strike(self, blow: act.Blow) -> None:
        now_ns, size_ppm = self._world.timeline.now_ns, blow.size_ppm
        market = list(self._world.markets.values())[size_ppm % len(self._world.markets)]
        self._world.count(blow.name)
        match blow.name:
            case "venue.restart":
                self._world.venue.end_session("restart", is_terminal=False)
                self._world.venue.is_up = False
                self._world.schedule.at(now_ns + size_ppm * 2_000, setattr, self._world.venue, "is_up", True)
            case "venue.bust":
                self._world.venue.bust()
            case "venue.phantom_fill":
                self._world.venue.phantom_fill()
            case "venue.ghost_login":
                self._world.venue.ghost_login()
            case "market.silence":
                self._world.quiet_until_ns[market.symbol] = now_ns + size_ppm * 4_000
            case "market.gap":
                self._world.host.take(BookStale(symbol=market.symbol, reason="gap"))
            case "market.crossed":
                self._cross(market)
            case "market.jump":
                market.mid_ticks += market.mid_ticks * (size_ppm - PPM // 2) // (PPM * 25)
            case "host.kill":
                self._world.host.kill("SIGKILL")
            case "host.power":
                self._world.host.lose_power()
            case "host.stall":
                self._world.host.stall(size_ppm * 3_000)
            case "host.clock_step":
                self._world.host.clock.step_wall((size_ppm - PPM // 2) * 7_200_000)
            case "host.drift":
                self._world.host.clock.drift_wall((size_ppm - PPM // 2) // 1_000)
            case "guard.silent":
                self._world.guard_silent_until_ns = now_ns + 2 * PULSE_NS + size_ppm * (400 if size_ppm % 4 else 2_000)
            case "guard.gone":
                self._world.guard.die()
            case "signal.flood":
                for number, signal in enumerate(self._signals[-1:] * FLOOD):
                    self._world.host.take(
                        msgspec.structs.replace(signal, signal_id=f"{now_ns + number:032x}", is_authentic=False)
                    )

    def _cross(self, market: Market) -> None:
        session = self._world.venue.session
        if session is not None:
            session.end.send(
                BookSnapshot(
                    symbol=market.symbol, book_seq=market.book_seq, bids=market.asks[:1], asks=market.bids[:1],
                    exchange_ns=self._world.host.clock.wall_ns(),
                )
            )  # fmt: skip
