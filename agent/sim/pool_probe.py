"""Prove by execution what a pool charges and whether its tokens deliver what is sent.

The pool itself hands tokens to a probe address and takes them back, inside a simulation: nothing of ours is needed,
no storage layout is guessed, and the pool's own `swap` says which output it still accepts. A V2 pool's fee is proved
when some fee makes the formula's output accepted and one unit more refused, at three unrelated sizes, in both directions.

Source of the acceptance rule: UniswapV2Pair.sol `swap` (K on fee-adjusted balances); amounts are raw token units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from agent.dex.v2 import PIPS
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv, Call, Simulation, Simulator, Slot

_TRANSFER = bytes.fromhex("a9059cbb")
_BALANCE_OF = bytes.fromhex("70a08231")
_SYNC = bytes.fromhex("fff6cae9")
_SWAP = bytes.fromhex("022c0d9f")
_GAS = 3_000_000
_PIPS_PER_BPS = 100
_MAX_FEE_BPS = 200
_DIVISORS = (97, 31, 7)
"""Sizes of the probing trades, as parts of the pool's balance."""
_LEAST_OUTPUT = 20_000
"""Below this one basis point of fee is not one unit of output, so the fee could not be told."""


class TokenVerdict(msgspec.Struct, frozen=True):
    """What a transfer out of and back into a pool delivered. `is_plain` None: the state does not tell."""

    token: Address
    pool: Address
    is_plain: bool | None
    detail: str
    missing: tuple[Slot, ...] = ()


class FeeProof(msgspec.Struct, frozen=True):
    """`fee_pips` None: no fee explains what the pool accepts, and `detail` says how far it came."""

    fee_pips: int | None
    detail: str
    assumed: tuple[Slot, ...] = ()


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


