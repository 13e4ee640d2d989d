"""The pre-trade checks in the form they have before a bundle; the first that fails is the reason.

Theory of operation. The rows are those of `checks`, read for a chain. A session is a fresh head of the right chain with
the executor's own code on it; the grid is calldata that decodes to the plan that was executed; stale data is a state
that is not the head's; a price collar is a quote that execution meets to the wei. A bundle holds no position after it,
so all that is at risk is gas: at the fee cap, of every bundle that may still land.

Nothing here reduces a position, so no bundle passes for being a reducing one. An order with a direction is refused
outright: it would need inventory, which the executor must not hold, since whatever it holds a defect could spend.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.core.codes import Code
from agent.core.events.orders import PlaceRequested
from agent.core.risk.modes import Level, Mode
from agent.core.risk.profiles import PPM

Refusal = tuple[Code, str]

_MODES = {
    Level.PAUSED: Code.PAUSED,
    Level.REDUCE_ONLY: Code.REDUCE_ONLY,
    Level.HALTED: Code.HALTED,
    Level.KILLED: Code.KILLED,
}


class ChainLimits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What bundles are measured by. Amounts in wei."""

    chain_id: int
    executor_code_hash: str
    slot_ns: int
    max_exposure_wei: int
    """Worst gas of all live bundles, and inventory."""
    max_gas_wei_per_day: int
    max_bundles_per_block: int
    max_guard_age_ns: int = 250_000_000


class EndpointRate(msgspec.Struct, frozen=True, gc=False):
    """What an endpoint was sent in this slot, of what it takes."""

    name: str
    sent: int
    limit: int


class ChainCheckView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that is known when a bundle is judged. None is not known, and denies."""

    limits: ChainLimits
    now_ns: int
    is_latched: bool
    guard_age_ns: int | None
    mode: Mode

    head_age_ns: int | None
    """Since the head's slot began."""
    chain_id: int | None
    executor_code_hash: str | None
    is_synced: bool
    chain_nonce: int | None
    ledger_nonce: int
    journal_problem: str

    quarantined_pools: tuple[str, ...]
    is_plan: bool
    """The calldata that would be signed decodes to the plan that was executed."""
    verdict: str
    """Empty, or the code of what execution showed of a token or pool on the route."""

    state_hash: str
    head_hash: str
    head_number: int
    target_number: int
    is_target_pending: bool
    """The transaction it runs behind is still pending; True where it runs behind none."""
    missing_slots: int | None
    cutoff_ns: int | None
    """From here on nothing that is sent is in time for the block."""
    live_twin: str
    """A live bundle that takes the same pools behind the same target, or empty."""

    quoted_amount: int
    executed_amount: int
    base_fee_wei: int
    """What it was priced with."""
    fee_cap_wei: int
    least_base_fee_wei: int
    most_base_fee_wei: int
    """The target block's base fee lies within; for the block after the head the two are one."""

    worst_gas_wei: int
    """Gas limit at the fee cap."""
    live_worst_gas_wei: int
    inventory_wei: int
    operator_balance_wei: int
    day_loss_wei: int
    max_day_loss_wei: int
    """What a day may lose, live bundles at their worst."""
    gas_paid_today_wei: int
    live_bundles: int
    endpoints: tuple[EndpointRate, ...]


def check_bundle(view: ChainCheckView) -> Refusal | None:
    """The first reason against the bundle, or None."""
    for row in CHAIN_CHECKS:
        refusal = row(view)
        if refusal is not None:
            return refusal
    return None


def refuse_directional(order: PlaceRequested) -> Refusal:
    """An order that buys or sells on chain is refused, whatever its type."""
    return Code.NO_INVENTORY, f"{order.order_type} {order.side} {order.symbol}"


def open_endpoints(view: ChainCheckView) -> tuple[str, ...]:
    """The endpoints that may still be sent one in this slot."""
    return tuple(endpoint.name for endpoint in view.endpoints if endpoint.sent < endpoint.limit)


def _alive(view: ChainCheckView) -> Refusal | None:
    """1. No latch, and a guard that lives."""
    if view.is_latched:
        return Code.KILLED, "latched"
    if view.guard_age_ns is None or view.guard_age_ns > view.limits.max_guard_age_ns:
        return Code.GUARD_LOST, f"pulse {view.guard_age_ns} ns old of {view.limits.max_guard_age_ns}"
    return None


def _mode(view: ChainCheckView) -> Refusal | None:
    """2. What the breakers let out. Orders that may only rest concern no bundle: it takes at a proved price."""
    level = view.mode.refuses(is_taker=False, is_reducing=False)
    return None if level is None else (_MODES[level], view.mode.words)


def _chain(view: ChainCheckView) -> Refusal | None:
    """3. A fresh head of the right chain, the executor's own code, a node in step, and nonces that agree."""
    limits = view.limits
    if view.head_age_ns is None or 2 * view.head_age_ns > 3 * limits.slot_ns:
        return Code.HEAD_OLD, f"{view.head_age_ns} ns old, a slot is {limits.slot_ns}"
    if view.chain_id != limits.chain_id:
        return Code.WRONG_CHAIN, f"{view.chain_id} for {limits.chain_id}"
    if view.executor_code_hash != limits.executor_code_hash:
        return Code.EXECUTOR_CHANGED, f"{view.executor_code_hash}"
    if not view.is_synced:
        return Code.NODE_SYNCING, f"at {view.head_number}"
    if view.chain_nonce != view.ledger_nonce:
        return Code.NONCE_DISAGREES, f"{view.chain_nonce} on chain, {view.ledger_nonce} in the ledger"
    return None


