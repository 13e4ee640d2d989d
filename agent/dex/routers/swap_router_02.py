"""Uniswap's SwapRouter02: V2 and V3 in one, deadlines on the batch, and amounts of 0 for what the router holds.

Source of truth: swap-router-contracts `V2SwapRouter.sol`, `V3SwapRouter.sol`, `base/*.sol`. Address 1 as recipient is
the sender, 2 the router. Its V2 part looks at the pairs' balances, like Router02's functions for tokens with a fee.
"""

from __future__ import annotations

from agent.dex.routers.book import Book, refuse, v2_path
from agent.dex.routers.plan import Payer, V2Swap, Why
from agent.dex.routers.swap_router import MULTICALL, along, read_payment, single
from agent.eth.abi import decode, selector
from agent.eth.units import Address

ROUTER_ITSELF = Address(bytes(19) + b"\2")

_SINGLE = "(address,address,uint24,address,uint256,uint256,uint160)"
_PATH = "(bytes,address,uint256,uint256)"
EXACT_INPUT_SINGLE = selector(f"exactInputSingle({_SINGLE})")
EXACT_OUTPUT_SINGLE = selector(f"exactOutputSingle({_SINGLE})")
EXACT_INPUT = selector(f"exactInput({_PATH})")
EXACT_OUTPUT = selector(f"exactOutput({_PATH})")
_V2 = ("uint256", "uint256", "address[]", "address")
V2_EXACT_INPUT = selector(f"swapExactTokensForTokens({','.join(_V2)})")
V2_EXACT_OUTPUT = selector(f"swapTokensForExactTokens({','.join(_V2)})")
MULTICALL_UNTIL = selector("multicall(uint256,bytes[])")


def read(book: Book, data: bytes) -> None:
    """One call of the router."""
    if data[:4] == MULTICALL:
        (calls,) = decode(("bytes[]",), data[4:])
    elif data[:4] == MULTICALL_UNTIL:
        deadline_s, calls = decode(("uint256", "bytes[]"), data[4:])
        book.expires(deadline_s)
    else:
        calls = [data]
    for call in calls:
        _read_one(book, call)


def mapped(book: Book, recipient: Address) -> Address:
    """The recipient with the router's own name in place of its stand-in."""
    return book.router if recipient == ROUTER_ITSELF else recipient


def _read_one(book: Book, data: bytes) -> None:
    name, body = data[:4], data[4:]
    if name in (EXACT_INPUT_SINGLE, EXACT_OUTPUT_SINGLE):
        ((token_in, token_out, fee, recipient, amount, limit, price_limit),) = decode((_SINGLE,), body)
        is_exact_in = name == EXACT_INPUT_SINGLE
        named = amount if amount or not is_exact_in else None
        single(book, token_in, token_out, fee, mapped(book, recipient), named, limit, price_limit, is_exact_in)
    elif name in (EXACT_INPUT, EXACT_OUTPUT):
        ((packed, recipient, amount, limit),) = decode((_PATH,), body)
        is_exact_in = name == EXACT_INPUT
        named = amount if amount or not is_exact_in else None
        along(book, packed, mapped(book, recipient), named, limit, is_exact_in=is_exact_in)
    elif name in (V2_EXACT_INPUT, V2_EXACT_OUTPUT):
        amount, limit, path, recipient = decode(_V2, body)
        is_exact_in = name == V2_EXACT_INPUT
        named = amount if amount or not is_exact_in else None
        book.add(
            V2Swap(
                factory=book.v2,
                path=v2_path(path),
                amount=named,
                is_exact_in=is_exact_in,
                limit_amount=limit,
                recipient=mapped(book, recipient),
                payer=Payer.ROUTER if named is None else Payer.SENDER,
                is_fixed=False,
            )
        )
    elif not read_payment(book, name, body):
        refuse(Why.FUNCTION, name.hex())
