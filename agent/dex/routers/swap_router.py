"""Uniswap V3's SwapRouter: four functions that swap, `multicall`, and what people put around them.

Source of truth: v3-periphery `SwapRouter.sol` and `base/*.sol`. The zero address as recipient is the router itself.
"""

from __future__ import annotations

from agent.dex.routers.book import Book, refuse, v2_path, v3_path
from agent.dex.routers.plan import SENDER, Payer, Pull, Send, Unwrap, V3Swap, Why, Wrap
from agent.eth.abi import decode, selector
from agent.eth.units import ZERO_ADDRESS, Address

_SINGLE = "(address,address,uint24,address,uint256,uint256,uint256,uint160)"
_PATH = "(bytes,address,uint256,uint256,uint256)"
EXACT_INPUT_SINGLE = selector(f"exactInputSingle({_SINGLE})")
EXACT_OUTPUT_SINGLE = selector(f"exactOutputSingle({_SINGLE})")
EXACT_INPUT = selector(f"exactInput({_PATH})")
EXACT_OUTPUT = selector(f"exactOutput({_PATH})")
MULTICALL = selector("multicall(bytes[])")

_PERMIT_TAIL = "uint256,uint256,uint8,bytes32,bytes32"
WITHOUT_EFFECT = frozenset(
    selector(text)
    for text in (
        "refundETH()",
        f"selfPermit(address,{_PERMIT_TAIL})",
        f"selfPermitIfNecessary(address,{_PERMIT_TAIL})",
        f"selfPermitAllowed(address,{_PERMIT_TAIL})",
        f"selfPermitAllowedIfNecessary(address,{_PERMIT_TAIL})",
    )
)
"""They move no token that a later step counts on. `refundETH` ends a batch, and swaps of ether have come before it."""

_UNWRAP = selector("unwrapWETH9(uint256,address)")
_UNWRAP_WITH_FEE = selector("unwrapWETH9WithFee(uint256,address,uint256,address)")
_SWEEP = selector("sweepToken(address,uint256,address)")
_SWEEP_WITH_FEE = selector("sweepTokenWithFee(address,uint256,address,uint256,address)")
_UNWRAP_TO_SENDER = selector("unwrapWETH9(uint256)")
_SWEEP_TO_SENDER = selector("sweepToken(address,uint256)")
_WRAP = selector("wrapETH(uint256)")
_PULL = selector("pull(address,uint256)")


def read(book: Book, data: bytes) -> None:
    """One call of the router."""
    if data[:4] == MULTICALL:
        (calls,) = decode(("bytes[]",), data[4:])
        for call in calls:
            _read_one(book, call)
    else:
        _read_one(book, data)


def _read_one(book: Book, data: bytes) -> None:
    name, body = data[:4], data[4:]
    if name in (EXACT_INPUT_SINGLE, EXACT_OUTPUT_SINGLE):
        ((token_in, token_out, fee, recipient, deadline_s, amount, limit, price_limit),) = decode((_SINGLE,), body)
        book.expires(deadline_s)
        is_exact_in = name == EXACT_INPUT_SINGLE
        single(book, token_in, token_out, fee, _mapped(book, recipient), amount, limit, price_limit, is_exact_in)
    elif name in (EXACT_INPUT, EXACT_OUTPUT):
        ((packed, recipient, deadline_s, amount, limit),) = decode((_PATH,), body)
        book.expires(deadline_s)
        along(book, packed, _mapped(book, recipient), amount, limit, is_exact_in=name == EXACT_INPUT)
    elif not read_payment(book, name, body):
        refuse(Why.FUNCTION, name.hex())


def _mapped(book: Book, recipient: Address) -> Address:
    return book.router if recipient == ZERO_ADDRESS else recipient


def single(
    book: Book,
    token_in: Address,
    token_out: Address,
    fee_pips: int,
    recipient: Address,
    amount: int | None,
    limit_amount: int,
    price_limit: int,
    is_exact_in: bool,
) -> None:
    """One swap through one pool. `amount` None: what the router holds."""
    book.add(
        V3Swap(
            factory=book.v3,
            path=v2_path([token_in, token_out]),
            fees_pips=(fee_pips,),
            amount=amount,
            is_exact_in=is_exact_in,
            limit_amount=limit_amount,
            recipient=recipient,
            payer=Payer.ROUTER if amount is None else Payer.SENDER,
            sqrt_price_limit_x96=price_limit,
        )
    )


def along(
    book: Book, packed: bytes, recipient: Address, amount: int | None, limit_amount: int, *, is_exact_in: bool
) -> None:
    """One swap along a packed path. `amount` None: what the router holds."""
    path, fees_pips = v3_path(packed, is_exact_in=is_exact_in)
    book.add(
        V3Swap(
            factory=book.v3,
            path=path,
            fees_pips=fees_pips,
            amount=amount,
            is_exact_in=is_exact_in,
            limit_amount=limit_amount,
            recipient=recipient,
            payer=Payer.ROUTER if amount is None else Payer.SENDER,
        )
    )


def read_payment(book: Book, name: bytes, body: bytes) -> bool:
    """Calls around the swaps, of both this router and the next; False for any other."""
    if name in WITHOUT_EFFECT:
        return True
    if name == _UNWRAP:
        least, recipient = decode(("uint256", "address"), body)
        book.add(Unwrap(recipient, least))
    elif name == _UNWRAP_WITH_FEE:
        least, recipient, _, _ = decode(("uint256", "address", "uint256", "address"), body)
        book.add(Unwrap(recipient, least))
    elif name == _SWEEP:
        token, least, recipient = decode(("address", "uint256", "address"), body)
        book.add(Send(token, recipient, None, least))
    elif name == _SWEEP_WITH_FEE:
        token, least, recipient, _, _ = decode(("address", "uint256", "address", "uint256", "address"), body)
        book.add(Send(token, recipient, None, least))
    elif name == _UNWRAP_TO_SENDER:
        (least,) = decode(("uint256",), body)
        book.add(Unwrap(SENDER, least))
    elif name == _SWEEP_TO_SENDER:
        token, least = decode(("address", "uint256"), body)
        book.add(Send(token, SENDER, None, least))
    elif name == _WRAP:
        (amount,) = decode(("uint256",), body)
        book.add(Wrap(book.router, amount))
    elif name == _PULL:
        token, amount = decode(("address", "uint256"), body)
        book.add(Pull(token, book.router, amount))
    else:
        return False
    return True
