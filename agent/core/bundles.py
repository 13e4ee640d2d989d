"""The on-chain half of the core: from what was found to a bundle, and to its end.

Theory of operation. An opportunity passes twice. As *found* it meets the cheap checks (halted, state is the head's,
improved by its target, some profit) and either goes to execution or is dropped. As *executed* it meets the real ones:
the outcome is known, the execution pays what the quote said to the wei, gas and the minimum are covered. What passes
is held until the selection of its block; the chosen meet the limits that concern all live bundles together (rate,
exposure, the day's gas) and are submitted. A bundle is charged with its worst gas from `Submit` until `BundleEnded`.

Time is the chain's: a day is a UTC day of head timestamps. The same events give the same effects.
"""

from __future__ import annotations

import msgspec

from agent.core.codes import Code
from agent.core.effects import Effect
from agent.core.effects.chain import Cancel, Drop, Execute, Hold, Submit
from agent.core.errors import ContradictoryEvent
from agent.core.events.chain import (
    BundleEnded,
    CandidateExecuted,
    ChainEvent,
    HeadSeen,
    OpportunityFound,
    SelectionMade,
    Superseded,
    TargetGone,
)
from agent.core.limits import MAX_OPEN_IDS, RiskLimits
from agent.core.standing import Standing

SECONDS_PER_DAY = 86_400


class KnownOpportunity(msgspec.Struct):
    """What the core remembers of one opportunity while its block can still be aimed at."""

    found: OpportunityFound
    executed: CandidateExecuted | None = None
    is_held: bool = False
    is_live: bool = False


class BundlesState(msgspec.Struct):
    """All that the desk knows, as plain data."""

    head: HeadSeen | None = None
    open: dict[str, KnownOpportunity] = {}
    quarantined: dict[str, None] = {}
    """Pools, in the order in which they were set aside."""
    day: int = 0
    gas_paid_today_wei: int = 0


