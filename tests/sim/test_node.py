"""Simulating on archived blocks: equal to what is mined, and honest about what the archive lacks."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.devnet.case import load_case
from agent.devnet.replay import CaseNode
from agent.eth.hexes import to_data
from agent.eth.transactions import decode_transaction
from agent.eth.units import Address
from agent.sim import wire
from agent.sim.node import NodeSimulator
from agent.sim.simulator import Call, CallResult, Override, Slot, call_from_transaction

pytestmark = pytest.mark.anvil

WETH = Address(bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"))
OURS = Address(bytes.fromhex("77" * 20))
USDC_WETH_V3 = Address(bytes.fromhex("88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"))


def case_node(mainnet: Path, number: int, **options):
    case = load_case(mainnet / "public" / f"{number}.json.gz")
    return CaseNode.start(case, **options)


def block_calls(node: CaseNode) -> tuple[Call, ...]:
    return tuple(call_from_transaction(decode_transaction(tx.raw)) for tx in node.case.transactions)


def figures(result: CallResult) -> tuple[bool, int, int]:
    return result.is_success, result.gas_used, len(result.logs)


def word(address: Address) -> bytes:
    return bytes(12) + address


@pytest.mark.parametrize(("number", "index"), [(17666333, 42), (19426586, 6), (19932148, 201)])
async def test_a_block_simulates_as_mined_where_a_sloppy_request_does_not(mainnet, number, index):
    async with await case_node(mainnet, number) as node:
        calls = block_calls(node)
        (simulated,) = await NodeSimulator(node.anvil.rpc).simulate([calls], node.env)
        sloppy_block = {"calls": [wire.call_object(call) for call in calls[: index + 1]]}
        (sloppy,) = msgspec.convert(
            await node.anvil.rpc.call("eth_simulateV1", [{"blockStateCalls": [sloppy_block]}, "latest"]),
            tuple[wire.WireBlock, ...],
        )
        replay = await node.replay()
    assert replay.is_exact
    mined = [(row["status"] == "0x1", int(row["gasUsed"], 16), len(row["logs"])) for row in replay.rpc_receipts]
    assert [figures(result) for result in simulated.calls] == mined
    assert simulated.is_known
    for result, row in zip(simulated.calls, replay.rpc_receipts, strict=True):
        assert [to_data(log.data) for log in result.logs] == [log["data"] for log in row["logs"]]
    assert figures(wire.call_result(sloppy.calls[index])) != mined[index]


async def test_target_and_ours_behind_a_mined_prefix_equal_the_whole_block_in_one_request(mainnet):
    async with await case_node(mainnet, 16146267) as node:
        calls = block_calls(node)
        simulator = NodeSimulator(node.anvil.rpc)
        (whole,) = await simulator.simulate([calls[:18]], node.env)
        await node.position(15)
        (behind,) = await simulator.simulate([calls[16:18]], node.env)
    assert behind.calls == whole.calls[16:18]


async def test_contract_creation_that_the_node_cannot_simulate_is_refused_and_not_unknown(mainnet):
    async with await case_node(mainnet, 19933597) as node:
        calls = block_calls(node)
        assert calls[63].to is None
        whole, before = await NodeSimulator(node.anvil.rpc).simulate([calls[:64], calls[:63]], node.env)
    assert whole.refused and not whole.calls and not whole.missing
    assert before.is_known and len(before.calls) == 63


async def test_missing_slots_are_found_one_by_one_and_those_allowed_are_listed_apart(mainnet):
    holders = [Address(bytes([number]) * 20) for number in (0x11, 0x12, 0x13)]
    async with await case_node(mainnet, 16146267, fresh=[OURS]) as node:
        base = node.env.base_fee_wei

        def balance_of(holder: Address) -> Call:
            return Call(
                sender=OURS, to=WETH, data=bytes.fromhex("70a08231") + word(holder), gas=60_000, max_fee_wei=base
            )

        three = tuple(map(balance_of, holders))
        one = (balance_of(OURS),)
        unknown_account = (Call(sender=OURS, to=Address(b"\x22" * 20), data=b"", gas=60_000, max_fee_wei=base),)
        overrides = (Override(OURS, balance_wei=10**18),)
        simulator = NodeSimulator(node.anvil.rpc)
        sequences = [three, one, unknown_account, three[:2]]
        found, known, lost, two = await simulator.simulate(sequences, node.env, overrides=overrides)

        allowed = frozenset(found.missing[1:])
        (partly,) = await simulator.simulate([three], node.env, overrides=overrides, assume=allowed)
        (wholly,) = await simulator.simulate([three], node.env, overrides=overrides, assume=frozenset(found.missing))
        (bounded,) = await NodeSimulator(node.anvil.rpc, max_rounds=2).simulate([three], node.env, overrides=overrides)
    assert len(found.missing) == 3 and {slot.address for slot in found.missing} == {WETH}
    assert [int.from_bytes(call.return_data, "big") for call in found.calls] == [0, 0, 0]
    assert not found.is_known and not found.assumed
    assert known.is_known and known.calls[0].is_success
    assert lost.missing == (Slot(Address(b"\x22" * 20), None),) and lost.calls == () and not lost.refused
    assert two.missing == found.missing[:2]
    assert (partly.missing, partly.assumed) == (found.missing[:1], found.missing[1:])
    assert wholly.is_known and wholly.assumed == found.missing
    assert wholly.calls == found.calls
    assert not bounded.is_known and not bounded.calls


async def test_what_a_block_would_refuse_is_refused_with_its_reason_and_spoils_nobody(mainnet):
    async with await case_node(mainnet, 16146267) as node:
        first = block_calls(node)[0]
        change = msgspec.structs.replace
        sequences = [
            (change(first, nonce=(first.nonce or 0) + 1),),
            (change(first, max_fee_wei=1, max_priority_fee_wei=0),),
            (change(first, value_wei=10**30),),
            (change(first, gas=node.env.gas_limit + 1),),
            (first, first),
            (),
            (first,),
        ]
        results = await NodeSimulator(node.anvil.rpc).simulate(sequences, node.env)
    for result, says in zip(results[:5], ["too high", "base fee", "unds", "exceeds", "taken"], strict=True):
        assert says in result.refused and not result.calls and not result.is_known
    assert results[5].calls == () and results[5].is_known
    assert results[6].is_known and len(results[6].calls) == 1


async def test_planted_code_runs_without_touching_the_chain(mainnet):
    answer_42 = bytes.fromhex("602a60005260206000f3")
    async with await case_node(mainnet, 16146267, fresh=[OURS]) as node:
        call = Call(
            sender=block_calls(node)[0].sender, to=OURS, data=b"", gas=60_000, max_fee_wei=node.env.base_fee_wei
        )
        simulator = NodeSimulator(node.anvil.rpc)
        (planted,) = await simulator.simulate([(call,)], node.env, overrides=(Override(OURS, code=answer_42),))
        (plain,) = await simulator.simulate([(call,)], node.env)
    assert int.from_bytes(planted.calls[0].return_data, "big") == 42
    assert plain.calls[0].return_data == b""
