"""Logs of real blocks, proved complete, from nodes that lose, swap and invent them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from agent.chain.headers import Header, WireHeader, header_from_wire
from agent.chain.logs import block_logs, block_receipts
from agent.chain.rpc import HttpRpc
from agent.devnet.case import load_case
from agent.devnet.replay import CaseNode
from agent.dex.pool import Log
from agent.errors import ProtocolError

pytestmark = pytest.mark.anvil


class Tampering(HttpRpc):
    """Changes what one method answers."""

    method = ""
    change = staticmethod(lambda answer: answer)

    async def call(self, method, params=(), *, decoder=None):
        answer = await super().call(method, params, decoder=decoder)
        return self.change(answer) if method == self.method else answer


@pytest.fixture
async def block(mainnet) -> AsyncIterator[tuple[Tampering, Header, tuple[Log, ...]]]:
    """A node that has mined an archived block, the block's header, and the logs of its receipts."""
    case = load_case(mainnet / "public" / "24628607.json.gz")
    async with await CaseNode.start(case) as node, Tampering(node.anvil.rpc_url) as rpc:
        replay = await node.replay()
        wire = await rpc.call("eth_getBlockByNumber", [hex(case.number), False])
        fields = {name: value for name, value in wire.items() if value is not None}
        header = header_from_wire(msgspec.convert(fields, WireHeader))
        logs = tuple(Log(log.address, log.topics, log.data) for receipt in replay.receipts for log in receipt.logs)
        yield rpc, header, logs


async def test_logs_are_those_of_the_receipts_in_order(block):
    rpc, header, logs = block
    assert len(logs) > 100
    assert await block_logs(rpc, header) == logs
    assert await block_logs(rpc, header, must_prove=True) == logs


async def test_a_log_that_a_node_leaves_out_is_found_in_the_receipts(block):
    rpc, header, logs = block
    rpc.method = "eth_getLogs"
    for change in (lambda wires: wires[: len(wires) // 2], lambda wires: wires[1:], lambda wires: ()):
        rpc.change = change
        assert await block_logs(rpc, header) == logs


async def test_receipts_that_are_not_the_headers_are_refused(block):
    rpc, header, _ = block
    rpc.method = "eth_getBlockReceipts"
    rpc.change = lambda rows: rows[:-1]
    with pytest.raises(ProtocolError, match="not those its header names"):
        await block_receipts(rpc, header)
    rpc.change = lambda rows: None
    with pytest.raises(ProtocolError, match="no receipts"):
        await block_logs(rpc, header, must_prove=True)


async def test_logs_of_another_block_are_refused(block):
    rpc, header, _ = block
    rpc.method = "eth_getLogs"
    rpc.change = lambda wires: (msgspec.structs.replace(wires[0], block_hash="0x" + "11" * 32), *wires[1:])
    with pytest.raises(ProtocolError, match="another block"):
        await block_logs(rpc, header)


async def test_changed_data_and_a_last_log_without_bits_of_its_own_pass_the_bloom_and_not_the_proof(block):
    rpc, header, logs = block
    rpc.method = "eth_getLogs"
    changed = lambda wires: (msgspec.structs.replace(wires[0], data="0x00"), *wires[1:])  # noqa: E731
    for change in (changed, lambda wires: wires[:-1]):
        rpc.change = change
        assert await block_logs(rpc, header) != logs
        assert await block_logs(rpc, header, must_prove=True) == logs


async def test_a_block_without_logs_is_not_asked_about(block):
    _, header, _ = block
    silent = HttpRpc("http://127.0.0.1:1")
    assert await block_logs(silent, msgspec.structs.replace(header, logs_bloom=bytes(256))) == ()
