"""Uniswap V2's Router02 and its copies: fifteen functions, nine of which swap.

Source of truth: v2-periphery `UniswapV2Router02.sol`. Amounts of a path are computed from the reserves beforehand; the
functions for tokens that take a fee look at balances instead.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.dex.routers.book import Book, refuse, v2_path
from agent.dex.routers.plan import Payer, Unwrap, V2Swap, Why
from agent.eth.abi import decode, selector


class _Function(NamedTuple):
    is_exact_in: bool
    pays_ether: bool
    gets_ether: bool
    is_fixed: bool


_TWO_AMOUNTS = ("uint256", "uint256", "address[]", "address", "uint256")
_ONE_AMOUNT = ("uint256", "address[]", "address", "uint256")


def _functions() -> dict[bytes, _Function]:
    rows = {
        "swapExactTokensForTokens": _Function(True, False, False, True),
        "swapTokensForExactTokens": _Function(False, False, False, True),
        "swapExactETHForTokens": _Function(True, True, False, True),
        "swapTokensForExactETH": _Function(False, False, True, True),
        "swapExactTokensForETH": _Function(True, False, True, True),
        "swapETHForExactTokens": _Function(False, True, False, True),
        "swapExactTokensForTokensSupportingFeeOnTransferTokens": _Function(True, False, False, False),
        "swapExactETHForTokensSupportingFeeOnTransferTokens": _Function(True, True, False, False),
        "swapExactTokensForETHSupportingFeeOnTransferTokens": _Function(True, False, True, False),
    }
    return {
        selector(f"{name}({','.join(_ONE_AMOUNT if row.pays_ether else _TWO_AMOUNTS)})"): row
        for name, row in rows.items()
    }


FUNCTIONS = _functions()


def read(book: Book, data: bytes) -> None:
    """One call of the router."""
    function = FUNCTIONS.get(data[:4])
    if function is None:
        refuse(Why.FUNCTION, data[:4].hex())
    if function.pays_ether:
        named, path, recipient, deadline_s = decode(_ONE_AMOUNT, data[4:])
        amount, limit_amount = (book.value_wei, named) if function.is_exact_in else (named, book.value_wei)
    else:
        amount, limit_amount, path, recipient, deadline_s = decode(_TWO_AMOUNTS, data[4:])
        if book.value_wei:
            refuse(Why.MALFORMED, "ether for a function that takes none")
    tokens = v2_path(path)
    if (function.pays_ether and tokens[0] != book.weth) or (function.gets_ether and tokens[-1] != book.weth):
        refuse(Why.MALFORMED, "the path has no WETH where ether is swapped")
    book.expires(deadline_s)
    book.add(
        V2Swap(
            factory=book.v2,
            path=tokens,
            amount=amount,
            is_exact_in=function.is_exact_in,
            limit_amount=limit_amount,
            recipient=book.router if function.gets_ether else recipient,
            payer=Payer.SENDER,
            is_fixed=function.is_fixed,
        )
    )
    if function.gets_ether:
        book.add(Unwrap(recipient, 0))
