"""From an opportunity to a candidate: executed twice, priced, and offered on terms that leave us something.

The first execution measures gross and gas with nothing offered. The bid follows from it. The second execution runs the
very calldata that would be signed, so gas, payment and net are those of the transaction itself.

A cycle in WETH pays the builder from the profit it measures. Where that transfer's gas would eat the profit, and for
every other start token, the builder is paid by priority fee.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from agent.core.codes import Code
from agent.dex.pool_set import PoolSet
from agent.engine.execution import Execution, Seat, execute, measuring_terms, seated
from agent.engine.executor import Executor, Terms, run_call
from agent.engine.pricing import value_in_ether
from agent.engine.reverts import diagnose
from agent.engine.settings import HuntSettings
from agent.eth.units import Address
from agent.sim.pool_probe import Prober
from agent.sim.simulator import BlockEnv, Call, Simulator
from agent.strategies.arb.bid import bid_by_priority_fee, bid_in_weth
from agent.strategies.arb.opportunity import Opportunity

PAYMENT_GAS = 24_000
"""Upper guess of what unwrapping and paying costs; the second execution measures it."""
_LIMIT_NUMERATOR, _LIMIT_DENOMINATOR = 13, 10
"""Gas limit over gas used: refunds (at most a fifth) come after the limit was needed."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An opportunity that was executed, with the terms it would be sent on (None where it would not)."""

    opportunity: Opportunity
    measured: Execution
    value_wei: int | None
    terms: Terms | None = None
    final: Execution | None = None
    verdict: Code | None = None
    """Why it reverts, where it does."""
    verdict_detail: str = ""

    @property
    def execution(self) -> Execution:
        """The execution that counts: of the calldata to be signed, where there is one."""
        return self.measured if self.final is None else self.final

    def gas_price_wei(self, base_fee_wei: int) -> int:
        return base_fee_wei + (0 if self.terms is None else self.terms.max_priority_fee_wei)

    def gas_cost_wei(self, base_fee_wei: int) -> int:
        """At the base fee alone: a priority fee is part of the bid."""
        return self.execution.gas_used * base_fee_wei

    @property
    def bid_wei(self) -> int:
        """Payment and priority fee together."""
        if self.terms is None:
            return 0
        return self.execution.payment_wei + self.execution.gas_used * self.terms.max_priority_fee_wei

    def gain_wei(self, base_fee_wei: int) -> int:
        """Value over gas as measured, with nothing offered; 0 where it is not known or negative."""
        if self.value_wei is None or not self.measured.is_known or not self.measured.is_success:
            return 0
        return max(0, self.value_wei - self.measured.gas_used * base_fee_wei)

    def net_wei(self, base_fee_wei: int) -> int:
        """What is left; 0 where nothing is known of the value."""
        return 0 if self.value_wei is None else self.value_wei - self.gas_cost_wei(base_fee_wei) - self.bid_wei


def unproved_lie(opportunity: Opportunity, execution: Execution, unproved: frozenset[Address]) -> str:
    """What is wrong with an execution that pays another amount than quoted through a pool that nothing proves."""
    if not execution.is_success or not execution.is_known or execution.gross_amount == opportunity.gross_amount:
        return ""
    pools = unproved.intersection(opportunity.pools)
    if not pools:
        return ""
    return f"0x{min(pools).hex()}: quoted {opportunity.gross_amount}, pays {execution.gross_amount}"


