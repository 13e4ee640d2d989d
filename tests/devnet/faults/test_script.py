"""Scripts of faults, the order of heads, and the lagging view: pure parts."""

from __future__ import annotations

import pytest

from agent.devnet.faults.heads import HeadLine
from agent.devnet.faults.lag import Unforwarded, lagging_answer, lagging_request
from agent.devnet.faults.script import HEAD_KINDS, Fault, FaultKind, exchange_fault, head_fault, random_script


def test_a_seed_draws_the_same_script_and_in_time_every_kind() -> None:
    script = random_script(3, exchanges=100, heads=50, fault_count=200)
    assert script == random_script(3, exchanges=100, heads=50, fault_count=200)
    assert script != random_script(4, exchanges=100, heads=50, fault_count=200)
    assert {fault.kind for fault in script} == set(FaultKind)
    assert all(fault.at < (50 if fault.kind in HEAD_KINDS else 100) for fault in script)


def test_a_fault_acts_for_its_moments_and_its_method_only() -> None:
    fault = Fault(kind=FaultKind.DROP, at=2, count=2, method="eth_call")
    acts = [exchange_fault([fault], moment, ["eth_call"]) is fault for moment in range(6)]
    assert acts == [False, False, True, True, False, False]
    assert exchange_fault([fault], 2, ["eth_chainId"]) is None
    assert head_fault([fault], 2) is None
    skip = Fault(kind=FaultKind.HEAD_SKIP, at=2)
    assert exchange_fault([skip], 2, []) is None
    assert head_fault([skip], 2) is skip


def announced(*kinds: tuple[FaultKind | None, int]) -> str:
    line, out = HeadLine(), []
    for letter, (kind, lag) in zip("abcdefgh", kinds, strict=False):
        out += line.pass_on(letter, kind=kind, lag=lag)
    return "".join(out)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([(None, 0)] * 3, "abc"),
        ([(FaultKind.HEAD_DUPLICATE, 0), (None, 0)], "aab"),
        ([(None, 0), (FaultKind.HEAD_SKIP, 0), (None, 0)], "ac"),
        ([(FaultKind.HEAD_SWAP, 0), (None, 0), (None, 0)], "bac"),
        ([(FaultKind.HEAD_SWAP, 0), (FaultKind.HEAD_SWAP, 0), (None, 0)], "bac"),
        ([(FaultKind.HEAD_LAG, 2)] * 3 + [(None, 0)], "abcd"),
        ([(FaultKind.HEAD_LAG, 2)] * 3, "a"),
    ],
)
def test_heads_are_announced_as_the_faults_say(kinds: list[tuple[FaultKind | None, int]], expected: str) -> None:
    assert announced(*kinds) == expected


def test_a_lagging_node_knows_nothing_of_later_blocks() -> None:
    number = lagging_request("eth_blockNumber", [], 90)
    assert isinstance(number, Unforwarded) and number.result == "0x5a"
    later = lagging_request("eth_getBlockByNumber", ["0x5b", True], 90)
    assert isinstance(later, Unforwarded) and later.result is None
    assert lagging_request("eth_getBlockByNumber", ["latest", False], 90) == ["0x5a", False]
    assert lagging_request("eth_call", [{"to": "0x00"}, "pending"], 90) == [{"to": "0x00"}, "0x5a"]
    assert lagging_request("eth_getLogs", [{"fromBlock": "0x10"}], 90) == [{"fromBlock": "0x10", "toBlock": "0x5a"}]
    assert lagging_request("eth_getLogs", [{"blockHash": "0x" + "11" * 32}], 90) == [{"blockHash": "0x" + "11" * 32}]


def test_answers_by_hash_about_later_blocks_are_withheld() -> None:
    block = {"id": 1, "result": {"number": "0x5b", "hash": "0x00"}}
    assert lagging_answer("eth_getBlockByHash", block, 90)["result"] is None
    assert lagging_answer("eth_getBlockByHash", block, 91) is block
    receipt = {"id": 1, "result": {"blockNumber": "0x5b"}}
    assert lagging_answer("eth_getTransactionReceipt", receipt, 90)["result"] is None
    logs = {"id": 1, "result": [{"blockNumber": "0x5b"}]}
    assert "result" not in (answer := lagging_answer("eth_getLogs", logs, 90))
    assert answer["error"]["message"] == "unknown block"
