"""Uniswap's UniversalRouter: a string of one-byte commands, each with its own encoded input.

Source of truth: universal-router `base/Dispatcher.sol`, `modules/Payments.sol`, `modules/uniswap/v2|v3/*.sol`. The
commands read here are the same in all deployed versions. Address 1 as recipient is the sender, 2 the router; an amount
of 2²⁵⁵ is all that the router holds, and a V2 input of 0 says that the pair was paid before. A command with the flag
"may revert" is read as one without: swaps run inside the router's own frame, so their reverts end everything.
"""

from __future__ import annotations

from typing import Any

from agent.dex.routers.book import Book, refuse, v2_path, v3_path
from agent.dex.routers.plan import Payer, Pull, Send, SendShare, Unwrap, V2Swap, V3Swap, Why, Wrap
from agent.dex.routers.swap_router_02 import mapped
from agent.eth.abi import decode, selector

EXECUTE = selector("execute(bytes,bytes[])")
EXECUTE_UNTIL = selector("execute(bytes,bytes[],uint256)")
ALL_HELD = 1 << 255

_COMMAND_BITS = 0x3F
V3_EXACT_IN, V3_EXACT_OUT, PULL, PERMIT_BATCH, SWEEP, TRANSFER, PAY_PORTION = range(7)
V2_EXACT_IN, V2_EXACT_OUT, PERMIT, WRAP, UNWRAP = range(0x08, 0x0D)

_V3 = ("address", "uint256", "uint256", "bytes", "bool")
_V2 = ("address", "uint256", "uint256", "address[]", "bool")
_PAYMENT = ("address", "address", "uint256")
_ETHER = ("address", "uint256")


def read(book: Book, data: bytes) -> None:
    """One call of the router."""
    if data[:4] == EXECUTE_UNTIL:
        commands, inputs, deadline_s = decode(("bytes", "bytes[]", "uint256"), data[4:])
        book.expires(deadline_s)
    elif data[:4] == EXECUTE:
        commands, inputs = decode(("bytes", "bytes[]"), data[4:])
    else:
        refuse(Why.FUNCTION, data[:4].hex())
    if len(commands) != len(inputs):
        refuse(Why.MALFORMED, f"{len(commands)} commands, {len(inputs)} inputs")
    for command, body in zip(commands, inputs, strict=True):
        _read_one(book, command & _COMMAND_BITS, body)


def _read_one(book: Book, command: int, body: bytes) -> None:
    if command in (V2_EXACT_IN, V2_EXACT_OUT):
        book.add(_v2_swap(book, decode(_V2, body), is_exact_in=command == V2_EXACT_IN))
    elif command in (V3_EXACT_IN, V3_EXACT_OUT):
        book.add(_v3_swap(book, decode(_V3, body), is_exact_in=command == V3_EXACT_IN))
    elif command in (PERMIT, PERMIT_BATCH):
        return
    elif command == WRAP:
        recipient, amount = decode(_ETHER, body)
        book.add(Wrap(mapped(book, recipient), None if amount == ALL_HELD else amount))
    elif command == UNWRAP:
        recipient, least = decode(_ETHER, body)
        book.add(Unwrap(mapped(book, recipient), least))
    elif command == SWEEP:
        token, recipient, least = decode(_PAYMENT, body)
        book.add(Send(token, mapped(book, recipient), None, least))
    elif command == TRANSFER:
        token, recipient, amount = decode(_PAYMENT, body)
        book.add(Send(token, mapped(book, recipient), None if amount == ALL_HELD else amount))
    elif command == PAY_PORTION:
        token, recipient, share_bps = decode(_PAYMENT, body)
        book.add(SendShare(token, mapped(book, recipient), share_bps))
    elif command == PULL:
        token, recipient, amount = decode(("address", "address", "uint160"), body)
        book.add(Pull(token, mapped(book, recipient), amount))
    else:
        refuse(Why.COMMAND, f"0x{command:02x}")


def _v2_swap(book: Book, values: tuple[Any, ...], *, is_exact_in: bool) -> V2Swap:
    recipient, amount, limit_amount, path, is_user = values
    payer = Payer.SENDER if is_user else Payer.ROUTER
    if is_exact_in and not amount:
        payer = Payer.NOBODY
    return V2Swap(
        factory=book.v2,
        path=v2_path(path),
        amount=_held(amount, payer, is_exact_in=is_exact_in),
        is_exact_in=is_exact_in,
        limit_amount=limit_amount,
        recipient=mapped(book, recipient),
        payer=payer,
        is_fixed=False,
    )


def _v3_swap(book: Book, values: tuple[Any, ...], *, is_exact_in: bool) -> V3Swap:
    recipient, amount, limit_amount, packed, is_user = values
    path, fees_pips = v3_path(packed, is_exact_in=is_exact_in)
    payer = Payer.SENDER if is_user else Payer.ROUTER
    return V3Swap(
        factory=book.v3,
        path=path,
        fees_pips=fees_pips,
        amount=_held(amount, payer, is_exact_in=is_exact_in),
        is_exact_in=is_exact_in,
        limit_amount=limit_amount,
        recipient=mapped(book, recipient),
        payer=payer,
    )


def _held(amount: int, payer: Payer, *, is_exact_in: bool) -> int | None:
    """The amount, or None where it stands for all that the router holds."""
    if amount != ALL_HELD or not is_exact_in:
        return amount
    if payer is Payer.SENDER:
        refuse(Why.MALFORMED, "all that the router holds, paid by the sender")
    return None