class Prober:
    """Asks questions on one state. `probe` is a known address of ours that holds nothing."""

    def __init__(self, simulator: Simulator, env: BlockEnv, *, probe: Address) -> None:
        # At base fee 0 a caller needs no ETH, so pools can be the senders of their own transfers.
        self._env = msgspec.structs.replace(env, base_fee_wei=0)
        self._simulator = simulator
        self._probe = probe

    async def tokens(self, holdings: Sequence[tuple[Address, Address]]) -> list[TokenVerdict]:
        """For each (token, pool that holds it): a thousandth goes to the probe and back, and every unit is counted."""
        balances = await self._run([(self._balance(token, pool),) for token, pool in holdings])
        amounts = [max(1, _number(simulation) // 1_000) for simulation in balances]
        runs = await self._run(
            [
                (
                    self._send(token, pool, self._probe, amount),
                    self._balance(token, self._probe),
                    self._send(token, self._probe, pool, amount),
                    self._balance(token, pool),
                )
                for (token, pool), amount in zip(holdings, amounts, strict=True)
            ]
        )
        return [
            _token_verdict(token, pool, amount=amount, before=_number(balance), run=run)
            for (token, pool), amount, balance, run in zip(holdings, amounts, balances, runs, strict=True)
        ]

    async def transfers(self, moves: Sequence[tuple[Address, Address, Address, int]]) -> list[TokenVerdict]:
        """For each (token, from, to, amount): does exactly that arrive? Asked of the pools of a route that reverts."""
        runs = await self._run(
            [
                (self._balance(token, to), self._send(token, sender, to, amount), self._balance(token, to))
                for token, sender, to, amount in moves
            ]
        )
        return [
            _move_verdict(token, sender, amount=amount, run=run)
            for (token, sender, _, amount), run in zip(moves, runs, strict=True)
        ]

    async def v2_fee(self, pool: Address, token0: Address, token1: Address) -> FeeProof:
        """The fee that explains exactly what the pair accepts, in both directions."""
        proofs = [await self._v2_fee_one_way(pool, a, b) for a, b in ((token0, token1), (token1, token0))]
        for proof in proofs:
            if proof.fee_pips is None:
                return proof
        if proofs[0].fee_pips != proofs[1].fee_pips:
            return FeeProof(None, f"{proofs[0].fee_pips} pips one way, {proofs[1].fee_pips} the other")
        assumed = tuple(dict.fromkeys((*proofs[0].assumed, *proofs[1].assumed)))
        return FeeProof(proofs[0].fee_pips, proofs[0].detail, assumed)

    async def _v2_fee_one_way(self, pool: Address, token_in: Address, token_out: Address) -> FeeProof:
        held = await self._run([(self._balance(token_in, pool),), (self._balance(token_out, pool),)])
        balance_in, balance_out = map(_number, held)
        sizes = [balance_in // divisor for divisor in _DIVISORS]
        if not all(sizes) or balance_out // max(_DIVISORS) < _LEAST_OUTPUT:
            return FeeProof(None, f"too little liquidity to tell a fee: {balance_in} and {balance_out}")

        def trade(amount: int, amount_out: int) -> tuple[Call, ...]:
            return (
                self._send(token_in, pool, self._probe, amount),
                self._call(self._probe, pool, _SYNC),
                self._send(token_in, self._probe, pool, amount),
                self._swap(pool, amount_out, is_token0_out=token_out < token_in),
                self._balance(token_out, self._probe),
            )

        def output(amount: int, fee_pips: int) -> int:
            # The pair was synced to what it held while the probe had `amount`; floor, as every V2 quote.
            kept = amount * (PIPS - fee_pips)
            return kept * balance_out // ((balance_in - amount) * PIPS + kept)

        grid = [bps * _PIPS_PER_BPS for bps in range(_MAX_FEE_BPS + 1)]
        fee_pips, assumed = await self._least_accepted(trade, output, sizes[0], grid)
        if fee_pips is None:
            return FeeProof(None, f"no fee up to {_MAX_FEE_BPS} bps is accepted", assumed)
        if fee_pips and await self._accepts(trade(sizes[0], output(sizes[0], fee_pips) + 1)):
            fine = list(range(fee_pips - _PIPS_PER_BPS + 1, fee_pips + 1))
            fee_pips, _ = await self._least_accepted(trade, output, sizes[0], fine)
            assert fee_pips is not None, "the coarse grid accepted the last of the fine one"
        for amount in sizes:
            out = output(amount, fee_pips)
            runs = await self._run([trade(amount, out), trade(amount, out + 1)])
            if not _delivers(runs[0], out) or _is_accepted(runs[1]):
                return FeeProof(None, f"{fee_pips} pips does not explain a trade of {amount}", assumed)
        return FeeProof(fee_pips, "one unit more is refused at three sizes in both directions", assumed)

    async def _least_accepted(
        self,
        trade: Callable[[int, int], tuple[Call, ...]],
        output: Callable[[int, int], int],
        amount: int,
        grid: list[int],
    ) -> tuple[int | None, tuple[Slot, ...]]:
        """The smallest fee of the ascending grid whose output the pair accepts, by bisection: acceptance is monotone."""
        last = (await self._run([trade(amount, output(amount, grid[-1]))]))[0]
        assumed = last.missing
        if not _is_accepted(last):
            return None, assumed
        low, high = 0, len(grid) - 1
        while low < high:
            middle = (low + high) // 2
            if await self._accepts(trade(amount, output(amount, grid[middle]))):
                high = middle
            else:
                low = middle + 1
        return grid[high], assumed

    async def _accepts(self, calls: tuple[Call, ...]) -> bool:
        return _is_accepted((await self._run([calls]))[0])

    async def _run(self, sequences: list[tuple[Call, ...]]) -> list[Simulation]:
        return await self._simulator.simulate(sequences, self._env)

    def _call(self, sender: Address, to: Address, data: bytes) -> Call:
        return Call(sender=sender, to=to, data=data, gas=_GAS)

    def _send(self, token: Address, sender: Address, to: Address, amount: int) -> Call:
        return self._call(sender, token, _TRANSFER + to.rjust(32, b"\0") + _word(amount))

    def _balance(self, token: Address, holder: Address) -> Call:
        return self._call(self._probe, token, _BALANCE_OF + holder.rjust(32, b"\0"))

    def _swap(self, pool: Address, amount_out: int, *, is_token0_out: bool) -> Call:
        amounts = (amount_out, 0) if is_token0_out else (0, amount_out)
        to = self._probe.rjust(32, b"\0")
        return self._call(self._probe, pool, _SWAP + b"".join(map(_word, amounts)) + to + _word(128) + _word(0))


def _number(simulation: Simulation) -> int:
    """What the last call returned; 0 where it did not."""
    if not simulation.calls or not simulation.calls[-1].is_success:
        return 0
    return int.from_bytes(simulation.calls[-1].return_data[:32], "big")


def _is_accepted(simulation: Simulation) -> bool:
    return bool(simulation.calls) and all(call.is_success for call in simulation.calls)


def _delivers(simulation: Simulation, amount_out: int) -> bool:
    return _is_accepted(simulation) and _number(simulation) == amount_out


def _token_verdict(token: Address, pool: Address, *, amount: int, before: int, run: Simulation) -> TokenVerdict:
    if not run.calls or not before:
        return TokenVerdict(token, pool, None, run.refused or "the state does not tell", run.missing)
    if not all(call.is_success for call in run.calls[:2]):
        return TokenVerdict(token, pool, None, "a plain transfer reverts for a stranger", run.missing)
    received = int.from_bytes(run.calls[1].return_data[:32], "big")
    if received != amount:  # then the way back reverts: the probe does not hold what it should return
        detail = f"of {amount} sent by the pool {received} arrived"
        return TokenVerdict(token, pool, _false_if_known(run), detail, run.missing)
    if not all(call.is_success for call in run.calls):
        return TokenVerdict(token, pool, None, "a plain transfer reverts for a stranger", run.missing)
    after = int.from_bytes(run.calls[3].return_data[:32], "big")
    if after != before:
        detail = f"of {amount} sent to the pool {amount - before + after} arrived"
        return TokenVerdict(token, pool, _false_if_known(run), detail, run.missing)
    return TokenVerdict(token, pool, True, "", run.missing)


def _move_verdict(token: Address, sender: Address, *, amount: int, run: Simulation) -> TokenVerdict:
    if not run.calls:
        return TokenVerdict(token, sender, None, run.refused or "the state does not tell", run.missing)
    before, sent, after = run.calls
    if not sent.is_success:
        return TokenVerdict(token, sender, None, "the transfer reverts", run.missing)
    arrived = int.from_bytes(after.return_data[:32], "big") - int.from_bytes(before.return_data[:32], "big")
    detail = "" if arrived == amount else f"of {amount} sent {arrived} arrive"
    is_plain = True if arrived == amount else _false_if_known(run)
    return TokenVerdict(token, sender, is_plain, detail, run.missing)


def _false_if_known(run: Simulation) -> bool | None:
    """A tax that was seen on state taken as zero is no tax: an exemption may stand in the slot that is missing."""
    return None if run.missing else False
