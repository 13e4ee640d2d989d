"""`mev-agent quote`: one swap as we compute it, beside what execution on the fork of the block's parent gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.chain.discovery import view
from agent.chain.token_names import token_names
from agent.devnet.case import load_case
from agent.devnet.case_world import CaseWorld
from agent.dex.pool import Completeness, Pool, Quote
from agent.errors import SetupError, UsageError
from agent.eth.hexes import to_data
from agent.eth.keccak import keccak256
from agent.eth.units import Address
from agent.observe.report import slot_pair
from agent.observe.spread_table import units
from agent.requests import Answer, QuoteRequest, Say
from agent.session.loop import run_loop
from agent.sim.node import NodeSimulator
from agent.sim.swap_probe import Holder, SwapOutcome, SwapProbe, SwapQuestion

UNKNOWN = 7
"""Exit code of a result that is neither yes nor no."""
SLOTS_SHOWN = 4
_BALANCE_OF = keccak256(b"balanceOf(address)")[:4]
_HOW = "real tokens of holders on this state, moved by their own transfer inside the simulation; no balance is invented"


def quote(request: QuoteRequest, say: Say) -> Answer:
    """Exit code 0 where both agree to the last unit, 1 where they differ, 7 where the state does not tell."""
    return run_loop(_quote(request, say))


async def _quote(request: QuoteRequest, say: Say) -> Answer:
    case = load_case(request.case)
    say(f"block {case.number}: forking its parent, reading its pools")
    world = await CaseWorld.open(case)
    try:
        await world.node.position(None)
        return await quote_in(
            world, pool=Address(request.pool), token_in=Address(request.token_in), amount_in=request.amount_in
        )
    finally:
        await world.close()


async def quote_in(world: CaseWorld, *, pool: Address, token_in: Address, amount_in: int) -> Answer:
    """The answer in a world that stands at its parent."""
    asked = _pool(world, pool)
    if token_in not in (asked.token0, asked.token1):
        raise UsageError(
            f"{to_data(token_in)} is not a token of the pool",
            hint=f"its tokens are {to_data(asked.token0)} and {to_data(asked.token1)}",
        )
    quoted = asked.quote_exact_in(token_in, amount_in)
    holders = await _holders(world, asked, token_in, amount_in)
    return await _compared(world, asked, token_in, amount_in, quoted, holders)


def _pool(world: CaseWorld, address: Address) -> Pool:
    pool = world.pools.get(address)
    if pool is not None:
        return pool
    for left_out in world.left_out:
        if left_out.pool == address:
            raise SetupError(
                f"the pool is left out: {left_out.reason}: {left_out.detail}",
                where=to_data(address),
                hint="what cannot be proved is not quoted; choose another pool",
            )
    raise SetupError(
        "no pool that we can quote is at this address in this block",
        where=to_data(address),
        hint="`mev-agent spreads --case` lists pools; a case holds those that its block touched",
    )


async def _holders(world: CaseWorld, pool: Pool, token: Address, amount: int) -> tuple[Holder, ...]:
    """Who pays: as few as possible of those that hold most, the pool itself never."""
    known = [record.address for record in world.records if token in (record.token0, record.token1)]
    found = await _balances(world, token, [address for address in known if address != pool.address])
    if sum(found.values()) < amount:
        others = [address for address in world.case.accounts if address not in found and address != pool.address]
        found |= await _balances(world, token, others)
    chosen: list[Holder] = []
    open_amount = amount
    for address, balance in sorted(found.items(), key=lambda row: (-row[1], row[0])):
        if not open_amount:
            break
        part = min(balance, open_amount)
        if part:
            chosen.append(Holder(address, part))
            open_amount -= part
    if open_amount:
        raise SetupError(
            f"nobody on this state holds so much: {amount - open_amount} of {amount}",
            where=to_data(token),
            hint="ask for a smaller --amount-in; no balance is invented for a quote",
        )
    return tuple(chosen)


async def _balances(world: CaseWorld, token: Address, accounts: Sequence[Address]) -> dict[Address, int]:
    calls = [(token, _BALANCE_OF + account.rjust(32, b"\0")) for account in accounts]
    answers = await view(world.node.anvil.rpc, calls, sender=world.identities.probe, block="latest")
    return {
        account: int.from_bytes(answer[:32], "big")
        for account, answer in zip(accounts, answers, strict=True)
        if answer is not None
    }


async def _compared(
    world: CaseWorld, pool: Pool, token_in: Address, amount_in: int, quoted: Quote, holders: tuple[Holder, ...]
) -> Answer:
    token_out = pool.token1 if token_in == pool.token0 else pool.token0
    rpc, ours = world.node.anvil.rpc, world.identities
    probe = SwapProbe(NodeSimulator(rpc), world.node.env, probe=ours.probe, payer=ours.owner.address)
    executed = await probe.swap(
        SwapQuestion(
            pool=pool.address,
            kind=pool.kind,
            token_in=token_in,
            token_out=token_out,
            amount_in=amount_in,
            quoted_out=quoted.amount_out,
            holders=holders,
        )
    )
    is_known = not executed.missing and quoted.completeness is not Completeness.UNKNOWN
    is_equal = not executed.error and (executed.amount_in, executed.amount_out) == (quoted.amount_in, quoted.amount_out)
    names = await token_names(rpc, [token_in, token_out], sender=ours.probe)
    found: dict[str, Any] = {
        "block": world.case.number,
        "state": to_data(world.case.parent.hash),
        "pool": to_data(pool.address),
        "kind": pool.kind,
        "fee_pips": pool.fee_pips,
        "token_in": to_data(token_in),
        "token_out": to_data(token_out),
        "amount_in": str(amount_in),
        "quoted": {
            "amount_in": str(quoted.amount_in),
            "amount_out": str(quoted.amount_out),
            "completeness": quoted.completeness.value,
        },
        "executed": None
        if executed.missing
        else {
            "amount_in": str(executed.amount_in),
            "amount_out": str(executed.amount_out),
            "gas_used": executed.gas_used,
            "error": executed.error,
        },
        "verdict": "unknown" if not is_known else "equal" if is_equal else "differs",
        "missing": [slot_pair(slot) for slot in executed.missing],
        "holders": [to_data(holder.address) for holder in holders],
        "how": _HOW,
    }
    symbol_in, symbol_out = names[token_in].symbol, names[token_out].symbol
    lines = [
        f"{pool.kind} {to_data(pool.address)}  fee {pool.fee_pips / 10_000:g} %  parent of block {world.case.number}",
        f"  asked     {amount_in} of {symbol_in} ({units(amount_in, names[token_in].decimals)})",
        f"  quoted    {quoted.amount_in} → {quoted.amount_out} of {symbol_out} "
        f"({units(quoted.amount_out, names[token_out].decimals)}), {quoted.completeness.value}",
        _executed_line(executed),
        f"  verdict   {_verdict(is_known=is_known, is_equal=is_equal, quoted=quoted)}",
        f"  how       {_HOW}",
    ]
    exit_code = UNKNOWN if not is_known else 0 if is_equal else 1
    return Answer(data=found, text="\n".join(lines), exit_code=exit_code)


def _executed_line(executed: SwapOutcome) -> str:
    if executed.missing:
        slots = "; ".join(
            f"{to_data(slot.address)}" + ("" if slot.slot is None else f" slot {slot.slot:#x}")
            for slot in executed.missing[:SLOTS_SHOWN]
        )
        more = len(executed.missing) - SLOTS_SHOWN
        return f"  executed  unknown: the case lacks {slots}" + (f" and {more} more, see --json" if more > 0 else "")
    if executed.error:
        return f"  executed  {executed.error}"
    return f"  executed  {executed.amount_in} → {executed.amount_out}, {executed.gas_used} gas"


def _verdict(*, is_known: bool, is_equal: bool, quoted: Quote) -> str:
    if not is_known:
        edge = quoted.completeness is Completeness.UNKNOWN
        return "unknown" + (": the quote reaches the edge of what is known of the pool" if edge else "")
    return (
        "equal to the last unit" if is_equal else "they DIFFER: the quote, the pool or its token is not what it seems"
    )
