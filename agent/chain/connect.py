"""Open a node by its URL, whatever the scheme, and refuse one on another chain before anything is read of it."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from agent.chain.client import Rpc, peer_name
from agent.chain.headers import Header, WireHeader, header_from_wire
from agent.chain.heads import WRONG_CHAIN
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.errors import ProtocolError, SetupError
from agent.eth.hexes import from_quantity, to_quantity
from agent.ports.clock import SYSTEM_CLOCK, Clock

NO_BLOCK = "E_NO_BLOCK"


def is_stream(url: str) -> bool:
    """Whether the node can tell us things unasked: heads and pending transactions."""
    return urlsplit(url).scheme in ("ws", "wss")


async def open_node(url: str, *, chain_id: int | None = None, clock: Clock = SYSTEM_CLOCK) -> Rpc:
    """A connection to the node. SetupError where it cannot be reached or (`chain_id`) is on another chain."""
    rpc: Rpc = await WsRpc.connect(url) if is_stream(url) else HttpRpc(url, clock=clock)
    try:
        found = await chain_id_of(rpc)
        if chain_id is not None and found != chain_id:
            raise SetupError(
                f"{peer_name(url)} is on chain {found}, not {chain_id}",
                code=WRONG_CHAIN,
                hint="name a node of the configured chain, or set onchain.chain_id",
            )
    except BaseException:
        await rpc.close()
        raise
    return rpc


async def chain_id_of(rpc: Rpc) -> int:
    """The chain the node is on; ProtocolError for an answer that is no number."""
    answer = await rpc.call("eth_chainId")
    try:
        return from_quantity(answer)
    except (ValueError, TypeError, AttributeError):
        raise ProtocolError(f"not a chain id: {str(answer)[:40]}", peer=rpc.peer, method="eth_chainId") from None


async def header_at(rpc: Rpc, block: int | None) -> Header:
    """The header of a block by number, the latest for None. SetupError where the node does not have it."""
    method = "eth_getBlockByNumber"
    answer = await rpc.call(method, ["latest" if block is None else to_quantity(block), False])
    if answer is None:
        raise SetupError(
            "the node has no latest block" if block is None else f"the node has no block {block}",
            code=NO_BLOCK,
            hint="wait until it is synced that far, or name another block",
            where=rpc.peer,
        )
    try:
        return header_from_wire(msgspec.convert(answer, WireHeader))
    except ValueError as error:  # msgspec's is one, too
        raise ProtocolError(f"not a block: {str(error)[:160]}", peer=rpc.peer, method=method) from error
