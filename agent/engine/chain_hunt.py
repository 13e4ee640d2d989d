"""Hunting on a chain that goes on: heads and pending transactions in, one slot after the other.

The driver of the world calls `on_header` for each new head, `on_pending` with what has arrived, and `close` when the
slot's time is up. The state is the head's; a target is executed on it first, and the logs it leaves give the pools as
they are behind it. Where its calldata foretells them, the search does not wait for that (`agent.engine.forecast`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from agent.chain.headers import Header
from agent.chain.pending import PendingTransaction
from agent.core.events.chain import ChainFacts, HeadSeen
from agent.dex.pool import StateName
from agent.dex.routers.plan import NotUnderstood
from agent.engine.chain_view import ChainView
from agent.engine.forecast import MAX_AHEAD_IN_ALL, NOTHING_AHEAD, Ahead, Forecast, predict
from agent.engine.hunter import Hunter
from agent.engine.tracked import Target, Tracked
from agent.eth.fees import next_base_fee
from agent.eth.hexes import to_data
from agent.eth.transactions import Transaction, TransactionError
from agent.eth.units import SLOT_S, Gas, Wei
from agent.sim.simulator import BlockEnv, Call, Simulation, Simulator, call_from_transaction


def next_env(header: Header) -> BlockEnv:
    """The block after `header`: number, time and base fee exactly, the rest as in its parent."""
    return BlockEnv(
        number=header.number + 1,
        timestamp=header.timestamp + SLOT_S,
        base_fee_wei=next_base_fee(
            Wei(header.base_fee_wei), gas_used=Gas(header.gas_used), gas_limit=Gas(header.gas_limit)
        ),
        fee_recipient=header.fee_recipient,
        gas_limit=header.gas_limit,
        prev_randao=int.from_bytes(header.prev_randao, "big") or int.from_bytes(header.hash, "big"),
    )


class ChainHunt:
    """One hunter on one chain view."""

    def __init__(
        self,
        hunter: Hunter,
        view: ChainView,
        simulator: Simulator,
        facts: Callable[[Header], Awaitable[ChainFacts]],
        *,
        is_dated: bool = False,
    ) -> None:
        """`facts` reads what must be known beside a head before anything is sent on it.

        `is_dated`: the chain's time is the present; a local world has a time of its own.
        """
        self._facts = facts
        self._is_dated = is_dated
        self.hunter = hunter
        self.view = view
        self._simulator = simulator
        self.malformed = 0
        """Pending transactions that no signature or encoding explains."""

    async def on_header(self, header: Header) -> None:
        """Search the new head. The view must stand on it."""
        assert header.hash == self.view.header.hash, "the view follows before the hunt"
        self.hunter.on_head(
            HeadSeen(
                number=header.number,
                block_hash=to_data(header.hash),
                parent_hash=to_data(header.parent_hash),
                timestamp_s=header.timestamp,
                next_base_fee_wei=next_env(header).base_fee_wei,
            ),
            next_env(header),
            await self._facts(header),
            is_dated=self._is_dated,
        )
        await self.hunter.on_moment(
            self.view.pools, before=None, touched=None, state=StateName(header.hash, None), target=None
        )

    async def on_pending(self, arrived: Sequence[PendingTransaction]) -> None:
        """Execute each alone on the head, and search what it moves.

        What calldata foretells is searched before: what is found there is executed behind its target in the same
        batch, and counts where the target leaves the pools as foretold.
        """
        env = next_env(self.view.header)
        payable = [decoded for pending in arrived if (decoded := self._payable(pending, env.base_fee_wei)) is not None]
        calls = [call_from_transaction(transaction) for transaction in payable]
        ahead = self._look_ahead(payable, calls, env)
        batch: list[tuple[Call, ...]] = [(call,) for call in calls]
        batch += [sequence for _, early in ahead for sequence in early.calls.values()]
        simulations = await self._simulator.simulate(batch, env)
        later = iter(simulations[len(calls) :])
        for transaction, call, simulation, (forecast, early) in zip(payable, calls, simulations, ahead, strict=False):
            behind = [next(later) for _ in early.calls]
            is_foretold = self._compare(forecast, transaction, simulation)
            if not simulation.is_known or not simulation.calls or not simulation.calls[0].is_success:
                continue
            pools, touched = self.view.pools.apply(simulation.calls[0].logs)
            if touched:
                await self.hunter.on_moment(
                    pools,
                    before=self.view.pools,
                    touched=touched,
                    state=StateName(self.view.header.hash, None),
                    target=Target(transaction.hash, transaction.raw, None, (call,)),
                    ahead=early.measured_as(behind) if is_foretold and early.was_searched else None,
                )

    def _look_ahead(
        self, transactions: Sequence[Transaction], calls: Sequence[Call], env: BlockEnv
    ) -> list[tuple[Forecast | NotUnderstood, Ahead]]:
        before = self.view.pools
        room = MAX_AHEAD_IN_ALL
        result: list[tuple[Forecast | NotUnderstood, Ahead]] = []
        for transaction, call in zip(transactions, calls, strict=True):
            forecast, early = predict(before, transaction, env), NOTHING_AHEAD
            if isinstance(forecast, Forecast) and forecast.touched:
                early = self.hunter.look_ahead(
                    forecast.pools,
                    before=before,
                    touched=forecast.touched,
                    state=StateName(self.view.header.hash, None),
                    target=Target(transaction.hash, transaction.raw, None, (call,)),
                ).within(room)
                room -= len(early.calls)
            result.append((forecast, early))
        return result

    def _compare(self, forecast: Forecast | NotUnderstood, transaction: Transaction, simulation: Simulation) -> bool:
        """Whether execution gave what was foretold; counts either."""
        outcome = simulation.calls[0] if simulation.is_known and simulation.calls else None
        return self.hunter.forecasts.judge(forecast, transaction, before=self.view.pools, outcome=outcome)

    async def close(self) -> list[Tracked]:
        """The slot is over: select, sign, send."""
        return await self.hunter.close_slot()

    def _payable(self, pending: PendingTransaction, base_fee_wei: int) -> Transaction | None:
        """The transaction, if it can pay the next block; its signature and its hash are those of its fields."""
        try:
            transaction = pending.transaction()
            if transaction.max_fee_wei < base_fee_wei:
                return None
            _ = transaction.sender, transaction.raw  # raise here what a lying node would have raised later
        except TransactionError:
            self.malformed += 1
            return None
        return transaction
