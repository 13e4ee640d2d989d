"""Ordinary users of the slice: seeded swaps through the real routers, slot after slot.

Who comes, to which pool, in which direction and in which class of size is decided by the seed and the slot alone
(rebalancers excepted, who go where the price is worst); amounts and minimum outputs follow the prices that the users
see, which `settle` takes from the chain. So equal seeds and equal blocks give equal bytes, whatever the clock says.

Most swaps are small and move nothing worth a transaction. *Whales* move one pool by up to 1.6 %, which opens
arbitrage worth more than gas; *rebalancers* push the pool that is furthest from the reference prices back, which
closes it when nobody else did. Reference prices walk a little every slot and stay within 3 % of where they began.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from agent.devnet.slice.figures import BASE_FEE_WEI, SUSHI
from agent.devnet.slice.market import Market
from agent.devnet.slice.swaps import v2_swap_ether, v2_swap_tokens, v3_swap_path, v3_swap_single
from agent.devnet.slice.world import Slice, SlicePool
from agent.eth.hexes import to_hash
from agent.eth.keys import SignedTransaction, Signer, sign_dynamic_fee
from agent.eth.units import Address, Hash32

DEADLINE_S = 300
MAX_PER_SLOT = 32
_MIN_PER_SLOT = 4
_WALK_LIMIT_BPS = 300
_WHALE_CAP_USD = 150_000
_REBALANCE_FROM_BPS = 25
_REBALANCE_LOOKS_AT = 12
_BPS = 10_000

_GAS_V2, _GAS_V3, _GAS_TWO_HOPS, _GAS_WHALE_V3 = 170_000, 210_000, 330_000, 420_000


class _Plan(NamedTuple):
    """One user's wish: a route, a size, and how far the price may slip."""

    pools: tuple[SlicePool, ...]
    token_in: Address
    amount_in: int
    slippage_bps: int
    pays_ether: bool
    gas: int


class _InFlight(NamedTuple):
    user_index: int
    nonce: int
    deadline_s: int
    max_fee_wei: int
    tip_wei: int