class BundleDesk:
    """Decides what may be done with an opportunity. Holds no clock, no randomness and no I/O."""

    __slots__ = ("_limits", "_standing", "state")

    def __init__(self, limits: RiskLimits, standing: Standing, state: BundlesState | None = None) -> None:
        self._limits = limits
        self._standing = standing
        self.state = state if state is not None else BundlesState()

    @property
    def exposure_wei(self) -> int:
        """Worst gas of all live bundles."""
        return sum(
            entry.executed.gas_limit_cost_wei for entry in self.state.open.values() if entry.is_live and entry.executed
        )

    def step(self, event: ChainEvent) -> tuple[Effect, ...]:
        """The effects of one event. Raises ContradictoryEvent on a defect of the shell."""
        match event:
            case OpportunityFound():
                return self._on_found(event)
            case CandidateExecuted():
                return self._on_executed(event)
            case SelectionMade():
                return self._on_selected(event)
            case BundleEnded():
                return self._on_ended(event)
            case HeadSeen():
                return self._on_head(event)
            case TargetGone():
                return self._on_target_gone(event)
            case Superseded():
                return self._on_superseded(event)

    def _on_head(self, head: HeadSeen) -> tuple[Effect, ...]:
        self.state.head = head
        day = head.timestamp_s // SECONDS_PER_DAY
        if day != self.state.day:
            self.state.day = day
            self.state.gas_paid_today_wei = 0
        # What was found on another head is no figure of this one, its sibling at the same height included.
        self.state.open = {
            id_: entry
            for id_, entry in self.state.open.items()
            if entry.is_live or entry.found.head_hash == head.block_hash
        }
        return ()

    def _on_found(self, found: OpportunityFound) -> tuple[Effect, ...]:
        refusal = self._refuse_found(found)
        if refusal is not None:
            return (Drop(found.id, *refusal),)
        self.state.open[found.id] = KnownOpportunity(found)
        return (Execute(found.id),)

    def _refuse_found(self, found: OpportunityFound) -> tuple[Code, str] | None:
        if self._standing.is_halted:
            return Code.HALTED, f"by {self._standing.halted_by}"
        if self.state.head is None or found.head_hash != self.state.head.block_hash:
            return Code.STALE_STATE, f"found at {found.head_hash}"
        if self._is_open(found):
            return Code.DUPLICATE, f"{len(self.state.open)} open"
        if len(self.state.open) >= MAX_OPEN_IDS:
            return Code.TABLE_FULL, f"{len(self.state.open)} open"
        quarantined = [pool for pool in found.pools if pool in self.state.quarantined]
        if quarantined:
            return Code.POOL_QUARANTINED, min(quarantined)
        if found.gross_amount <= 0:
            return Code.NO_PROFIT, f"gross {found.gross_amount}"
        if found.gross_amount <= found.before_amount and not found.is_asked:
            return Code.NOT_IMPROVED, f"gross {found.gross_amount}, before the target {found.before_amount}"
        return None

    def _is_open(self, found: OpportunityFound) -> bool:
        """Decided or under way already. What was found on a sibling of this head is another moment, and void."""
        entry = self.state.open.get(found.id)
        return entry is not None and (entry.is_live or entry.found.head_hash == found.head_hash)

    def _on_executed(self, executed: CandidateExecuted) -> tuple[Effect, ...]:
        entry = self.state.open.get(executed.id)
        if entry is None:
            return (Drop(executed.id, Code.STALE_STATE, f"executed at {executed.head_hash}"),)
        entry.executed = executed
        entry.is_held = False  # executed again, at another place among ours: the first verdict is void
        refusal = self._refuse_executed(executed)
        if refusal is not None:
            code, detail = refusal
            if code is Code.SIM_MISMATCH:
                self.state.quarantined.update(dict.fromkeys(entry.found.pools))
            return (Drop(executed.id, code, detail),)
        entry.is_held = True
        assert executed.value_wei is not None
        return (Hold(executed.id, executed.value_wei - executed.gas_cost_wei - executed.bid_wei),)

    def _refuse_executed(self, executed: CandidateExecuted) -> tuple[Code, str] | None:
        if self._standing.is_halted:
            return Code.HALTED, f"by {self._standing.halted_by}"
        if executed.refused:
            return Code.SIM_REFUSED, executed.refused
        if executed.missing:
            return Code.UNKNOWN_STATE, f"{executed.missing} slots missing"
        if executed.verdict:
            return Code(executed.verdict), executed.verdict_detail
        if not executed.is_success:
            return Code.REVERTS, f"quoted {executed.quoted_amount}"
        if executed.executed_amount != executed.quoted_amount:
            return Code.SIM_MISMATCH, f"quoted {executed.quoted_amount}, executed {executed.executed_amount}"
        if executed.value_wei is None:
            return Code.NO_PRICE, f"gross {executed.executed_amount}"
        if executed.value_wei <= executed.gas_cost_wei:
            return Code.BELOW_GAS, f"value {executed.value_wei}, gas {executed.gas_cost_wei} wei"
        net_wei = executed.value_wei - executed.gas_cost_wei - executed.bid_wei
        if net_wei < self._limits.min_net_wei or not executed.has_terms:
            return Code.BELOW_MIN_NET, f"net {net_wei} of at least {self._limits.min_net_wei} wei"
        return None

    def _on_selected(self, selection: SelectionMade) -> tuple[Effect, ...]:
        effects: list[Effect] = [Drop(id_, Code.CONFLICT, f"with {winner}") for id_, winner in selection.losers]
        live = sum(entry.is_live for entry in self.state.open.values())
        exposure_wei = self.exposure_wei
        for id_ in selection.chosen:
            entry = self._entry(id_)
            executed = entry.executed
            if executed is None or not entry.is_held:
                raise ContradictoryEvent(f"{id_} was selected without having passed")
            at_risk_wei = exposure_wei + executed.gas_limit_cost_wei
            if self._standing.is_halted:
                effects.append(Drop(id_, Code.HALTED, f"by {self._standing.halted_by}"))
            elif live >= self._limits.max_bundles_per_block:
                effects.append(Drop(id_, Code.RATE, f"{live} of {self._limits.max_bundles_per_block} bundles"))
            elif at_risk_wei > self._limits.max_exposure_wei:
                effects.append(Drop(id_, Code.EXPOSURE, f"{at_risk_wei} of {self._limits.max_exposure_wei} wei"))
            elif self.state.gas_paid_today_wei + at_risk_wei > self._limits.max_gas_wei_per_day:
                spent = f"{self.state.gas_paid_today_wei} paid and {at_risk_wei} at risk"
                effects.append(Drop(id_, Code.GAS_BUDGET, f"{spent} of {self._limits.max_gas_wei_per_day} wei"))
            else:
                entry.is_live = True
                live += 1
                exposure_wei = at_risk_wei
                effects.append(Submit(id_, selection.target_number))
        return tuple(effects)

    def _on_ended(self, ended: BundleEnded) -> tuple[Effect, ...]:
        entry = self._entry(ended.id)
        if not entry.is_live:
            raise ContradictoryEvent(f"{ended.id} ended without being live")
        entry.is_live = False
        self.state.gas_paid_today_wei += ended.gas_paid_wei
        return ()

    def _on_target_gone(self, gone: TargetGone) -> tuple[Effect, ...]:
        effects: list[Effect] = []
        for id_, entry in self.state.open.items():
            if entry.found.target_transaction != gone.target_transaction:
                continue
            if entry.is_live:
                effects.append(Cancel(id_, "its target is gone"))
            elif entry.is_held:
                entry.is_held = False
                effects.append(Drop(id_, Code.TARGET_GONE, gone.target_transaction))
        return tuple(effects)

    def _on_superseded(self, superseded: Superseded) -> tuple[Effect, ...]:
        if not self._entry(superseded.id).is_live:
            raise ContradictoryEvent(f"{superseded.id} was superseded without being live")
        return (Cancel(superseded.id, f"superseded by {superseded.by}"),)

    def _entry(self, id_: str) -> KnownOpportunity:
        entry = self.state.open.get(id_)
        if entry is None:
            raise ContradictoryEvent(f"nothing is known of {id_}")
        return entry

    def halt(self) -> tuple[Effect, ...]:
        """Everything was halted: what lives is withdrawn."""
        return tuple(Cancel(id_, "halted") for id_, entry in self.state.open.items() if entry.is_live)
