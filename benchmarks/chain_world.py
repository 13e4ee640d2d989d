"""A bare anvil with one Uniswap V2 pair over two tokens that hold one balance each: enough to call and to simulate."""

from __future__ import annotations

from typing import Any

from eth_account import Account

from agent.devnet.anvil import Anvil
from agent.devnet.slice.artefacts import v2_pair_runtime
from agent.eth.hexes import address_text, to_address, to_data
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv, Call

CHAIN_ID = 31_337
GAS_LIMIT = 30_000_000
BASE_FEE_WEI = 10**9
KEY = "0x" + "11" * 32
SENDER = to_address(Account.from_key(KEY).address)
PAIR = Address(b"\xa1" * 20)
TOKENS = (Address(b"\x11" * 20), Address(b"\x12" * 20))
GET_RESERVES = "0x0902f1ac"
_ONE_BALANCE = bytes.fromhex("366020146012576000546000526020" + "6000f35b60003560005500")


async def start() -> Anvil:
    """The node, planted, with a first block so that the pair holds reserves."""
    node = await Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=CHAIN_ID)
    await node.call("anvil_setBalance", to_data(SENDER), hex(10**24))
    await node.call("anvil_setCode", to_data(PAIR), to_data(v2_pair_runtime()))
    for token in TOKENS:
        await node.call("anvil_setCode", to_data(token), to_data(_ONE_BALANCE))
    for slot, value in ((6, TOKENS[0]), (7, TOKENS[1]), (12, b"\x01")):
        await node.call("anvil_setStorageAt", to_data(PAIR), hex(slot), "0x" + value.rjust(32, b"\0").hex())
    for raw in signed(bundle(first_nonce=0, amount=10**20)):
        await node.call("eth_sendRawTransaction", raw)
    await node.call("evm_mine")
    return node


def bundle(*, first_nonce: int, amount: int) -> tuple[Call, ...]:
    """Both tokens take a new balance and the pair syncs: three transactions of one sender, one log."""
    amounts = [amount.to_bytes(32, "big"), (2 * amount).to_bytes(32, "big")]
    targets = [*zip(TOKENS, amounts, strict=True), (PAIR, bytes.fromhex("fff6cae9"))]
    return tuple(
        Call(
            sender=SENDER,
            to=to,
            data=data,
            gas=200_000,
            nonce=first_nonce + index,
            max_fee_wei=100 * BASE_FEE_WEI,
            max_priority_fee_wei=1,
        )
        for index, (to, data) in enumerate(targets)
    )


def signed(calls: tuple[Call, ...]) -> list[str]:
    """The same calls as raw transactions."""
    raws = []
    for call in calls:
        assert call.to is not None
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": call.nonce,
            "to": address_text(call.to),
            "data": to_data(call.data),
            "gas": call.gas,
            "value": 0,
            "maxFeePerGas": call.max_fee_wei,
            "maxPriorityFeePerGas": call.max_priority_fee_wei,
        }
        raws.append(to_data(bytes(Account.sign_transaction(fields, KEY).raw_transaction)))
    return raws


async def next_env(node: Anvil) -> BlockEnv:
    """The environment of the block after the latest."""
    block = await node.call("eth_getBlockByNumber", "latest", False)
    return BlockEnv(
        number=int(block["number"], 16) + 1,
        timestamp=int(block["timestamp"], 16) + 12,
        base_fee_wei=BASE_FEE_WEI,
        fee_recipient=Address(b"\xfe" * 20),
        gas_limit=GAS_LIMIT,
        prev_randao=1,
    )
