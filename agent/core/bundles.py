"""The on-chain half of the core: from what was found to a bundle, and to its end.

Theory of operation. An opportunity passes twice. As *found* it meets the cheap checks (halted, state is the head's,
improved by its target, some profit) and either goes to execution or is dropped. As *executed* it meets the real ones:
the outcome is known, the execution pays what the quote said to the wei, gas and the minimum are covered. What passes
is held until the selection of its block; the chosen meet the pre-trade checks in their form for a chain, one after the
other, each with those before it at risk, and are submitted. A bundle is charged with its worst gas from `Submit` until
`BundleEnded`.

Time is the chain's: a day is a UTC day of head timestamps. The same events give the same effects.
"""

from __future__ import annotations

import msgspec

from agent.core.accounts.holdings import Holdings
from agent.core.codes import Code
from agent.core.effects import Effect
from agent.core.effects.chain import Cancel, Drop, Execute, Hold, Submit
from agent.core.errors import ContradictoryEvent
from agent.core.events import Stamp
from agent.core.events.chain import (
    BundleEnded,
    CandidateExecuted,
    ChainEvent,
    ChainFacts,
    HeadSeen,
    OpportunityFound,
    SelectionMade,
    Superseded,
    TargetGone,
)
from agent.core.limits import MAX_OPEN_IDS, RiskLimits
from agent.core.risk.breakers.aggregate import Breakers
from agent.core.risk.chain_checks import ChainCheckView, ChainLimits, EndpointRate, check_bundle
from agent.core.risk.profiles import PROFILES
from agent.core.standing import Standing

SECONDS_PER_DAY = 86_400
SLOT_NS = 12_000_000_000
NO_LIMIT_WEI = 1 << 128


class KnownOpportunity(msgspec.Struct):
    """What the core remembers of one opportunity while its block can still be aimed at."""

    found: OpportunityFound
    executed: CandidateExecuted | None = None
    is_held: bool = False
    is_live: bool = False


class BundlesState(msgspec.Struct, kw_only=True):
    """All that the desk knows, as plain data."""

    head: HeadSeen | None = None
    open: dict[str, KnownOpportunity] = {}
    quarantined: dict[str, None] = {}
    """Pools, in the order in which they were set aside."""
    facts: ChainFacts | None = None
    breakers: Breakers
    holdings: Holdings = msgspec.field(default_factory=Holdings)
    day: int = 0
    gas_paid_today_wei: int = 0
    sent_in_slot: int = 0
    """Bundles that were sent since the present head came."""