class Traffic:
    """A generator of signed transactions. One per run; `next_slot` then `settle`, in turn."""

    def __init__(self, world: Slice, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._slot = 0
        self._market = Market(world)
        self._start_prices = dict(self._market.price_nano_usd)
        self._signers = [Signer(user.private_key) for user in world.users]
        self._nonces = [0] * len(world.users)
        self._sent: dict[Hash32, _InFlight] = {}
        self._pending: dict[Hash32, _InFlight] = {}
        self._neighbours = _second_hops(world)

    def next_slot(self, *, base_fee_wei: int, timestamp_s: int) -> list[SignedTransaction]:
        """The transactions that arrive before the block with this base fee and time, in order of arrival.

        Transactions of the slot before count as mined unless `settle` said otherwise. A user with a transaction
        still pending waits; once its deadline has passed, the next one replaces it.
        """
        dice = random.Random(f"slice traffic {self._seed} {self._slot}")
        self._slot += 1
        for sent in self._sent.values():
            self._nonces[sent.user_index] = sent.nonce + 1
        self._sent.clear()
        self._walk(dice)
        result = []
        for user_index in dice.sample(range(len(self._signers)), _demand(dice, base_fee_wei)):
            role = dice.randrange(100)
            choices = random.Random(dice.getrandbits(64))  # of its own, so that one user's state moves no other's luck
            if (replaced := self._busy(user_index, timestamp_s)) is None or replaced.deadline_s < timestamp_s:
                plan = self._plan(choices, role)
                if plan is not None:
                    result.append(self._sign(choices, user_index, plan, base_fee_wei, timestamp_s, replaced))
        return result

    def settle(self, receipts: Iterable[Mapping[str, Any]]) -> None:
        """Tell the users what the block held: all its receipts, as `eth_getBlockReceipts` gives them, in order."""
        receipts = list(receipts)
        mined = {to_hash(receipt["transactionHash"]) for receipt in receipts}
        waiting = {**self._pending, **self._sent}
        self._sent.clear()
        self._pending = {name: entry for name, entry in waiting.items() if name not in mined}
        for name in waiting.keys() & mined:
            entry = waiting[name]
            self._nonces[entry.user_index] = max(self._nonces[entry.user_index], entry.nonce + 1)
        self._pending = {
            name: entry for name, entry in self._pending.items() if entry.nonce >= self._nonces[entry.user_index]
        }
        self._market.confirm(log for receipt in receipts for log in receipt["logs"])

    def _busy(self, user_index: int, timestamp_s: int) -> _InFlight | None:
        mine = [entry for entry in self._pending.values() if entry.user_index == user_index]
        return max(mine, key=lambda entry: entry.deadline_s) if mine else None

    def _walk(self, dice: random.Random) -> None:
        prices = self._market.price_nano_usd
        for token in self._world.tokens:
            step_bps = dice.randint(-token.walk_bps, token.walk_bps)
            start = self._start_prices[token.address]
            stepped = prices[token.address] + start * step_bps // _BPS
            if abs(stepped - start) * _BPS <= start * _WALK_LIMIT_BPS:
                prices[token.address] = stepped

    def _plan(self, dice: random.Random, role: int) -> _Plan | None:
        if role < 72:
            return self._small(dice)
        if role < 86:
            return self._two_hops(dice)
        if role < 91:
            return self._whale(dice)
        return self._rebalance(dice)

    def _small(self, dice: random.Random) -> _Plan | None:
        pool = dice.choice(self._world.pools)
        token_in = dice.choice((pool.token0, pool.token1))
        usd = dice.randint(20, 200) * dice.choice((1, 1, 2, 5, 20))
        pays_ether = pool.kind == "v2" and token_in == self._world.contracts.weth and dice.randrange(2) == 0
        gas = _GAS_V3 if pool.kind == "v3" else _GAS_V2
        return self._checked(_Plan((pool,), token_in, self._market.amount_of_usd(token_in, usd), 100, pays_ether, gas))

    def _two_hops(self, dice: random.Random) -> _Plan | None:
        first = dice.choice(self._world.pools)
        token_in = dice.choice((first.token0, first.token1))
        middle = first.token1 if token_in == first.token0 else first.token0
        usd = dice.randint(50, 500) * dice.choice((1, 2, 4))
        seconds = self._neighbours[first.address, middle]
        if not seconds:
            return None
        second = dice.choice(seconds)
        amount_in = self._market.amount_of_usd(token_in, usd)
        return self._checked(_Plan((first, second), token_in, amount_in, 150, False, _GAS_TWO_HOPS))

    def _whale(self, dice: random.Random) -> _Plan | None:
        pool = dice.choice(self._world.pools)
        token_in = dice.choice((pool.token0, pool.token1))
        move_bps = dice.randint(40, 160)
        reserve_in, _ = self._market.reserves(pool, token_in)
        amount_in = min(reserve_in * move_bps // (2 * _BPS), self._market.amount_of_usd(token_in, _WHALE_CAP_USD))
        gas = _GAS_WHALE_V3 if pool.kind == "v3" else _GAS_V2
        return self._checked(_Plan((pool,), token_in, amount_in, 200, False, gas))

    def _rebalance(self, dice: random.Random) -> _Plan | None:
        seen = dice.sample(self._world.pools, _REBALANCE_LOOKS_AT)
        share_percent = dice.randint(50, 100)
        pool = max(seen, key=lambda p: (abs(self._market.dearness_bps(p)) - p.fee_pips // 100, p.address))
        dearness_bps = self._market.dearness_bps(pool)
        if abs(dearness_bps) < _REBALANCE_FROM_BPS + pool.fee_pips // 100:
            return None
        token_in = pool.token0 if dearness_bps > 0 else pool.token1
        reserve_in, _ = self._market.reserves(pool, token_in)
        wanted = reserve_in * min(abs(dearness_bps), 250) * share_percent // (2 * _BPS * 100)
        amount_in = min(wanted, self._market.amount_of_usd(token_in, _WHALE_CAP_USD))
        gas = _GAS_WHALE_V3 if pool.kind == "v3" else _GAS_V2
        return self._checked(_Plan((pool,), token_in, amount_in, 200, False, gas))

    def _checked(self, plan: _Plan) -> _Plan | None:
        """None for a swap that would give nothing: nobody signs that."""
        amount, token_in = plan.amount_in, plan.token_in
        for pool in plan.pools:
            amount = self._market.quote_floor(pool, token_in, amount)
            token_in = pool.token1 if token_in == pool.token0 else pool.token0
        return plan if plan.amount_in and amount > 100 else None

    def _sign(
        self,
        dice: random.Random,
        user_index: int,
        plan: _Plan,
        base_fee_wei: int,
        timestamp_s: int,
        replaced: _InFlight | None,
    ) -> SignedTransaction:
        user = self._world.users[user_index]
        path, amount = [plan.token_in], plan.amount_in
        for pool in plan.pools:
            amount = self._market.guess_swap(pool, path[-1], amount)
            path.append(pool.token1 if path[-1] == pool.token0 else pool.token0)
        target, payload = self._call(plan, path, amount, user.address, timestamp_s + DEADLINE_S)
        tip_wei = dice.randint(1_000_000, 120_000_000)
        max_fee_wei = 2 * base_fee_wei + tip_wei
        if replaced is not None:  # a node takes a replacement only if both fees are a tenth higher
            tip_wei = max(tip_wei, replaced.tip_wei * 9 // 8 + 1)
            max_fee_wei = max(max_fee_wei, replaced.max_fee_wei * 9 // 8 + 1, tip_wei)
        nonce = self._nonces[user_index]
        signed = sign_dynamic_fee(
            self._signers[user_index],
            chain_id=self._world.chain_id,
            nonce=nonce,
            max_priority_fee_wei=tip_wei,
            max_fee_wei=max_fee_wei,
            gas=plan.gas,
            to=target,
            value_wei=plan.amount_in if plan.pays_ether else 0,
            data=payload,
        )
        self._sent[signed.hash] = _InFlight(user_index, nonce, timestamp_s + DEADLINE_S, max_fee_wei, tip_wei)
        return signed

    def _call(
        self, plan: _Plan, path: list[Address], amount_out: int, recipient: Address, deadline_s: int
    ) -> tuple[Address, bytes]:
        contracts = self._world.contracts
        minimum_out = amount_out * (_BPS - plan.slippage_bps) // _BPS
        first = plan.pools[0]
        if first.kind == "v2":
            router = contracts.sushi_router if first.protocol == SUSHI else contracts.v2_router
            if plan.pays_ether:
                return router, v2_swap_ether(
                    minimum_out=minimum_out, path=path, recipient=recipient, deadline_s=deadline_s
                )
            return router, v2_swap_tokens(
                amount_in=plan.amount_in,
                minimum_out=minimum_out,
                path=path,
                recipient=recipient,
                deadline_s=deadline_s,
            )
        if len(plan.pools) == 1:
            return contracts.v3_router, v3_swap_single(
                amount_in=plan.amount_in,
                minimum_out=minimum_out,
                token_in=path[0],
                token_out=path[1],
                fee_pips=first.fee_pips,
                recipient=recipient,
                deadline_s=deadline_s,
            )
        return contracts.v3_router, v3_swap_path(
            amount_in=plan.amount_in,
            minimum_out=minimum_out,
            path=path,
            fees_pips=[pool.fee_pips for pool in plan.pools],
            recipient=recipient,
            deadline_s=deadline_s,
        )


def _demand(dice: random.Random, base_fee_wei: int) -> int:
    """How many users come: more when blocks are cheap, fewer when they are dear, so that the base fee stays."""
    eagerness_percent = max(60, min(140, 100 * BASE_FEE_WEI // max(base_fee_wei, 1)))
    return max(_MIN_PER_SLOT, min(MAX_PER_SLOT, dice.randint(14, 34) * eagerness_percent // 100))


def _second_hops(world: Slice) -> dict[tuple[Address, Address], tuple[SlicePool, ...]]:
    """By (first pool, middle token): the pools of the same protocol that lead on to a third token."""
    result: dict[tuple[Address, Address], tuple[SlicePool, ...]] = {}
    for first in world.pools:
        for middle, start in ((first.token0, first.token1), (first.token1, first.token0)):
            result[first.address, middle] = tuple(
                second
                for second in world.pools
                if second.protocol == first.protocol
                and middle in (second.token0, second.token1)
                and start not in (second.token0, second.token1)
            )
    return result
