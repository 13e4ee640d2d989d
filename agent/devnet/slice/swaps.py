"""Calldata of the routers' four calls that the slice's users make.

Amounts are raw units, deadlines seconds. Sources: v2-periphery `IUniswapV2Router01.sol`, v3-periphery
`ISwapRouter.sol`.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.eth.keccak import keccak256
from agent.eth.units import Address

_EXACT_TOKENS = keccak256(b"swapExactTokensForTokens(uint256,uint256,address[],address,uint256)")[:4]
_EXACT_ETH = keccak256(b"swapExactETHForTokens(uint256,address[],address,uint256)")[:4]
_EXACT_SINGLE = keccak256(b"exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))")[:4]
_EXACT_PATH = keccak256(b"exactInput((bytes,address,uint256,uint256,uint256))")[:4]


def v2_swap_tokens(
    *, amount_in: int, minimum_out: int, path: Sequence[Address], recipient: Address, deadline_s: int
) -> bytes:
    """Router02.swapExactTokensForTokens."""
    head = _words(amount_in, minimum_out, 5 * 32, recipient, deadline_s)
    return _EXACT_TOKENS + head + _words(len(path), *path)


def v2_swap_ether(*, minimum_out: int, path: Sequence[Address], recipient: Address, deadline_s: int) -> bytes:
    """Router02.swapExactETHForTokens; the input is the transaction's value and path[0] is WETH."""
    return _EXACT_ETH + _words(minimum_out, 4 * 32, recipient, deadline_s) + _words(len(path), *path)


def v3_swap_single(
    *,
    amount_in: int,
    minimum_out: int,
    token_in: Address,
    token_out: Address,
    fee_pips: int,
    recipient: Address,
    deadline_s: int,
) -> bytes:
    """SwapRouter.exactInputSingle without a price limit."""
    return _EXACT_SINGLE + _words(token_in, token_out, fee_pips, recipient, deadline_s, amount_in, minimum_out, 0)


def v3_swap_path(
    *,
    amount_in: int,
    minimum_out: int,
    path: Sequence[Address],
    fees_pips: Sequence[int],
    recipient: Address,
    deadline_s: int,
) -> bytes:
    """SwapRouter.exactInput along `path`, whose consecutive tokens trade in pools of `fees_pips`."""
    packed = bytes(path[0])
    for fee_pips, token in zip(fees_pips, path[1:], strict=True):
        packed += fee_pips.to_bytes(3, "big") + token
    head = _words(32, 5 * 32, recipient, deadline_s, amount_in, minimum_out, len(packed))
    return _EXACT_PATH + head + packed + bytes(-len(packed) % 32)


def _words(*values: int | bytes) -> bytes:
    return b"".join(value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0") for value in values)