class BundleDesk:
    """Decides what may be done with an opportunity. Holds no clock, no randomness and no I/O."""

    __slots__ = ("_chain_limits", "_limits", "_standing", "state")

    def __init__(self, limits: RiskLimits, standing: Standing, state: BundlesState | None = None) -> None:
        self._limits = limits
        self._standing = standing
        self.state = state if state is not None else BundlesState(breakers=Breakers(profile=PROFILES[limits.profile]))
        self._chain_limits = ChainLimits(
            chain_id=limits.chain_id,
            executor_code_hash=limits.executor_code_hash,
            slot_ns=SLOT_NS,
            max_exposure_wei=limits.max_exposure_wei,
            max_gas_wei_per_day=limits.max_gas_wei_per_day,
            max_bundles_per_block=limits.max_bundles_per_block,
            max_guard_age_ns=limits.max_guard_age_ms * 1_000_000,
        )

    @property
    def exposure_wei(self) -> int:
        """Worst gas of all live bundles."""
        return sum(
            entry.executed.gas_limit_cost_wei for entry in self.state.open.values() if entry.is_live and entry.executed
        )

    def step(self, event: ChainEvent, stamp: Stamp) -> tuple[Effect, ...]:
        """The effects of one event. Raises ContradictoryEvent on a defect of the shell."""
        match event:
            case OpportunityFound():
                return self._on_found(event)
            case CandidateExecuted():
                return self._on_executed(event)
            case SelectionMade():
                return self._on_selected(event, stamp)
            case BundleEnded():
                return self._on_ended(event, stamp)
            case HeadSeen():
                return self._on_head(event)
            case ChainFacts():
                return self._on_facts(event, stamp)
            case TargetGone():
                return self._on_target_gone(event)
            case Superseded():
                return self._on_superseded(event)

    def _on_head(self, head: HeadSeen) -> tuple[Effect, ...]:
        self.state.head = head
        self.state.sent_in_slot = 0
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

    def _on_facts(self, facts: ChainFacts, stamp: Stamp) -> tuple[Effect, ...]:
        """What is believed of the chain was looked up; what the account is worth goes to the breakers."""
        self.state.facts = facts
        breakers = self.state.breakers
        was_halted = breakers.is_halted
        effects: tuple[Effect, ...] = breakers.on_time(stamp)
        if facts.holdings:
            valued = self.state.holdings.value(facts.holdings, breakers.day_loss.nav_atoms or 0)
            if valued.deposit_wei:
                breakers.on_flow(valued.deposit_wei, stamp)
            effects += valued.alarms + breakers.on_nav(valued.valuation, stamp)
        return effects if was_halted or not breakers.is_halted else effects + self.halt()

    def _on_selected(self, selection: SelectionMade, stamp: Stamp) -> tuple[Effect, ...]:
        effects: list[Effect] = [Drop(id_, Code.CONFLICT, f"with {winner}") for id_, winner in selection.losers]
        replaced = dict(selection.replaces)
        for id_ in selection.chosen:
            entry = self._entry(id_)
            if entry.executed is None or not entry.is_held:
                raise ContradictoryEvent(f"{id_} was selected without having passed")
            if self._standing.is_halted:
                effects.append(Drop(id_, Code.HALTED, f"by {self._standing.halted_by}"))
                continue
            refusal = check_bundle(self._view(entry, entry.executed, selection, replaced.get(id_), stamp))
            if refusal is not None:
                effects.append(Drop(id_, *refusal))
                continue
            entry.is_live = True
            self.state.sent_in_slot += 1
            effects.append(Submit(id_, selection.target_number))
        return tuple(effects)

    def _view(
        self,
        entry: KnownOpportunity,
        executed: CandidateExecuted,
        selection: SelectionMade,
        replaced: str | None,
        stamp: Stamp,
    ) -> ChainCheckView:
        """All that is known of a bundle that is to be sent."""
        state, standing, found = self.state, self._standing, entry.found
        head, facts = state.head, state.facts
        if head is None or facts is None or facts.head_hash != head.block_hash:
            facts = None
        live = [other for other in state.open.values() if other.is_live]
        twins = (
            other.found.id
            for other in live
            if other.found.target_transaction == found.target_transaction
            and set(other.found.pools) == set(found.pools)
            and other.found.id != replaced
        )
        base_fee_wei = 0 if head is None else head.next_base_fee_wei
        return ChainCheckView(
            limits=self._chain_limits,
            now_ns=stamp.monotonic_ns,
            is_latched=standing.is_halted,
            guard_age_ns=standing.guard_age_ns(stamp.monotonic_ns),
            mode=state.breakers.mode().joined(standing.mode),
            head_age_ns=None if facts is None else facts.head_age_ns,
            chain_id=None if facts is None else facts.chain_id,
            executor_code_hash=None if facts is None else facts.executor_code_hash,
            is_synced=facts is not None and facts.is_synced,
            chain_nonce=None if facts is None else facts.chain_nonces,
            ledger_nonce=0 if facts is None else facts.ledger_nonces,
            journal_problem=standing.journal_problem,
            quarantined_pools=tuple(pool for pool in found.pools if pool in state.quarantined),
            is_plan=executed.is_plan,
            verdict=executed.verdict,
            state_hash=found.head_hash,
            head_hash="" if head is None else head.block_hash,
            head_number=0 if head is None else head.number,
            target_number=selection.target_number,
            is_target_pending=True,  # one whose target is gone is not held any more
            missing_slots=executed.missing,
            cutoff_ns=None if facts is None else facts.cutoff_ns,
            live_twin=next(twins, ""),
            quoted_amount=executed.quoted_amount,
            executed_amount=executed.executed_amount,
            base_fee_wei=executed.base_fee_wei,
            fee_cap_wei=executed.fee_cap_wei,
            least_base_fee_wei=base_fee_wei,
            most_base_fee_wei=base_fee_wei,
            worst_gas_wei=executed.gas_limit_cost_wei,
            live_worst_gas_wei=self.exposure_wei,
            inventory_wei=0,
            operator_balance_wei=0 if facts is None or facts.operators_wei is None else facts.operators_wei,
            day_loss_wei=state.breakers.loss_today_atoms,
            max_day_loss_wei=self._max_day_loss_wei(facts),
            gas_paid_today_wei=state.gas_paid_today_wei,
            live_bundles=len(live),
            endpoints=()
            if facts is None
            else tuple(EndpointRate(name, state.sent_in_slot, limit) for name, limit in facts.endpoints),
        )

    def _max_day_loss_wei(self, facts: ChainFacts | None) -> int:
        """What the day may lose with every live bundle at its worst: never so much that the breaker trips by them.

        Where the account's value is followed and none is known yet, nothing.
        """
        asked_wei = self._limits.max_day_loss_wei
        limit_wei = NO_LIMIT_WEI if asked_wei is None else asked_wei
        if facts is None or not facts.holdings:
            return limit_wei
        return min(limit_wei, max(0, self.state.breakers.loss_limit_atoms - 1))

    def _on_ended(self, ended: BundleEnded, stamp: Stamp) -> tuple[Effect, ...]:
        entry = self._entry(ended.id)
        if not entry.is_live:
            raise ContradictoryEvent(f"{ended.id} ended without being live")
        entry.is_live = False
        self.state.gas_paid_today_wei += ended.gas_paid_wei
        if not ended.gas_paid_wei and not ended.net_wei:
            return ()  # not mined: neither a loss nor a gain
        breakers = self.state.breakers
        was_halted = breakers.is_halted
        effects: tuple[Effect, ...] = breakers.on_time(stamp) + breakers.on_episode(ended.net_wei, stamp)
        return effects if was_halted or not breakers.is_halted else effects + self.halt()

    def begin(self, now_ns: int) -> None:
        """A new run, hence another monotonic clock: a pause goes on with what was left of it."""
        self.state.breakers.on_restart(now_ns)

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
        """Everything was halted, by whom ever: what lives is withdrawn."""
        return tuple(Cancel(id_, "halted") for id_, entry in self.state.open.items() if entry.is_live)