def _journal(view: ChainCheckView) -> Refusal | None:
    """4. A journal that can take it."""
    return (Code.JOURNAL_UNHEALTHY, view.journal_problem) if view.journal_problem else None


def _pools(view: ChainCheckView) -> Refusal | None:
    """5. No pool that was set aside."""
    return (Code.POOL_QUARANTINED, min(view.quarantined_pools)) if view.quarantined_pools else None


def _plan(view: ChainCheckView) -> Refusal | None:
    """7. Calldata that is the plan, plain tokens, proved pools."""
    if not view.is_plan:
        return Code.CALLDATA_DIFFERS, "calldata"
    if view.verdict:
        return Code(view.verdict), "seen in execution"
    return None


def _state(view: ChainCheckView) -> Refusal | None:
    """8. The state it was found on is the head's, its target is still pending, nothing of it is unknown."""
    if view.state_hash != view.head_hash:
        return Code.STALE_STATE, f"found at {view.state_hash}"
    if not view.is_target_pending:
        return Code.TARGET_GONE, "not pending"
    if view.missing_slots != 0:
        return Code.UNKNOWN_STATE, f"{view.missing_slots} slots missing"
    return None


def _time(view: ChainCheckView) -> Refusal | None:
    """9. A block that is still to come, and time to reach it."""
    if view.target_number <= view.head_number:
        return Code.TARGET_PASSED, f"block {view.target_number}, head {view.head_number}"
    if view.cutoff_ns is None or view.now_ns >= view.cutoff_ns:
        return Code.CUTOFF_PASSED, f"cut-off {view.cutoff_ns}, now {view.now_ns} ns"
    return None


def _duplicate(view: ChainCheckView) -> Refusal | None:
    """10. No live bundle that does the same."""
    return (Code.DUPLICATE_BUNDLE, view.live_twin) if view.live_twin else None


def _collar(view: ChainCheckView) -> Refusal | None:
    """11. Execution pays what was quoted, at a base fee that the block can have and the cap covers."""
    if view.executed_amount != view.quoted_amount:
        return Code.SIM_MISMATCH, f"quoted {view.quoted_amount}, executed {view.executed_amount}"
    if not view.least_base_fee_wei <= view.base_fee_wei <= view.most_base_fee_wei <= view.fee_cap_wei:
        bound = f"{view.least_base_fee_wei} to {view.most_base_fee_wei}, cap {view.fee_cap_wei} wei"
        return Code.BASE_FEE_BOUND, f"priced with {view.base_fee_wei} of {bound}"
    return None


def _exposure(view: ChainCheckView) -> Refusal | None:
    """12 to 15. What every live bundle and this one can cost, less allowed after a drawdown."""
    at_risk_wei = view.live_worst_gas_wei + view.worst_gas_wei + view.inventory_wei
    if at_risk_wei * PPM > view.limits.max_exposure_wei * view.mode.size_ppm:
        allowed = f"{view.limits.max_exposure_wei} wei, of which {view.mode.size_ppm} ppm"
        return Code.EXPOSURE, f"{at_risk_wei} of {allowed}"
    return None


def _funds(view: ChainCheckView) -> Refusal | None:
    """16. An operator that can pay all of it."""
    needed_wei = view.live_worst_gas_wei + view.worst_gas_wei
    if needed_wei > view.operator_balance_wei:
        return Code.INSUFFICIENT_FUNDS, f"{needed_wei} of {view.operator_balance_wei} wei"
    return None


def _loss_budget(view: ChainCheckView) -> Refusal | None:
    """17. The day's loss with what may still be lost. A day's profit widens nothing."""
    at_stake_wei = max(0, view.day_loss_wei) + view.live_worst_gas_wei + view.worst_gas_wei
    if at_stake_wei > view.max_day_loss_wei:
        return Code.LOSS_BUDGET, f"{at_stake_wei} of {view.max_day_loss_wei} wei"
    return None


def _day(view: ChainCheckView) -> Refusal | None:
    """19. The day's gas."""
    gas_wei = view.gas_paid_today_wei + view.live_worst_gas_wei + view.worst_gas_wei
    if gas_wei > view.limits.max_gas_wei_per_day:
        return Code.GAS_BUDGET, f"{gas_wei} of {view.limits.max_gas_wei_per_day} wei"
    return None


def _rate(view: ChainCheckView) -> Refusal | None:
    """21. Bundles of the slot, and an endpoint that takes one more. Nothing queues for a block that will not wait."""
    if view.live_bundles >= view.limits.max_bundles_per_block:
        return Code.RATE, f"{view.live_bundles} of {view.limits.max_bundles_per_block} bundles"
    return None if open_endpoints(view) else (Code.RATE, f"{len(view.endpoints)} endpoints, none takes more")


CHAIN_CHECKS: tuple[Callable[[ChainCheckView], Refusal | None], ...] = (
    _alive,
    _mode,
    _chain,
    _journal,
    _pools,
    _plan,
    _state,
    _time,
    _duplicate,
    _collar,
    _exposure,
    _funds,
    _loss_budget,
    _day,
    _rate,
)
