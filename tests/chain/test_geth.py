"""Chain and simulation against a real geth in dev mode, where one is installed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from eth_account import Account

from agent.chain.fees import next_base_fee_of, tip_history
from agent.chain.heads import HeadFeed
from agent.chain.logs import block_logs
from agent.chain.mempool import MempoolFeed, Watching
from agent.chain.pending import PendingTransaction
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.eth.hexes import address_text, to_address, to_data
from agent.eth.units import Address
from agent.sim.node import NodeSimulator
from agent.sim.probe import probe_engine
from agent.sim.simulator import BlockEnv, Call, Override
from agent.sim.trace import TraceSimulator
from tests.chain.conftest import read_until
from tests.chain.geth import dev_geth

pytestmark = pytest.mark.slow

CHAIN_ID = 1337
KEY = "0xb71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291"
"""The account that every geth in dev mode funds."""
SENDER = to_address(Account.from_key(KEY).address)
STORES_AND_LOGS = bytes.fromhex("600160005560006000a000")
INIT = bytes.fromhex("6a") + STORES_AND_LOGS + bytes.fromhex("600052600b6015f3")
GWEI = 10**9


def call(nonce: int, to: Address | None, data: bytes = b"") -> Call:
    return Call(
        sender=SENDER, to=to, data=data, gas=200_000, nonce=nonce, max_fee_wei=100 * GWEI, max_priority_fee_wei=GWEI
    )


async def send(rpc, one: Call) -> dict:
    fields = {
        "type": 2, "chainId": CHAIN_ID, "nonce": one.nonce, "gas": one.gas, "value": 0, "data": to_data(one.data),
        "maxFeePerGas": one.max_fee_wei, "maxPriorityFeePerGas": one.max_priority_fee_wei,
    }  # fmt: skip
    if one.to is not None:
        fields["to"] = address_text(one.to)
    raw = to_data(bytes(Account.sign_transaction(fields, KEY).raw_transaction))
    name = await rpc.call("eth_sendRawTransaction", [raw])
    async with asyncio.timeout(20):
        while True:
            # geth answers with an error while it indexes its first blocks.
            (receipt,) = await rpc.batch([("eth_getTransactionReceipt", [name])])
            if isinstance(receipt, dict):
                return receipt
            await asyncio.sleep(0.01)


async def next_env(rpc) -> BlockEnv:
    block = await rpc.call("eth_getBlockByNumber", ["latest", False])
    return BlockEnv(
        number=int(block["number"], 16) + 1,
        timestamp=int(block["timestamp"], 16) + 12,
        base_fee_wei=GWEI,
        fee_recipient=Address(b"\xfe" * 20),
        gas_limit=int(block["gasLimit"], 16),
        prev_randao=7,
    )


async def test_heads_logs_fees_and_pending_transactions_of_a_real_geth(tmp_path: Path):
    async with dev_geth(tmp_path) as (rpc, _, websocket_url):
        heads = HeadFeed(lambda: WsRpc.connect(websocket_url), chain_id=CHAIN_ID, slot_ms=None)
        mempool = MempoolFeed(lambda: WsRpc.connect(websocket_url), chain_id=CHAIN_ID)
        tasks = [asyncio.ensure_future(heads.run()), asyncio.ensure_future(mempool.run())]
        try:
            seen: list = []
            while not any(isinstance(event, Watching) for event in seen):
                seen += await mempool.read()
            created = await send(rpc, call(0, None, INIT))
            contract = to_address(created["contractAddress"])
            receipts = [created, *[await send(rpc, call(nonce, contract)) for nonce in (1, 2)]]
            await read_until(heads, bytes.fromhex(receipts[-1]["blockHash"][2:]))
            async with asyncio.timeout(20):
                while sum(isinstance(event, PendingTransaction) for event in seen) < 3:
                    seen += await mempool.read()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        by_hash = heads.chain.headers
        for receipt in receipts[1:]:
            header = by_hash[bytes.fromhex(receipt["blockHash"][2:])]
            assert header.is_proved
            for must_prove in (False, True):
                logs = await block_logs(rpc, header, must_prove=must_prove)
                assert [(log.address, log.topics, log.data) for log in logs] == [(contract, (), b"")]
        tips = await tip_history(rpc, blocks=2, percentiles=(50,))
        assert tips.tips_wei == (GWEI,) and tips.blocks == 2
        assert heads.chain.tip is not None and tips.next_base_fee_wei == next_base_fee_of(heads.chain.tip)
    pending = [event.transaction() for event in seen if isinstance(event, PendingTransaction)]
    assert [(tx.nonce, tx.sender) for tx in pending] == [(0, SENDER), (1, SENDER), (2, SENDER)]
    assert all(tx.raw for tx in pending)


async def test_simulation_by_a_real_geth_equals_what_it_mines(tmp_path: Path):
    async with dev_geth(tmp_path) as (rpc, http_url, _):
        contract = to_address((await send(rpc, call(0, None, INIT)))["contractAddress"])
        sequence = (call(1, contract), call(2, contract), call(3, None, INIT))
        change = msgspec.structs.replace
        sequences = [sequence, (change(sequence[0], nonce=9),), (change(sequence[0], max_fee_wei=1),), sequence[:1]]
        env = await next_env(rpc)
        async with HttpRpc(http_url) as http:
            engine = await probe_engine(http)
            assert isinstance(engine, NodeSimulator)
            simulated = await engine.simulate(sequences, env)
            traced = await TraceSimulator(http).simulate(sequences, env)
            planted = Override(Address(b"\x77" * 20), code=STORES_AND_LOGS, balance_wei=10**18)
            ours = (msgspec.structs.replace(call(1, planted.address)),)
            (with_ours,) = await engine.simulate([ours], env, overrides=(planted,))
            at_hash = await rpc.call("eth_getBlockByNumber", ["latest", False])
            (named,) = await engine.on(bytes.fromhex(at_hash["hash"][2:])).simulate([sequence], env)
        receipts = [await send(rpc, one) for one in sequence]
    mined = [(row["status"] == "0x1", int(row["gasUsed"], 16), len(row["logs"])) for row in receipts]
    assert [row[2] for row in mined] == [1, 1, 0]
    for simulation in (simulated[0], traced[0], named):
        assert simulation.is_known, simulation.refused
        assert [(r.is_success, r.gas_used, len(r.logs)) for r in simulation.calls] == mined
    assert simulated[0].calls[0].logs == traced[0].calls[0].logs
    for results in (simulated, traced):
        assert "too high" in results[1].refused and "base fee" in results[2].refused
        assert results[3].calls == (results[0].calls[0],)
    assert with_ours.calls[0].logs[0].address == planted.address
