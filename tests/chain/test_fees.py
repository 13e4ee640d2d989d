"""The next block's fees from a header, and tips from a node's history."""

from __future__ import annotations

import msgspec
import pytest

from agent.chain.fees import next_base_fee_of, next_blob_base_fee_of, tip_history, worst_base_fee_of
from agent.chain.headers import header_from_wire
from agent.errors import ProtocolError
from agent.eth.fees import blob_base_fee
from agent.eth.forks import BLOB_SCHEDULES, mainnet_fork
from tests.chain.test_headers import headers


class Canned:
    """A node that gives one answer."""

    peer = "canned"

    def __init__(self, answer):
        self.answer = answer
        self.asked = None

    async def call(self, method, params=(), *, decoder=None):
        self.asked = (method, params)
        return decoder.decode(msgspec.json.encode(self.answer))


@pytest.mark.parametrize("number", [23879620, 24628607, 24647140])
def test_a_real_parent_gives_its_childs_fees_to_the_wei(mainnet, number):
    parent, child = map(header_from_wire, headers(mainnet, number)[:2])
    assert next_base_fee_of(parent) == child.base_fee_wei
    fork = mainnet_fork(block_number=child.number, timestamp=child.timestamp)
    assert child.excess_blob_gas is not None
    assert next_blob_base_fee_of(parent, child_fork=fork) == blob_base_fee(child.excess_blob_gas, BLOB_SCHEDULES[fork])
    assert worst_base_fee_of(parent, blocks=1) == child.base_fee_wei
    assert worst_base_fee_of(parent, blocks=3) >= child.base_fee_wei * 9 // 8 * 9 // 8


async def test_tips_are_medians_over_the_blocks_that_held_transactions():
    node = Canned(
        {
            "oldestBlock": "0x1",
            "baseFeePerGas": ["0x1", "0x2", "0x3", "0x4", "0x5"],
            "gasUsedRatio": [0.5, 0.0, 1.0, 0.9],
            "reward": [["0xa", "0x14"], ["0x0", "0x0"], ["0x1e", "0x28"], ["0xc", "0x64"]],
        }
    )
    tips = await tip_history(node, blocks=4, percentiles=(50, 90))
    assert node.asked == ("eth_feeHistory", ["0x4", "latest", [50, 90]])
    assert (tips.tips_wei, tips.blocks, tips.next_base_fee_wei) == ((12, 40), 3, 5)


@pytest.mark.parametrize(
    "broken",
    [
        {"baseFeePerGas": ["0x1"]},
        {"reward": [["0x1"]]},
        {"reward": []},
        {"reward": [["0x1", "10"]]},
    ],
)
async def test_a_history_that_contradicts_itself_is_a_protocol_error(broken):
    good = {"oldestBlock": "0x1", "baseFeePerGas": ["0x1", "0x2"], "gasUsedRatio": [0.5], "reward": [["0x1", "0x2"]]}
    assert (await tip_history(Canned(good), blocks=1, percentiles=(50, 90))).blocks == 1
    with pytest.raises(ProtocolError, match="not a fee history"):
        await tip_history(Canned(good | broken), blocks=1, percentiles=(50, 90))


async def test_empty_blocks_alone_say_nothing():
    empty = {"oldestBlock": "0x1", "baseFeePerGas": ["0x1", "0x2"], "gasUsedRatio": [0.0], "reward": [["0x0"]]}
    tips = await tip_history(Canned(empty), blocks=1, percentiles=(50,))
    assert (tips.tips_wei, tips.blocks) == ((0,), 0)
