"""Who owns what in the slice: the words of every token, whose supply is the sum of what is held.

Users hold the same worth of each token and have given the routers the usual unlimited allowance, as most traders
of those routers have. WETH is backed by ether to the wei.
"""

from __future__ import annotations

from agent.devnet.slice import token_code
from agent.devnet.slice.storage import (
    WETH9_ALLOWANCE_SLOT,
    WETH9_BALANCE_SLOT,
    Write,
    allowance_slot,
    mapping_slot,
    short_string,
)
from agent.devnet.slice.world import Slice
from agent.eth.units import UINT256_MAX, Address

USER_HOLDS_USD = 5_000_000


def balance_writes(
    world: Slice, holdings: dict[tuple[Address, Address], int]
) -> tuple[list[tuple[Address, list[Write]]], int]:
    """Storage writes per token, and the wei that WETH must hold.

    `holdings` are the balances of the pools by (token, owner), in raw units; users' are added here.
    """
    routers = (world.contracts.v2_router, world.contracts.sushi_router, world.contracts.v3_router)
    result: list[tuple[Address, list[Write]]] = []
    weth_wei = 0
    for token in world.tokens:
        is_weth = token.address == world.contracts.weth
        balance_slot = WETH9_BALANCE_SLOT if is_weth else token_code.BALANCE_SLOT
        approval_slot = WETH9_ALLOWANCE_SLOT if is_weth else token_code.ALLOWANCE_SLOT
        balances = {owner: amount for (address, owner), amount in holdings.items() if address == token.address}
        for user in world.users:
            balances[user.address] = token.amount_of_usd(USER_HOLDS_USD)
        writes: list[Write] = [(mapping_slot(owner, balance_slot), amount) for owner, amount in balances.items()]
        writes += [
            (allowance_slot(user.address, router, approval_slot), UINT256_MAX)
            for user in world.users
            for router in routers
        ]
        total = sum(balances.values())
        if is_weth:
            weth_wei = total
            writes += [(0, short_string("Wrapped Ether")), (1, short_string("WETH")), (2, token.decimals)]
        else:
            writes += [
                (token_code.TOTAL_SUPPLY_SLOT, total),
                (token_code.DECIMALS_SLOT, token.decimals),
                (token_code.NAME_SLOT, short_string(token.name)),
                (token_code.SYMBOL_SLOT, short_string(token.symbol)),
            ]
        result.append((token.address, writes))
    return result, weth_wei