class Appraiser:
    """Turns opportunities into candidates on one state."""

    def __init__(
        self,
        simulator: Simulator,
        executor: Executor,
        settings: HuntSettings,
        *,
        probe: Address,
        unproved: frozenset[Address] = frozenset(),
    ) -> None:
        """`unproved` are pools of no known factory: a wrong quote through one of them is its lie, not our defect."""
        self._simulator = simulator
        self._probe = probe
        self._unproved = unproved
        self._executor = executor
        self._settings = settings

    async def appraise(
        self,
        opportunities: Sequence[Opportunity],
        env: BlockEnv,
        pools: PoolSet,
        *,
        seat: Seat,
        measured: Mapping[str, Execution] | None = None,
    ) -> list[Candidate]:
        """Each opportunity executed alone in the same seat, in order. `measured` by id need no first execution."""
        done = dict(measured or {})
        todo = [one for one in opportunities if one.id not in done]
        executions = await self._execute([(one, measuring_terms(one, env)) for one in todo], env, seat)
        done.update((one.id, execution) for one, execution in zip(todo, executions, strict=True))
        candidates = [self._priced(one, done[one.id], pools) for one in opportunities]
        candidates = await self._diagnosed(candidates, env)
        candidates = await self._offer(candidates, env, seat, self._payment_terms)
        return await self._offer(candidates, env, seat, self._priority_terms)

    def measuring_calls(self, opportunity: Opportunity, env: BlockEnv, seat: Seat) -> tuple[Call, ...]:
        """What the first execution of an opportunity runs."""
        return seated(self._executor, opportunity, measuring_terms(opportunity, env), seat)

    async def _diagnosed(self, candidates: list[Candidate], env: BlockEnv) -> list[Candidate]:
        for i, one in enumerate(candidates):
            if lie := unproved_lie(one.opportunity, one.measured, self._unproved):
                candidates[i] = msgspec.structs.replace(one, verdict=Code.POOL_UNPROVED, verdict_detail=lie)
        reverting = [i for i, one in enumerate(candidates) if one.measured.is_known and not one.measured.is_success]
        if not reverting:
            return candidates
        prober = Prober(self._simulator, env, probe=self._probe)
        opportunities = [candidates[i].opportunity for i in reverting]
        verdicts = await diagnose(prober, opportunities, executor=self._executor.address)
        for i, (code, detail) in zip(reverting, verdicts, strict=True):
            shown = detail or candidates[i].measured.error
            candidates[i] = msgspec.structs.replace(candidates[i], verdict=code, verdict_detail=shown)
        return candidates

    async def _execute(self, runs: list[tuple[Opportunity, Terms]], env: BlockEnv, seat: Seat) -> list[Execution]:
        if not runs:
            return []
        return await execute(self._simulator, env, self._executor, runs, seat=seat, assume=self._settings.assume)

    def _priced(self, opportunity: Opportunity, execution: Execution, pools: PoolSet) -> Candidate:
        amount = execution.gross_amount if execution.is_known else opportunity.gross_amount
        value_wei = value_in_ether(
            pools,
            opportunity.start_token,
            amount,
            weth=self._executor.weth,
            unproved=self._unproved,
            moved=opportunity.pools,
        )
        return Candidate(opportunity=opportunity, measured=execution, value_wei=value_wei)

    async def _offer(
        self,
        candidates: list[Candidate],
        env: BlockEnv,
        seat: Seat,
        offer: Callable[[Candidate, BlockEnv], Terms | None],
    ) -> list[Candidate]:
        """Execute what `offer` offers for candidates without terms, and once more with the gas then measured."""
        for _ in range(2):
            open_offers = []
            for position, candidate in enumerate(candidates):
                terms = offer(candidate, env)
                if terms is not None and terms != candidate.terms:
                    open_offers.append((position, terms))
            runs = [(candidates[position].opportunity, terms) for position, terms in open_offers]
            finals = await self._execute(runs, env, seat)
            for (position, terms), final in zip(open_offers, finals, strict=True):
                offered = msgspec.structs.replace(candidates[position], terms=terms, final=final)
                is_kept = final.is_success and final.is_known and offered.net_wei(env.base_fee_wei) >= self._least_net
                candidates[position] = (
                    offered if is_kept else msgspec.structs.replace(candidates[position], terms=None, final=None)
                )
        return candidates

    @property
    def _least_net(self) -> int:
        return self._settings.limits.min_net_wei

    def _payment_terms(self, candidate: Candidate, env: BlockEnv) -> Terms | None:
        if not self._may_offer(candidate) or candidate.opportunity.start_token != self._executor.weth:
            return None
        gas_used = candidate.final.gas_used if candidate.final else candidate.measured.gas_used + PAYMENT_GAS
        bid = bid_in_weth(
            gross_wei=candidate.measured.gross_amount,
            gas_cost_wei=gas_used * env.base_fee_wei,
            share_bps=self._settings.share_bps,
            least_net_wei=self._least_net,
        )
        if bid is None or not bid.payment_bps:
            return None
        return self._terms(env, gas_used, payment_bps=bid.payment_bps, floor=bid.floor_amount, priority_fee_wei=0)

    def _priority_terms(self, candidate: Candidate, env: BlockEnv) -> Terms | None:
        if not self._may_offer(candidate) or (candidate.terms is not None and candidate.terms.payment_bps):
            return None
        assert candidate.value_wei is not None
        gas_used = candidate.measured.gas_used
        bid = bid_by_priority_fee(
            gross_amount=candidate.measured.gross_amount,
            value_wei=candidate.value_wei,
            gas_used=gas_used,
            gas_cost_wei=gas_used * env.base_fee_wei,
            share_bps=self._settings.share_bps,
            least_net_wei=self._least_net,
        )
        if bid is None or not bid.priority_fee_wei:
            return None
        return self._terms(env, gas_used, payment_bps=0, floor=bid.floor_amount, priority_fee_wei=bid.priority_fee_wei)

    def _may_offer(self, candidate: Candidate) -> bool:
        execution = candidate.measured
        is_exact = execution.gross_amount == candidate.opportunity.gross_amount
        return execution.is_success and execution.is_known and is_exact and candidate.value_wei is not None

    def _terms(self, env: BlockEnv, gas_used: int, *, payment_bps: int, floor: int, priority_fee_wei: int) -> Terms:
        return Terms(
            payment_bps=payment_bps,
            floor_amount=floor,
            max_fee_wei=env.base_fee_wei + priority_fee_wei,
            max_priority_fee_wei=priority_fee_wei,
            gas_limit=gas_used * _LIMIT_NUMERATOR // _LIMIT_DENOMINATOR,
            last_block=env.number,
            parent_hash=None,
        )

    def call(self, candidate: Candidate, *, operator: Address, nonce: int) -> Call:
        """The transaction of a candidate with terms, unsigned."""
        assert candidate.terms is not None, "only a candidate with terms can be sent"
        return run_call(self._executor, candidate.opportunity, candidate.terms, operator=operator, nonce=nonce)
