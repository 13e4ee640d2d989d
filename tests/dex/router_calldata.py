"""Calldata of the routers as other people's encoder writes it, from the functions' own signatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import eth_abi

from agent.eth.keccak import keccak256

V2_ROUTER = bytes.fromhex("7a250d5630b4cf539739df2c5dacb4c659f2488d")
SUSHI_ROUTER = bytes.fromhex("d9e1ce17f2641f24ae83637ab66a2cca9c378b9f")
SWAP_ROUTER = bytes.fromhex("e592427a0aece92de3edee1f18e0157c05861564")
SWAP_ROUTER_02 = bytes.fromhex("68b3465833fb72a70ecdf485e0e4c7bd8665fc45")
UNIVERSAL_ROUTER = bytes.fromhex("3fc91a3afd70395cd496c647d5a6cc9d4b2b7fad")
PERMIT2 = bytes.fromhex("000000000022d473030f116ddee9f6b43ac78ba3")
WETH = bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")

SENDER, ROUTER = bytes(19) + b"\1", bytes(19) + b"\2"
"""What SwapRouter02 and UniversalRouter call the sender and themselves."""
ALL_HELD = 1 << 255

SINGLE = "(address,address,uint24,address,uint256,uint256,uint256,uint160)"
SINGLE_02 = "(address,address,uint24,address,uint256,uint256,uint160)"
ALONG = "(bytes,address,uint256,uint256,uint256)"
ALONG_02 = "(bytes,address,uint256,uint256)"
V2_SUFFIX = "SupportingFeeOnTransferTokens"


def call(name: str, types: Sequence[str], *values: Any) -> bytes:
    """Selector and arguments."""
    return keccak256(f"{name}({','.join(types)})".encode())[:4] + eth_abi.encode(types, values)


def v2(name: str, amounts: Sequence[int], path: Sequence[bytes], recipient: bytes, deadline_s: int) -> bytes:
    """One of Router02's nine; one amount for the functions that take ether."""
    types = [*["uint256"] * len(amounts), "address[]", "address", "uint256"]
    return call(name, types, *amounts, list(path), recipient, deadline_s)


def packed(path: Sequence[bytes], fees_pips: Sequence[int]) -> bytes:
    """V3's path of tokens and fees."""
    parts = [path[0]]
    for fee_pips, token in zip(fees_pips, path[1:], strict=True):
        parts += [fee_pips.to_bytes(3, "big"), token]
    return b"".join(parts)


def packed_backwards(path: Sequence[bytes], fees_pips: Sequence[int]) -> bytes:
    """The path as exact outputs have it: from the token received."""
    return packed(list(reversed(path)), list(reversed(fees_pips)))


def execute(commands: Sequence[tuple[int, bytes]], deadline_s: int | None = None) -> bytes:
    """UniversalRouter's execute, with or without deadline."""
    types, values = ["bytes", "bytes[]"], [bytes(command for command, _ in commands), [body for _, body in commands]]
    if deadline_s is None:
        return call("execute", types, *values)
    return call("execute", [*types, "uint256"], *values, deadline_s)


def u_swap_v2(*, recipient: bytes, amount: int, limit: int, path: Sequence[bytes], is_user: bool) -> bytes:
    """Input of commands 8 and 9."""
    return eth_abi.encode(
        ["address", "uint256", "uint256", "address[]", "bool"], [recipient, amount, limit, list(path), is_user]
    )


def u_swap_v3(*, recipient: bytes, amount: int, limit: int, path: bytes, is_user: bool) -> bytes:
    """Input of commands 0 and 1."""
    return eth_abi.encode(["address", "uint256", "uint256", "bytes", "bool"], [recipient, amount, limit, path, is_user])


def u_ether(recipient: bytes, amount: int) -> bytes:
    """Input of wrap and unwrap."""
    return eth_abi.encode(["address", "uint256"], [recipient, amount])


def u_token(token: bytes, recipient: bytes, amount: int) -> bytes:
    """Input of sweep, transfer, portion and pull."""
    return eth_abi.encode(["address", "address", "uint256"], [token, recipient, amount])
