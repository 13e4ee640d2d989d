"""The planted executor against real Uniswap V2 pairs on anvil, in both builds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from executor_world import (
    CHEAP,
    COINBASE,
    DEAR,
    EXECUTOR,
    GUARDIAN,
    OWNER,
    VAULT,
    WETH,
    anvil,
    balance,
    balance_slot,
    plan,
    plant_pairs,
    rpc,
    set_slot,
    text,
)
from web3 import Web3
from web3.exceptions import ContractCustomError

from agent.eth.units import Address
from agent.strategies.arb.plan import Plan, decode_result, encode_run
from agent.venues.onchain.executor import load_build, runtime_code, runtime_code_hash, storage

pytestmark = pytest.mark.anvil

GROSS = plan().legs[1].amount_out - plan().legs[0].amount_in


@pytest.fixture(params=["cancun", "london"])
def web3(request: pytest.FixtureRequest) -> Iterator[Web3]:
    build = load_build(request.param)
    with anvil("--hardfork", request.param) as web3:
        plant_pairs(web3)
        _plant_executor(web3, runtime_code(build, weth=WETH))
        yield web3


def _plant_executor(web3: Web3, code: bytes) -> None:
    operator = Address(bytes.fromhex(web3.eth.accounts[0][2:]))
    rpc(web3, "anvil_setCode", text(EXECUTOR), "0x" + code.hex())
    slots = storage(
        owner=OWNER,
        operators=[operator],
        guardian=GUARDIAN,
        vault=VAULT,
        tokens=[],
        pools=[CHEAP, DEAR],
    )
    for slot, value in slots.items():
        set_slot(web3, EXECUTOR, slot, value)
    set_slot(web3, WETH, balance_slot(EXECUTOR), 1)
    rpc(web3, "anvil_setCoinbase", text(COINBASE))


def _transaction(web3: Web3, plan: Plan, *, sender: int = 0) -> dict[str, object]:
    return {
        "from": web3.eth.accounts[sender],
        "to": text(EXECUTOR),
        "data": "0x" + encode_run(plan).hex(),
        "gas": 1_000_000,
        "maxFeePerGas": 2 * 10**9,
        "maxPriorityFeePerGas": 0,
    }


def _send(web3: Web3, plan: Plan) -> object:
    return web3.eth.wait_for_transaction_receipt(web3.eth.send_transaction(_transaction(web3, plan)))  # type: ignore[arg-type]


def test_a_run_earns_its_quote_to_the_wei_and_sends_it_to_the_vault(web3: Web3) -> None:
    receipt = _send(web3, plan(floor_amount=GROSS))
    assert receipt["status"] == 1  # type: ignore[index]
    assert GROSS > 0
    assert balance(web3, WETH, VAULT) == GROSS
    assert balance(web3, WETH, EXECUTOR) == 1


def test_the_fee_recipient_gets_its_share_of_the_gross_and_nothing_else(web3: Web3) -> None:
    payment = GROSS * 9_000 // 10_000
    assert _send(web3, plan(payment_bps=9_000, floor_amount=GROSS - payment))["status"] == 1  # type: ignore[index]
    assert web3.eth.get_balance(text(COINBASE)) == payment  # type: ignore[arg-type]
    assert balance(web3, WETH, VAULT) == GROSS - payment
    assert web3.eth.get_balance(text(EXECUTOR)) == 0  # type: ignore[arg-type]


def test_a_call_returns_gross_and_payment(web3: Web3) -> None:
    returned = web3.eth.call(_transaction(web3, plan(payment_bps=5_000)))  # type: ignore[arg-type]
    assert decode_result(bytes(returned)) == (GROSS, GROSS // 2)


def test_one_wei_above_what_is_left_is_refused_whole(web3: Web3) -> None:
    receipt = _send(web3, plan(floor_amount=GROSS + 1))
    assert receipt["status"] == 0  # type: ignore[index]
    assert balance(web3, WETH, VAULT) == 0
    assert balance(web3, WETH, EXECUTOR) == 1


def test_a_plan_is_refused_after_its_last_block_and_to_anyone_but_an_operator(web3: Web3) -> None:
    rpc(web3, "evm_mine")
    web3.eth.call(_transaction(web3, plan(last_block=web3.eth.block_number)))  # type: ignore[arg-type]
    late = _transaction(web3, plan(last_block=web3.eth.block_number - 1))
    stranger = _transaction(web3, plan(), sender=1)
    for transaction, error in ((late, "Stale(uint256,uint256)"), (stranger, "NotOperator(address)")):
        with pytest.raises(ContractCustomError, match=Web3.keccak(text=error)[:4].hex()):
            web3.eth.call(transaction)  # type: ignore[arg-type]


def test_the_planted_code_has_the_hash_that_the_build_names(web3: Web3) -> None:
    code = bytes(web3.eth.get_code(text(EXECUTOR)))  # type: ignore[arg-type]
    names = [n for n in ("cancun", "london") if bytes(Web3.keccak(code)) == runtime_code_hash(load_build(n), weth=WETH)]  # type: ignore[arg-type]
    assert len(names) == 1
