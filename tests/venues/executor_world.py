"""A plain anvil with two real V2 pairs of different price and a planted executor, driven through web3."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from web3 import HTTPProvider, Web3

from agent.eth.keccak import keccak256
from agent.eth.units import Address
from agent.strategies.arb.opportunity import Leg
from agent.strategies.arb.plan import MAINNET_WETH, Plan

ROOT = Path(__file__).resolve().parents[2]


def address_of(name: str) -> Address:
    """An address nobody owns."""
    return Address(keccak256(name.encode())[12:])


WETH = MAINNET_WETH
TOKEN = address_of("token")
CHEAP = address_of("cheap pair")
DEAR = address_of("dear pair")
EXECUTOR = address_of("executor")
OWNER = address_of("owner")
GUARDIAN = address_of("guardian")
VAULT = address_of("vault")
COINBASE = address_of("coinbase")

ETHER = 10**18
CHEAP_RESERVES = {WETH: 100 * ETHER, TOKEN: 200_000 * ETHER}
DEAR_RESERVES = {WETH: 110 * ETHER, TOKEN: 200_000 * ETHER}

V2_RESERVES_SLOT = 8
WETH9_BALANCES_SLOT = 3


@contextmanager
def anvil(*options: str) -> Iterator[Web3]:
    """An anvil on a port of its own choice."""
    binary = sorted(ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))[0]
    process = subprocess.Popen(
        [str(binary), "--port", "0", "--chain-id", "1", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            listening = re.search(r"Listening on (\S+)", line)
            if listening:
                break
        else:
            raise AssertionError(f"anvil ended with {process.wait()}")
        yield Web3(HTTPProvider(f"http://{listening[1]}"))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def rpc(web3: Web3, method: str, *params: object) -> object:
    """One JSON-RPC call that must succeed."""
    answer = web3.provider.make_request(method, list(params))  # type: ignore[arg-type]
    assert "error" not in answer, (method, answer)
    return answer["result"]


def text(address: bytes) -> str:
    return Web3.to_checksum_address(address)


def set_slot(web3: Web3, account: Address, slot: int, value: int) -> None:
    rpc(web3, "anvil_setStorageAt", text(account), hex(slot), "0x" + value.to_bytes(32, "big").hex())


def balance_slot(account: Address) -> int:
    return int.from_bytes(keccak256(bytes(12) + account + WETH9_BALANCES_SLOT.to_bytes(32, "big")), "big")


def balance(web3: Web3, token: Address, account: Address) -> int:
    call = {"to": text(token), "data": "0x70a08231" + (bytes(12) + account).hex()}
    return int.from_bytes(web3.eth.call(call), "big")  # type: ignore[arg-type]


def plant_pairs(web3: Web3) -> None:
    """WETH9 twice (once as WETH, once as any token) and two Uniswap V2 pairs between them."""
    weth9 = json.loads((ROOT / "node_modules/canonical-weth/build/contracts/WETH9.json").read_text())
    pair = json.loads((ROOT / "node_modules/@uniswap/v2-core/build/UniswapV2Pair.json").read_text())
    for token in (WETH, TOKEN):
        rpc(web3, "anvil_setCode", text(token), weth9["deployedBytecode"])
    rpc(web3, "anvil_setBalance", text(WETH), hex(1_000_000 * ETHER))
    token0, token1 = sorted((WETH, TOKEN))
    for pool, reserves in ((CHEAP, CHEAP_RESERVES), (DEAR, DEAR_RESERVES)):
        rpc(web3, "anvil_setCode", text(pool), "0x" + pair["evm"]["deployedBytecode"]["object"])
        set_slot(web3, pool, 6, int.from_bytes(token0, "big"))
        set_slot(web3, pool, 7, int.from_bytes(token1, "big"))
        set_slot(web3, pool, V2_RESERVES_SLOT, reserves[token0] | reserves[token1] << 112 | 1 << 224)
        set_slot(web3, pool, 12, 1)
        for token in (token0, token1):
            set_slot(web3, token, balance_slot(pool), reserves[token])


def v2_amount_out(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    """Uniswap's own formula, rounded down."""
    return amount_in * 997 * reserve_out // (reserve_in * 1000 + amount_in * 997)


def legs(amount_in: int) -> tuple[Leg, Leg]:
    """Buy the token where it is cheap in WETH, sell it where it is dear."""
    bought = v2_amount_out(amount_in, CHEAP_RESERVES[WETH], CHEAP_RESERVES[TOKEN])
    sold = v2_amount_out(bought, DEAR_RESERVES[TOKEN], DEAR_RESERVES[WETH])
    return (
        Leg(pool=CHEAP, kind="v2", token_in=WETH, amount_in=amount_in, token_out=TOKEN, amount_out=bought),
        Leg(pool=DEAR, kind="v2", token_in=TOKEN, amount_in=bought, token_out=WETH, amount_out=sold),
    )


def plan(*, amount_in: int = 2 * ETHER, payment_bps: int = 0, floor_amount: int = 0, last_block: int = 1_000) -> Plan:
    return Plan(
        start_token=WETH,
        legs=legs(amount_in),
        last_block=last_block,
        parent_hash=None,
        payment_bps=payment_bps,
        floor_amount=floor_amount,
    )
