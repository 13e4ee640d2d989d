"""The encoder in Python against the reader in Solidity, for random plans, field by field."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from web3 import Web3

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "venues"), str(ROOT / "tests" / "strategies")]

from build_contracts import environment, forge  # noqa: E402
from executor_world import address_of, anvil, rpc, text  # noqa: E402
from test_plan import _plans  # noqa: E402

from agent.strategies.arb.plan import Plan, encode_run, pack  # noqa: E402

pytestmark = pytest.mark.anvil

READER = address_of("plan reader")
HEAD_WORDS = 9
LEG_WORDS = 5


@pytest.fixture(scope="module")
def reader() -> Iterator[Web3]:
    source = "contracts/test/doubles/PlanReader.sol"
    subprocess.run([forge(), "build", source], cwd=ROOT, env=environment("suite"), check=True, capture_output=True)
    compiled = json.loads((ROOT / "contracts/out-suite/PlanReader.sol/PlanReader.json").read_text())
    with anvil() as web3:
        rpc(web3, "anvil_setCode", text(READER), compiled["deployedBytecode"]["object"])
        yield web3


@given(plan=_plans())
@settings(max_examples=150, deadline=None)
def test_solidity_reads_what_python_wrote(reader: Web3, plan: Plan) -> None:
    calldata = encode_run(plan)
    answer = reader.eth.call({"to": text(READER), "data": "0x" + calldata.hex()})  # type: ignore[arg-type, typeddict-item]
    words = [int.from_bytes(answer[at : at + 32], "big") for at in range(0, len(answer), 32)]
    packed = pack(plan)
    assert words[:HEAD_WORDS] == [
        len(packed.legs),
        packed.lender,
        packed.payment_bps,
        packed.last_block,
        packed.floor_amount,
        packed.amount_in,
        int.from_bytes(packed.start_token or b"", "big"),
        int.from_bytes(packed.lent_token or b"", "big"),
        int.from_bytes(packed.parent_hash or b"", "big"),
    ]
    for index, leg in enumerate(packed.legs):
        at = HEAD_WORDS + index * LEG_WORDS
        assert words[at : at + LEG_WORDS] == [
            int.from_bytes(leg.pool, "big"),
            leg.is_v3_style,
            leg.is_zero_for_one,
            leg.is_by_factory,
            leg.amount,
        ]
