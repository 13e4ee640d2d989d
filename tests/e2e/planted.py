"""Cases with traps in them: a real block, and beside its accounts some contracts that were never there.

The block's own transactions never meet what is planted, so the case still replays to its receipts root. What is keyed
by a planted address is truly zero in every contract, and is written so where the contract will look.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from math import isqrt
from pathlib import Path

import msgspec

from agent.devnet.case import Case, CaseAccount
from agent.devnet.mainnet import START_TOKENS, WETH
from agent.devnet.slice.artefacts import v2_pair_runtime
from agent.devnet.slice.design import pool_address
from agent.devnet.slice.figures import SUSHI, UNISWAP_V2
from agent.devnet.slice.storage import v2_pair_identity, v2_pair_state
from agent.devnet.slice.token_code import RUNTIME as PLAIN_TOKEN
from agent.devnet.slice.world import CONTRACTS
from agent.eth.keccak import keccak256
from agent.eth.units import Address

REPOSITORY = Path(__file__).resolve().parents[2]
SLOTS = {token.address: token.balance_slot for token in START_TOKENS}
USDC = START_TOKENS[1].address
_USDC_BLACKLIST_SLOT = 3
_TOKEN_BALANCE_SLOT = 0


@cache
def trap_codes() -> dict[str, bytes]:
    """Runtime code by contract name, compiled once."""
    source = Path(__file__).with_name("Traps.sol")
    ask = {
        "language": "Solidity",
        "sources": {source.name: {"content": source.read_text()}},
        "settings": {
            "optimizer": {"enabled": True},
            "evmVersion": "london",
            "outputSelection": {"*": {"*": ["evm.deployedBytecode.object"]}},
        },
    }
    ran = subprocess.run(
        [str(REPOSITORY / "contracts" / "bin" / "solc"), "--standard-json"],
        input=json.dumps(ask), text=True, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    compiled = json.loads(ran.stdout)
    assert "contracts" in compiled, compiled
    return {
        name: bytes.fromhex(found["evm"]["deployedBytecode"]["object"])
        for name, found in compiled["contracts"][source.name].items()
    }


def planted_address(name: str) -> Address:
    """An address that the chain has never seen."""
    return Address(keccak256(f"planted {name}".encode())[12:])


def mapping_key(address: Address, base: int) -> int:
    """Solidity's slot of mapping[address]."""
    return int.from_bytes(keccak256(address.rjust(32, b"\0") + base.to_bytes(32, "big")), "big")


class Planting:
    """Collects contracts, and makes the case that holds them."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._codes: dict[Address, bytes] = {}
        self._storage: dict[Address, dict[int, int]] = {}
        self._balances: list[tuple[Address, Address, int]] = []

    def token(self, name: str, *, taxed: bool = False, free_up_to: int = 0) -> Address:
        """A token of 18 decimals, below every start token; a taxed one keeps a hundredth of each large transfer."""
        address = Address(b"\x11" + planted_address(f"token {name}")[1:])
        self._codes[address] = trap_codes()["TaxedToken"] if taxed else PLAIN_TOKEN
        self._storage[address] = {2: 10**30, 3: 18, 6: free_up_to, mapping_key(address, _TOKEN_BALANCE_SLOT): 0}
        return address

    def pair(
        self,
        name: str,
        token: Address,
        amount: int,
        other: Address,
        other_amount: int,
        *,
        fee_bps: int = 30,
        says_more_bps: int = 0,
        refused: Address | None = None,
        only: Address | None = None,
    ) -> Address:
        """A pair that holds these amounts."""
        address = planted_address(f"pair {name}")
        held = sorted([(token, amount), (other, other_amount)])
        self._codes[address] = trap_codes()["TrapPair"]
        self._storage[address] = {
            0: int.from_bytes(held[0][0], "big"),
            1: int.from_bytes(held[1][0], "big"),
            2: fee_bps,
            3: held[0][1] | held[1][1] << 112,
            4: says_more_bps,
            5: int.from_bytes(refused or b"", "big"),
            6: int.from_bytes(only or b"", "big"),
        }
        self._balances += [(which, address, much) for which, much in held]
        return address

    def known_pair(self, protocol: str, token: Address, amount: int, other: Address, other_amount: int) -> Address:
        """Uniswap's own pair, where the factory of that protocol would have put it."""
        (token0, amount0), (token1, amount1) = sorted([(token, amount), (other, other_amount)])
        address = pool_address(protocol, token0, token1, 3_000)
        factory = CONTRACTS.sushi_factory if protocol == SUSHI else CONTRACTS.v2_factory
        self._codes[address] = v2_pair_runtime()
        self._storage[address] = dict(
            v2_pair_identity(address, factory=factory, token0=token0, token1=token1, chain_id=self._case.chain_id)
            + v2_pair_state(
                reserve0=amount0, reserve1=amount1, timestamp_s=self._case.header.timestamp - 600,
                liquidity=isqrt(amount0 * amount1), provider=planted_address("provider"),
            )
        )  # fmt: skip
        self._balances += [(token0, address, amount0), (token1, address, amount1)]
        return address

    def case(self) -> Case:
        """The block with everything planted."""
        accounts, codes = dict(self._case.accounts), dict(self._case.codes)
        for address, code in self._codes.items():
            code_hash = keccak256(code)
            codes[code_hash] = code
            accounts[address] = CaseAccount(0, 1, code_hash, dict(self._storage[address]))
        for token, holder, amount in self._balances:
            slots = {mapping_key(holder, SLOTS.get(token, _TOKEN_BALANCE_SLOT)): amount}
            if token == USDC:
                slots[mapping_key(holder, _USDC_BLACKLIST_SLOT)] = 0
            account = accounts[token]
            accounts[token] = msgspec.structs.replace(account, storage={**account.storage, **slots})
        return msgspec.structs.replace(self._case, accounts=accounts, codes=codes)


__all__ = ["SUSHI", "UNISWAP_V2", "USDC", "WETH", "Planting", "planted_address"]
