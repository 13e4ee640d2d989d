"""Execute one swap through one pool with real tokens, on a state that nobody has touched.

The tokens come from whoever holds them on that state: the simulation lets the holder transfer them, as a block at base
fee 0 would. So no balance is invented and no storage layout is guessed. A V2 pair is paid first and then asked for an
output; the largest it accepts is what execution gives. A V3 pool calls back for its payment, so an address of ours
carries, in the simulation alone, a few bytes of code that pay: whoever calls it back gets the positive one of the two
amounts in the token named by the swap's payload.

Sources: UniswapV2Pair.sol `swap`; UniswapV3Pool.sol `swap` and IUniswapV3SwapCallback.sol. Amounts are raw units.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.dex.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv, Call, Override, Simulation, Simulator, Slot

_TRANSFER = bytes.fromhex("a9059cbb")
_BALANCE_OF = bytes.fromhex("70a08231")
_V2_SWAP = bytes.fromhex("022c0d9f")
_V3_SWAP = bytes.fromhex("128acb08")
_GAS = 5_000_000
_FAN = 16
"""Outputs tried side by side while the largest accepted one is searched."""

PAYER_CODE = bytes.fromhex(
    "333214603a57"  # caller == origin: jump to forward
    "600435602435818112818303020"  # max(amount0, amount1), signed, of the callback's two amounts
    "163a9059cbb60e01b60005233600452602452"  # transfer(caller, that)
    "600060006044600060006084355af1"  # called on the token that the payload's first word names
    "1560635700"  # stop, or fail where the token did
    "5b6020360360206000376000600060203603600060006000355af1"  # forward: the first word is called with what follows it
    "3d600060003e156063573d6000f3"  # its answer is ours
    "5b3d600060003e3d6000fd"  # fail: its reason is ours
)


class Holder(msgspec.Struct, frozen=True):
    """Somebody with tokens on the state, and how many of them the swap takes."""

    address: Address
    amount: int


class SwapQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """One swap. `quoted_out` is where the search for a V2 pair's largest output begins."""

    pool: Address
    kind: str
    token_in: Address
    token_out: Address
    amount_in: int
    quoted_out: int
    holders: tuple[Holder, ...]


class SwapOutcome(msgspec.Struct, frozen=True):
    """What execution gives. All zero where it does not go through; unknown where `missing` is not empty."""

    amount_in: int
    amount_out: int
    """What the recipient has afterwards, by its own balance."""
    gas_used: int
    error: str = ""
    missing: tuple[Slot, ...] = ()


class SwapProbe:
    """Asks on one state. `probe` receives, `payer` pays; both are fresh addresses of ours that hold nothing."""

    def __init__(self, simulator: Simulator, env: BlockEnv, *, probe: Address, payer: Address) -> None:
        # At base fee 0 a caller needs no ETH, so holders can send their own transfers.
        self._env = msgspec.structs.replace(env, base_fee_wei=0)
        self._simulator = simulator
        self._probe = probe
        self._overrides = (Override(payer, code=PAYER_CODE),)
        self._payer = payer

    async def swap(self, question: SwapQuestion) -> SwapOutcome:
        """Execute it. ValueError for a kind that this module cannot pay."""
        if question.kind == "v3":
            return await self._v3(question)
        if question.kind == "v2":
            return await self._v2(question)
        raise ValueError(f"no way to pay a {question.kind} pool is known here")

    async def _v3(self, question: SwapQuestion) -> SwapOutcome:
        is_down = question.token_in < question.token_out
        limit = MIN_SQRT_RATIO + 1 if is_down else MAX_SQRT_RATIO - 1
        swap = _V3_SWAP + b"".join(
            (
                self._probe.rjust(32, b"\0"),
                *map(_word, (int(is_down), question.amount_in, limit, 5 * 32, 32)),
                question.token_in.rjust(32, b"\0"),
            )
        )
        forward = self._call(self._probe, self._payer, question.pool.rjust(32, b"\0") + swap)
        calls = (*self._pay(question, self._payer), forward, self._balance(question.token_out, self._probe))
        (run,) = await self._run([calls])
        outcome = _failure(run)
        if outcome is not None:
            return outcome
        answer = run.calls[-2]
        amounts = [int.from_bytes(answer.return_data[at : at + 32], "big", signed=True) for at in (0, 32)]
        return SwapOutcome(max(amounts), _number(run), answer.gas_used)

    async def _v2(self, question: SwapQuestion) -> SwapOutcome:
        """The largest output that the pair accepts: the quoted one if one more is refused, else by search."""
        first, more = await self._try_v2(question, [question.quoted_out, question.quoted_out + 1])
        if first.missing or more.missing:
            return first if first.missing else more
        if first.error and question.quoted_out:
            low, high, best = 0, question.quoted_out, SwapOutcome(0, 0, 0, first.error)
        elif more.error:
            return first
        else:
            low, high, best = question.quoted_out + 1, 2 * question.quoted_out + _FAN, more
        # Acceptance is monotone (K on fee-adjusted balances), so the interval is cut by many tries at once.
        while high - low > 1:
            step = max(1, -(-(high - low) // _FAN))  # ceiling: fewer than _FAN tries
            tries = list(range(low + step, high, step))
            for amount_out, outcome in zip(tries, await self._try_v2(question, tries), strict=True):
                if outcome.error:
                    high = amount_out
                    break
                low, best = amount_out, outcome
        return best

    async def _try_v2(self, question: SwapQuestion, outputs: Sequence[int]) -> list[SwapOutcome]:
        sequences = []
        for amount_out in outputs:
            amounts = (amount_out, 0) if question.token_out < question.token_in else (0, amount_out)
            words = (*map(_word, amounts), self._probe.rjust(32, b"\0"), _word(128), _word(0))
            swap = self._call(self._probe, question.pool, _V2_SWAP + b"".join(words))
            sequences.append(
                (*self._pay(question, question.pool), swap, self._balance(question.token_out, self._probe))
            )
        runs = await self._run(sequences)
        return [_failure(run) or SwapOutcome(question.amount_in, _number(run), run.calls[-2].gas_used) for run in runs]

    def _pay(self, question: SwapQuestion, to: Address) -> tuple[Call, ...]:
        return tuple(
            self._call(holder.address, question.token_in, _TRANSFER + to.rjust(32, b"\0") + _word(holder.amount))
            for holder in question.holders
        )

    def _call(self, sender: Address, to: Address, content: bytes) -> Call:
        return Call(sender=sender, to=to, data=content, gas=_GAS)

    def _balance(self, token: Address, holder: Address) -> Call:
        return self._call(self._probe, token, _BALANCE_OF + holder.rjust(32, b"\0"))

    async def _run(self, sequences: Sequence[tuple[Call, ...]]) -> list[Simulation]:
        return await self._simulator.simulate(list(sequences), self._env, overrides=self._overrides)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _number(run: Simulation) -> int:
    return int.from_bytes(run.calls[-1].return_data[:32], "big")


def _failure(run: Simulation) -> SwapOutcome | None:
    """The outcome of a run that did not go through or is not known; None for one that did."""
    if run.missing:
        return SwapOutcome(0, 0, 0, missing=run.missing)
    if run.refused or not run.calls:
        return SwapOutcome(0, 0, 0, run.refused or "the state does not tell")
    failed = next((position for position, call in enumerate(run.calls) if not call.is_success), None)
    if failed is None:
        return None
    what = "the swap" if failed == len(run.calls) - 2 else "a transfer" if failed < len(run.calls) - 2 else "balanceOf"
    return SwapOutcome(0, 0, 0, f"{what} reverts: {run.calls[failed].error[:120]}")
