"""The on-chain agent at work: moments in, bundles out, outcomes booked; one core decides, one journal remembers.

Theory of operation. The driver of a world tells of three things: a head that can be aimed at, moments (a state of the
pools, with what moved them), and the block that came. At each moment the touched cycles are searched, what the core
lets through is executed and priced, and what passes again is held. When the slot closes, the best compatible set of
what is held goes through the core once more, is signed and sent to every endpoint at once. Every event is in the
journal before it is stepped, every effect before it leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from agent.core.bundles import BundleDesk
from agent.core.codes import Code
from agent.core.effects import Effect
from agent.core.effects.chain import Cancel, Drop, Execute, Submit
from agent.core.events import Event, Stamp
from agent.core.events.chain import (
    BundleEnded,
    ChainFacts,
    HeadSeen,
    SelectionMade,
    Superseded,
    TargetGone,
)
from agent.core.events.control import HaltAsked
from agent.core.step import Core
from agent.dex.pool import StateName
from agent.dex.pool_set import PoolSet
from agent.engine.bundle_drops import BundleDrops
from agent.engine.candidate import Appraiser, Candidate
from agent.engine.deciding import Decisions
from agent.engine.execution import Seat
from agent.engine.forecast import MAX_AHEAD, Ahead, ForecastCount
from agent.engine.latency import StageClock
from agent.engine.reported import executed_event, found_event
from agent.engine.result import Ending
from agent.engine.rivalry import heirs_of, winner_over
from agent.engine.sender import Sender
from agent.engine.settings import HuntSettings
from agent.engine.tracked import Target, Tracked
from agent.eth.hexes import to_data
from agent.eth.keys import Signer
from agent.eth.units import Address, Hash32
from agent.journal.writer import JournalWriter
from agent.ports.clock import Clock
from agent.sim.simulator import BlockEnv, Call
from agent.strategies.arb.cycles import CycleIndex
from agent.strategies.arb.locate import Route
from agent.strategies.arb.opportunity import Opportunity
from agent.strategies.arb.rotations import rotated
from agent.strategies.arb.screen import Screen
from agent.strategies.arb.search import find_opportunities
from agent.strategies.arb.select import best_compatible
from agent.strategies.arb.sizing import Sized, best_size
from agent.venues.onchain.nonces import Claim, NonceLedger
from agent.venues.onchain.outcomes import Outcome
from agent.venues.onchain.relay import RelayClient


class Hunter:
    """Owns the core, the journal and everything in flight of one run."""

    def __init__(
        self,
        *,
        core: Core,
        journal: JournalWriter,
        clock: Clock,
        stages: StageClock,
        appraiser: Appraiser,
        cycles: CycleIndex,
        screen: Screen | None,
        operators: Sequence[Signer],
        relays: Sequence[RelayClient],
        chain_id: int,
        settings: HuntSettings,
        size: Callable[[Route], Sized | None] = best_size,
        drops: BundleDrops | None = None,
    ) -> None:
        """`size` gives the most profitable input of a route: the fast one on a chain, the finest where time stands."""
        self._decisions = Decisions(core, journal, clock, on_broken=self._on_broken)
        self._step = self._decisions.step
        self.stepper = self._decisions.stepper
        self.tracked = self._decisions.tracked
        self.retired, self.alarms = self._decisions.retired, self._decisions.alarms
        self.on_broken: Callable[[], None] = lambda: None
        """Told once, when core, journal or search have failed: nothing is stepped or sent any more."""
        self._clock = clock
        self.stages = stages
        self.forecasts = ForecastCount()
        self._appraiser = appraiser
        self._cycles = cycles
        self._screen = screen
        self._size = size
        self._sender = Sender(
            operators=operators, relays=relays, chain_id=chain_id, clock=clock, caps=settings.caps, drops=drops
        )
        self._nonces = {signer.address: 0 for signer in operators}
        self._ledger = NonceLedger(self._nonces)
        self._settings = settings
        self._withdrawing: set[asyncio.Future[None]] = set()
        self._env: BlockEnv | None = None
        self._head_hash = ""

    # Events of the world

    def on_head(self, head: HeadSeen, target: BlockEnv, facts: ChainFacts, *, is_dated: bool = False) -> None:
        """A new head; `target` is the block that can be aimed at now, `facts` what was read beside the head.

        `is_dated`: its timestamp is of the present, as that of a live chain is, so it can confirm a clock that was set.
        """
        self._env = target
        self._head_hash = head.block_hash
        self._step(head)
        if is_dated:
            self._decisions.compare_clock(head.timestamp_s)
        self._withdraw(self._step(facts))
        self._decisions.expire()

    async def on_moment(
        self,
        pools: PoolSet,
        *,
        before: PoolSet | None,
        touched: frozenset[Address] | None,
        state: StateName,
        target: Target | None,
        ahead: Ahead | None = None,
    ) -> None:
        """Search and appraise at one state. `touched` None searches every cycle; `ahead` is what was done of it."""
        env = self._aimed()
        started = self._clock.monotonic_ns()
        if ahead is None:
            found = self._search(pools, env, before=before, touched=touched, state=state, target=target)
        else:
            found = list(ahead.found)
        if self._settings.only:
            # Named opportunities may begin in another start token than the agent would choose.
            tokens, size = self._settings.start_tokens, self._size
            found += [
                turned for one in found for turned in rotated(one, pools, before=before, start_tokens=tokens, size=size)
            ]
        searched = self._clock.monotonic_ns()
        self.stages.add("search", searched - started)
        admitted = [opportunity for opportunity in found if self._admit(opportunity, target, env)]
        if not admitted:
            return
        measured = None if ahead is None else ahead.measured
        candidates = await self._appraiser.appraise(admitted, env, pools, seat=self._seat(target), measured=measured)
        self.stages.add("simulate", self._clock.monotonic_ns() - searched)
        for candidate in candidates:
            self._judge(candidate, env)
        self.stages.add("moment", self._clock.monotonic_ns() - started)

    def look_ahead(
        self,
        pools: PoolSet,
        *,
        before: PoolSet,
        touched: frozenset[Address],
        state: StateName,
        target: Target,
    ) -> Ahead:
        """Search a state that is only forecast, and say what to execute along with the target. Decides nothing."""
        env = self._aimed()
        started = self._clock.monotonic_ns()
        found = self._search(pools, env, before=before, touched=touched, state=state, target=target)
        self.stages.add("look_ahead", self._clock.monotonic_ns() - started)
        improved = [one for one in found if one.gross_amount > one.before_amount][:MAX_AHEAD]
        seat = self._seat(target)
        return Ahead(
            found=tuple(found),
            calls={one.id: self._appraiser.measuring_calls(one, env, seat) for one in improved},
        )

    def never_seen(self) -> list[str]:
        """Ids that were asked for and met at no moment."""
        return sorted(self._settings.only - self.tracked.keys())

    def reappraise(self, one: Tracked, candidate: Candidate, *, behind: tuple[str, ...]) -> None:
        """The same cycle at another size and price: it will stand `behind` others of ours in the block."""
        one.opportunity, one.behind = candidate.opportunity, behind
        self._judge(candidate, self._aimed())

    def held(self) -> list[Tracked]:
        """What passed and awaits the selection, by net, largest first; ties by id."""
        return self._decisions.held()

    async def close_slot(self) -> list[Tracked]:
        """Select the best compatible set of what is held and what is live, and send what is new in it.

        May be called again while the slot lasts: a live bundle that a better one excludes is replaced by it, under the
        same id and nonce, or withdrawn.
        """
        live = [one for one in self.sent() if not one.is_withdrawn and not one.is_replaced]
        rivals = [*live, *self.held()]  # of equals the live one stays
        pools = [one.opportunity.pools for one in rivals]
        best = [rivals[i] for i in best_compatible(pools, [one.net_wei for one in rivals]).chosen]
        chosen = [one for one in best if one not in live]
        beaten = [one for one in live if one not in best]
        heirs = heirs_of(beaten, chosen)
        sent = await self.submit(chosen, live=[one for one in live if one in best], heirs=heirs)
        for one in beaten:
            heir = next((new for new in sent if set(new.opportunity.pools) & set(one.opportunity.pools)), None)
            if heir is not None and not one.is_replaced:
                self._step(Superseded(one.opportunity.id, heir.opportunity.id))
                await self._sender.withdraw(one)
        return sent

    async def on_target_gone(self, target: Hash32) -> None:
        """A pending transaction was replaced or dropped: nothing can run behind it any more."""
        for effect in self._step(TargetGone(to_data(target))):
            if isinstance(effect, Cancel):
                await self._sender.withdraw(self.tracked[effect.id])

    async def submit(
        self,
        chosen: Sequence[Tracked],
        *,
        live: Sequence[Tracked] = (),
        heirs: Mapping[str, Tracked] | None = None,
    ) -> list[Tracked]:
        """Put these to the core, and send what it lets through. All others that are held lose to them or to `live`.

        `heirs` gives, by id, the live bundle that one of the chosen replaces. One that the core has dropped since it
        was chosen stays dropped.
        """
        env = self._aimed()
        chosen = [one for one in chosen if one.outcome == Ending.HELD]
        if not self.held():
            return []
        taken = {pool for winner in [*chosen, *live] for pool in winner.opportunity.pools}
        if sum(one.opportunity.id not in (heirs or {}) for one in chosen) >= len(self._ledger.free_keys()):
            # What conflicts with nobody stays behind for want of a key, and is put forward to be told so.
            chosen += [one for one in self.held() if taken.isdisjoint(one.opportunity.pools)]
        losers = [
            (one.opportunity.id, winner_over(one, [*chosen, *live]))
            for one in self.held()
            if one.opportunity.id not in {winner.opportunity.id for winner in chosen}
        ]
        effects = self._step(
            SelectionMade(
                env.number,
                tuple(one.opportunity.id for one in chosen),
                tuple(losers),
                tuple((id_, old.opportunity.id) for id_, old in (heirs or {}).items()),
            )
        )
        sent = []
        for effect in effects:
            if isinstance(effect, Submit):
                one = self.tracked[effect.id]
                replaced = None if heirs is None else heirs.get(effect.id)
                one.claim = (
                    self._ledger.claim(block_number=env.number, holder=effect.id)
                    if replaced is None
                    else replaced.claim
                )
                if one.claim is None:
                    self.on_ended(one, outcome=Ending.DROPPED, reason="every key carries a bundle", code=Code.NO_KEY)
                elif await self._send(one, one.claim, env, replaced):
                    sent.append(one)
        return sent

    def sent(self) -> list[Tracked]:
        """What is live: sent, and not ended."""
        return self._decisions.sent()

    def on_block(self, *, number: int, nonces: Mapping[Address, int]) -> None:
        """A block came; `nonces` are the operators' on the chain now. Frees the keys whose block has passed."""
        self._ledger.advance(head_block=number, nonces=nonces)
        self._nonces.update(nonces)

    @property
    def nonces(self) -> Mapping[Address, int]:
        """Our ledger: the next nonce of each operator."""
        return self._nonces

    @property
    def operators(self) -> tuple[Address, ...]:
        return tuple(self._nonces)

    def call_of(self, one: Tracked) -> Call:
        """The transaction of a bundle that was sent, unsigned."""
        assert one.candidate is not None and one.claim is not None
        return self._appraiser.call(one.candidate, operator=one.claim.key, nonce=one.claim.nonce)

    def on_ended(
        self,
        one: Tracked,
        *,
        outcome: Ending | Outcome,
        reason: str,
        gas_paid_wei: int = 0,
        bid_paid_wei: int = 0,
        net_wei: int = 0,
        code: Code | None = None,
    ) -> None:
        """A bundle that was live is so no more; figures are the chain's."""
        one.outcome, one.reason = outcome, reason
        if code is not None:
            one.drop = Drop(one.opportunity.id, code, reason)
        self._sender.ended(one, gas_paid_wei)
        ended = BundleEnded(one.opportunity.id, outcome.value, gas_paid_wei, bid_paid_wei, net_wei)
        self._withdraw(self._step(ended))

    async def halt(self, *, by: str, reason: str) -> None:
        """Stop everything: what lives is withdrawn at every endpoint, and nothing is submitted after this."""
        cancels = [effect for effect in self._step(HaltAsked(by, reason)) if isinstance(effect, Cancel)]
        await asyncio.gather(*(self._sender.withdraw(self.tracked[effect.id]) for effect in cancels))

    def take(self, event: Event) -> Stamp:
        """Step an event that leads to nothing here but a halt; where it stands in the journal."""
        self._withdraw(self._step(event))
        return self.stepper.last

    def tell(self, event: Event) -> Stamp | None:
        """The same for callbacks: a failure was acted on where it came up, and the loop has no use for it."""
        if self.stepper.broken is None:
            try:
                return self.take(event)
            except BaseException:
                if self.stepper.broken is None:
                    raise
        return None

    @property
    def is_halted(self) -> bool:
        return self._decisions.core.is_halted

    @property
    def bundles(self) -> BundleDesk:
        """What the core knows of bundles, and of the account that they belong to."""
        desk = self._decisions.core.bundles
        assert desk is not None, "a hunter's core has limits for bundles"
        return desk

    # Inside

    def _withdraw(self, effects: tuple[Effect, ...]) -> None:
        """Something halted on the way: take back what lives, beside whatever is done now."""
        for effect in effects:
            if isinstance(effect, Cancel) and self.tracked[effect.id].outcome == Ending.SENT:
                task = asyncio.ensure_future(self._sender.withdraw(self.tracked[effect.id]))
                self._withdrawing.add(task)
                task.add_done_callback(self._withdrawing.discard)

    @property
    def _first_operator(self) -> Address:
        return next(iter(self._nonces))

    def _seat(self, target: Target | None) -> Seat:
        operator = self._first_operator
        return Seat(() if target is None else target.calls, operator, self._nonces[operator])

    def _search(
        self,
        pools: PoolSet,
        env: BlockEnv,
        *,
        before: PoolSet | None,
        touched: frozenset[Address] | None,
        state: StateName,
        target: Target | None,
    ) -> list[Opportunity]:
        return find_opportunities(
            pools,
            self._cycles,
            touched=touched,
            state=state,
            block_number=env.number,
            after_transaction=None if target is None else target.hash,
            before=before,
            screen=self._screen,
            size=self._size,
        )

    def _aimed(self) -> BlockEnv:
        assert self._env is not None, "a head comes before anything else"
        return self._env

    def _admit(self, opportunity: Opportunity, target: Target | None, env: BlockEnv) -> bool:
        one = Tracked(opportunity=opportunity, target=target, block_number=env.number, base_fee_wei=env.base_fee_wei)
        self.tracked.setdefault(opportunity.id, one)
        is_asked = opportunity.id in self._settings.only
        if self._settings.only and not is_asked:
            one.drop = Drop(opportunity.id, Code.NOT_SELECTED, "another opportunity was asked for by name")
            one.outcome, one.reason = Ending.DROPPED, one.drop.detail
            return False
        effects = self._step(found_event(opportunity, env, head_hash=self._head_hash, target=target, is_asked=is_asked))
        is_admitted = any(isinstance(effect, Execute) for effect in effects)
        if is_admitted:
            self.tracked[opportunity.id] = one  # in place of one of a head that was taken back
        return is_admitted

    def _judge(self, candidate: Candidate, env: BlockEnv) -> None:
        self.tracked[candidate.opportunity.id].candidate = candidate
        terms = candidate.terms
        call = None if terms is None else self._appraiser.call(candidate, operator=self._first_operator, nonce=0)
        self._step(executed_event(candidate, env, head_hash=self._head_hash, call=call))

    async def _send(self, one: Tracked, claim: Claim, env: BlockEnv, replaced: Tracked | None) -> bool:
        """Send it to every endpoint at once; False where it is kept here, for a reason that is then its own."""
        started = self._clock.monotonic_ns()
        refused = self._sender.prepare(one, self.call_of(one), claim, env, replaced)
        if refused is not None:
            return self._keep(one, claim, replaced, str(refused), Code.LAST_GUARD)
        self.stages.add("sign", self._clock.monotonic_ns() - started)
        if self._settings.is_called_first and (objection := await self._sender.objection(one)):
            return self._keep(one, claim, replaced, objection, Code.RELAY_DISAGREES)
        one.outcome = Ending.SENT
        if replaced is not None:
            replaced.is_replaced = True
        await self._decisions.journal.until_synced()
        if self._decisions.is_stopped:  # while it was prepared; nothing of it has left
            return self._keep(one, claim, replaced, "halted before it was sent", Code.HALTED)
        await self._sender.send(one)
        self.stages.add("send", self._clock.monotonic_ns() - started)
        return True

    def _keep(self, one: Tracked, claim: Claim, replaced: Tracked | None, reason: str, code: Code) -> bool:
        """It ends here, and gives the key back that it did not take over. False, as what was not sent."""
        self.on_ended(one, outcome=Ending.DROPPED, reason=reason, code=code)
        if replaced is None:
            self._ledger.release(claim)
        return False

    def _on_broken(self, error: BaseException) -> None:
        """What is under way to the endpoints stays here; what is there already the guard answers for."""
        for task in self._withdrawing:
            task.cancel()
        self.on_broken()
