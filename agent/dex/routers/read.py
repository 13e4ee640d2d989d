"""From a transaction's recipient, calldata and value to a plan: which router it calls, and in which dialect."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.dex.factories import FACTORIES, Factory
from agent.dex.routers import swap_router, swap_router_02, universal, v2_router
from agent.dex.routers.book import Book, Unread
from agent.dex.routers.plan import NotUnderstood, Plan, Why
from agent.eth.abi import AbiError
from agent.eth.units import Address

_BY_PROTOCOL = {factory.protocol: factory for factory in FACTORIES}
WETH = Address(bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"))


class Router(msgspec.Struct, frozen=True):
    """A router, the reader of its dialect, and the factories whose pools it takes."""

    name: str
    read: Callable[[Book, bytes], None]
    v2: Factory
    v3: Factory


def _row(address: str, name: str, read: Callable[[Book, bytes], None], v2: str) -> tuple[Address, Router]:
    return Address(bytes.fromhex(address)), Router(name, read, _BY_PROTOCOL[v2], _BY_PROTOCOL["UniswapV3"])


ROUTERS: dict[Address, Router] = dict(
    (
        _row("7a250d5630b4cf539739df2c5dacb4c659f2488d", "UniswapV2Router02", v2_router.read, "UniswapV2"),
        _row("d9e1ce17f2641f24ae83637ab66a2cca9c378b9f", "SushiSwapRouter", v2_router.read, "SushiSwap"),
        _row("e592427a0aece92de3edee1f18e0157c05861564", "SwapRouter", swap_router.read, "UniswapV2"),
        _row("68b3465833fb72a70ecdf485e0e4c7bd8665fc45", "SwapRouter02", swap_router_02.read, "UniswapV2"),
        _row("ef1c6e67703c7bd7107eed8303fbe6ec2554bf6b", "UniversalRouter", universal.read, "UniswapV2"),
        _row("3fc91a3afd70395cd496c647d5a6cc9d4b2b7fad", "UniversalRouter 1.2", universal.read, "UniswapV2"),
        _row("66a9893cc07d91d95644aedd05d03f95e1dba8af", "UniversalRouter 2", universal.read, "UniswapV2"),
    )
)
"""Mainnet's, by address."""


def read_plan(*, to: Address | None, data: bytes, value_wei: int) -> Plan | NotUnderstood:
    """What the transaction asks for. Never raises, whatever the calldata holds."""
    router = None if to is None else ROUTERS.get(to)
    if to is None or router is None:
        return NotUnderstood(Why.NO_ROUTER)
    book = Book(router=to, weth=WETH, v2=router.v2, v3=router.v3, value_wei=value_wei)
    try:
        router.read(book, data)
    except Unread as end:
        return end.verdict
    except AbiError as error:
        return NotUnderstood(Why.MALFORMED, str(error))
    return book.plan()
