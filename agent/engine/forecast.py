"""Where a pending transaction will leave the pools, from its calldata alone; and whether execution says the same.

A forecast takes microseconds where execution takes a round trip, so the search can begin on it. It decides nothing:
the target is executed all the same, and where the two differ by one unit the executed state counts and the
disagreement is counted and shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import islice

import msgspec

from agent.dex.events import PANCAKE_V3_SWAP, V2_SYNC, V3_SWAP
from agent.dex.pool import Log, Pool
from agent.dex.pool_set import PoolSet
from agent.dex.routers.plan import NotUnderstood, Why
from agent.dex.routers.play import Reverts, play, same_state
from agent.dex.routers.read import read_plan
from agent.dex.v2 import V2Pool
from agent.engine.execution import Execution, execution_of
from agent.eth.hexes import to_data
from agent.eth.transactions import Transaction
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv, Call, CallResult, Simulation
from agent.strategies.arb.opportunity import Opportunity

_MOVES = ((V2_SYNC,), (V3_SWAP,), (PANCAKE_V3_SWAP,))


class Forecast(msgspec.Struct, frozen=True):
    """The pools after the target, which of them it moves, and whether it goes through at all."""

    pools: PoolSet
    touched: frozenset[Address]
    is_success: bool
    hops: int = 0
    """Swaps of single pools that it asks for."""
    detail: str = ""
    """Why it reverts, where it does."""


def predict(pools: PoolSet, transaction: Transaction, env: BlockEnv) -> Forecast | NotUnderstood:
    """What the transaction does to `pools` in the block of `env`, were it the first there."""
    plan = read_plan(to=transaction.to, data=transaction.data, value_wei=transaction.value_wei)
    if isinstance(plan, NotUnderstood):
        return plan
    played = play(plan, pools)
    if isinstance(played, NotUnderstood):
        return played
    if isinstance(played, Reverts):
        return Forecast(pools, frozenset(), False, detail=played.detail)
    if plan.deadline_s is not None and plan.deadline_s < env.timestamp:
        return Forecast(pools, frozenset(), False, detail="the deadline is over")
    hops = sum(len(swap.path) - 1 for swap in plan.swaps)
    return Forecast(pools.with_pools(played.values()), frozenset(played), True, hops)


class Disagreement(StrEnum):
    """How execution differs from a forecast."""

    REVERTED = "reverted"
    """It reverts: the sender lacks tokens or an allowance, or the token says no."""
    WENT_THROUGH = "went_through"
    """It was expected to revert."""
    TAXED = "taxed"
    """Less arrived in a pair than was sent: the token keeps a share."""
    TRADES = "trades"
    """Pools move that nobody asked to move, or once more: a token that trades while it is sent."""
    STATE = "state"
    """The same pools, at another state."""


def disagreement(
    forecast: Forecast, *, before: PoolSet, logs: Sequence[Log], is_success: bool
) -> tuple[Disagreement, str] | None:
    """How what execution gave differs from the forecast, and where; None where they agree to the last unit."""
    if is_success is not forecast.is_success:
        return (Disagreement.WENT_THROUGH, forecast.detail) if is_success else (Disagreement.REVERTED, "")
    executed, touched = before.apply(logs)
    differing = sorted(
        address for address in touched | forecast.touched if not same_state(executed[address], forecast.pools[address])
    )
    if not differing:
        return None
    where = to_data(differing[0])
    if touched - forecast.touched or sum(log.topics[:1] in _MOVES for log in logs) > forecast.hops:
        return Disagreement.TRADES, where
    if any(_is_taxed(before[one], forecast.pools[one], executed[one]) for one in differing):
        return Disagreement.TAXED, where
    return Disagreement.STATE, where


def _is_taxed(before: Pool, expected: Pool, found: Pool) -> bool:
    if not (isinstance(before, V2Pool) and isinstance(expected, V2Pool) and isinstance(found, V2Pool)):
        return False
    if expected.reserve0 > before.reserve0:
        return before.reserve0 < found.reserve0 < expected.reserve0
    return before.reserve1 < found.reserve1 < expected.reserve1


MAX_AHEAD = 32
"""Opportunities of one target that are executed before it is known that the forecast holds."""
MAX_AHEAD_IN_ALL = 256
"""And of all targets of one batch: the rest wait for their targets, as they would without forecasts."""


class Ahead(msgspec.Struct, frozen=True):
    """What was searched on a forecast state, and how it executed behind the target, by opportunity id."""

    found: tuple[Opportunity, ...]
    calls: Mapping[str, tuple[Call, ...]]
    """What to execute along with the target."""
    measured: Mapping[str, Execution] = msgspec.field(default_factory=dict)
    was_searched: bool = True

    def within(self, room: int) -> Ahead:
        """With so many calls at most, the best first."""
        if len(self.calls) <= room:
            return self
        return Ahead(self.found, dict(islice(self.calls.items(), room)))

    def measured_as(self, simulations: Sequence[Simulation]) -> Ahead:
        """With what `calls` gave, in their order; what execution has no answer to is left to be asked again."""
        executions = (execution_of(simulation, position=1) for simulation in simulations)
        measured = {id_: execution for id_, execution in zip(self.calls, executions, strict=True) if execution.is_known}
        return Ahead(self.found, self.calls, measured)


NOTHING_AHEAD = Ahead((), {}, was_searched=False)
"""Of a target of which nothing is foretold."""


class ForecastCount(msgspec.Struct):
    """What became of the forecasts of a run."""

    decoded: int = 0
    not_understood: int = 0
    """Of those that call a router we know; what calls anything else is not counted."""
    agreed: int = 0
    disagreed: int = 0
    unknown: int = 0
    """Decoded, and execution gave no answer to compare with."""
    reasons: dict[str, int] = msgspec.field(default_factory=dict)
    """Disagreements by kind."""
    first: str = ""
    """The first disagreement, for the warning."""

    def judge(
        self,
        forecast: Forecast | NotUnderstood,
        transaction: Transaction,
        *,
        before: PoolSet,
        outcome: CallResult | None,
    ) -> bool:
        """Whether `outcome` (None: execution has no answer) is what was foretold; counts it either way."""
        if isinstance(forecast, NotUnderstood):
            self.not_understood += forecast.why is not Why.NO_ROUTER
            return False
        self.decoded += 1
        if outcome is None:
            self.unknown += 1
            return False
        differs = disagreement(forecast, before=before, logs=outcome.logs, is_success=outcome.is_success)
        if differs is None:
            self.agreed += 1
            return True
        kind, where = differs
        self.disagreed += 1
        self.reasons[kind] = self.reasons.get(kind, 0) + 1
        self.first = self.first or f"{to_data(transaction.hash)}: {kind} {where}".rstrip()
        return False

    def figures(self) -> dict[str, int]:
        """For the report."""
        return {
            "decoded": self.decoded,
            "not_understood": self.not_understood,
            "agreed": self.agreed,
            "disagreed": self.disagreed,
            "unknown": self.unknown,
        }

    def warning(self) -> str:
        """One line, or nothing to say."""
        if not self.disagreed:
            return ""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.reasons.items()))
        return (
            f"{self.disagreed} of {self.decoded} forecasts were not what execution gave ({kinds}); first {self.first}"
        )
