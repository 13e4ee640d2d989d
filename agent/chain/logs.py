"""The logs of one block, asked for by its hash, and proved complete before anybody builds state on them.

A block's header commits to its logs twice: by the bloom over their addresses and topics, and by the root of its
receipts. `eth_getLogs` is the cheap answer, and its bloom must be the header's bit for bit; where it is not (nodes
have been seen to answer before their index was ready), or where the caller wants proof, the receipts are read and
their root is compared. A bloom cannot tell that a log is missing whose bits others set, or whose data are changed:
pass `must_prove` where a wrong pool state costs money and the node is not one's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from agent.chain.client import Rpc
from agent.chain.headers import Header
from agent.chain.jsonrpc import RpcError
from agent.dex.pool import Log
from agent.errors import ProtocolError
from agent.eth.hexes import from_data, from_quantity, to_data
from agent.eth.receipts import Receipt, ReceiptLog, logs_bloom, receipt_from_rpc, receipts_root
from agent.eth.units import Address, Hash32


class _WireLog(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    address: str
    topics: tuple[str, ...]
    data: str
    log_index: str
    block_hash: str
    removed: bool = False


_wire_logs: msgspec.json.Decoder[Any] = msgspec.json.Decoder(tuple[_WireLog, ...] | None)


async def block_logs(rpc: Rpc, header: Header, *, must_prove: bool = False) -> tuple[Log, ...]:
    """All logs of the block, in order. ProtocolError where the node does not have them, or has not all of them."""
    if not any(header.logs_bloom):
        return ()
    if not must_prove:
        try:
            logs = _in_order(await _ask_logs(rpc, header), header, peer=rpc.peer)
        except RpcError:
            logs = None  # a node without the method, or that does not know the block yet
        if logs is not None and logs_bloom(_receipt_logs(logs)) == header.logs_bloom:
            return logs
    receipts = await block_receipts(rpc, header)
    return tuple(Log(log.address, tuple(log.topics), log.data) for receipt in receipts for log in receipt.logs)


async def block_receipts(rpc: Rpc, header: Header) -> tuple[Receipt, ...]:
    """The block's receipts, whose root is that of the header; ProtocolError where it is not."""
    method = "eth_getBlockReceipts"
    rows = await rpc.call(method, [to_data(header.hash)])
    if not isinstance(rows, list):
        raise ProtocolError(
            f"the node has no receipts of block {header.number}",
            peer=rpc.peer,
            method=method,
            hint="it may be behind, or have moved to another branch: ask again or ask another node",
        )
    try:
        receipts = tuple(map(receipt_from_rpc, rows))
    except ValueError as error:
        raise ProtocolError(str(error), peer=rpc.peer, method=method) from error
    if receipts_root(receipts) != header.receipts_root:
        raise ProtocolError(
            f"the receipts of block {header.number} are not those its header names",
            peer=rpc.peer,
            method=method,
            hint="this node lies or is broken; use another",
        )
    return receipts


async def _ask_logs(rpc: Rpc, header: Header) -> tuple[_WireLog, ...]:
    wire: tuple[_WireLog, ...] | None = await rpc.call(
        "eth_getLogs", [{"blockHash": to_data(header.hash)}], decoder=_wire_logs
    )
    return wire or ()


def _in_order(wires: Iterable[_WireLog], header: Header, *, peer: str) -> tuple[Log, ...] | None:
    """The logs if they are this block's, numbered from 0 without a hole; None where one is missing."""
    logs: list[Log] = []
    try:
        for wire in wires:
            if wire.removed or from_data(wire.block_hash) != header.hash:
                raise ValueError("a log of another block")
            if from_quantity(wire.log_index) != len(logs):
                return None
            topics = tuple(map(from_data, wire.topics))
            logs.append(Log(Address(from_data(wire.address)), topics, from_data(wire.data)))
    except ValueError as error:
        raise ProtocolError(f"logs of block {header.number}: {error}", peer=peer, method="eth_getLogs") from error
    return tuple(logs)


def _receipt_logs(logs: Iterable[Log]) -> Iterable[ReceiptLog]:
    return (ReceiptLog(log.address, tuple(map(Hash32, log.topics)), log.data) for log in logs)
