"""The real compiled Uniswap contracts on anvil, asked for many swaps at once from planted states.

Pools are made by the real factories; states are written into the call itself (state overrides), so nothing on the chain
changes between asks. Layouts: v2-core UniswapV2Pair (slot 8: reserves), v3-core UniswapV3Pool (slot 0 price word, 4
liquidity, 5 ticks, 6 bitmap, 8 first observation), v2-core UniswapV2ERC20 (slot 1: balances).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, Self

from eth_abi import decode, encode

from agent.devnet.anvil import Anvil
from agent.dex.v2 import V2Pool
from agent.dex.v3 import V3Pool
from agent.eth.keccak import keccak256
from agent.eth.units import Address

REPOSITORY = Path(__file__).resolve().parents[2]
_MODULES = REPOSITORY / "node_modules" / "@uniswap"
_SENDER = "0x" + "a1" * 20
_PLENTY = 2**250
_GAS = 10**12

V3_KINDS = ((100, 1), (500, 10), (3000, 60), (10_000, 200), (1, 2), (250_000, 30), (999_999, 3), (2500, 16_383))
"""(fee in pips, tick spacing): the usual four, and ones at the edges of what the factory allows."""


class V3Ask(NamedTuple):
    zero_for_one: bool
    amount: int
    limit: int


class V2Ask(NamedTuple):
    zero_for_one: bool
    amount_in: int
    amount_out: int


class Oracle:
    """Factories, tokens, one pair, one V3 pool per kind, and the probe that swaps."""

    def __init__(self, anvil: Anvil) -> None:
        self._anvil = anvil
        self.token0 = self.token1 = self.pair = self._probe = Address(b"")
        self.v3_pools: dict[tuple[int, int], Address] = {}

    @classmethod
    async def start(cls) -> Self:
        oracle = cls(await Anvil.start(hardfork="cancun", gas_limit=_GAS, chain_id=1))
        try:
            await oracle._plant()
        except BaseException:
            await oracle.stop()
            raise
        return oracle

    async def stop(self) -> None:
        await self._anvil.stop()

    async def _plant(self) -> None:
        await self._anvil.call("anvil_impersonateAccount", _SENDER)
        await self._anvil.call("anvil_setBalance", _SENDER, hex(10**30))
        supply = encode(["uint256"], [2**255])
        token = bytes.fromhex(json.loads((_MODULES / "v2-core/build/ERC20.json").read_text())["bytecode"])
        tokens = sorted([await self._create(token + supply), await self._create(token + supply)])
        self.token0, self.token1 = tokens
        factory = bytes.fromhex(json.loads((_MODULES / "v2-core/build/UniswapV2Factory.json").read_text())["bytecode"])
        v2_factory = await self._create(factory + encode(["address"], [_SENDER]))
        await self._send(v2_factory, "createPair(address,address)", ["address", "address"], list(tokens))
        types: list[str] = ["address", "address"]
        self.pair = await self._read_address(v2_factory, "getPair(address,address)", types, list(tokens))
        artefact = _MODULES / "v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"
        v3_factory = await self._create(bytes.fromhex(json.loads(artefact.read_text())["bytecode"][2:]))
        for fee, spacing in V3_KINDS:
            if fee not in (500, 3000, 10_000):
                await self._send(v3_factory, "enableFeeAmount(uint24,int24)", ["uint24", "int24"], [fee, spacing])
            types, values = ["address", "address", "uint24"], [*tokens, fee]
            await self._send(v3_factory, "createPool(address,address,uint24)", types, values)
            self.v3_pools[fee, spacing] = await self._read_address(
                v3_factory, "getPool(address,address,uint24)", types, values
            )
        self._probe = await self._create(_compile_probe())

    async def _create(self, code: bytes) -> Address:
        return Address(bytes.fromhex((await self._mine({"data": "0x" + code.hex()}))["contractAddress"][2:]))

    async def _send(self, to: Address, signature: str, types: list[str], values: list[Any]) -> None:
        await self._mine({"to": "0x" + to.hex(), "data": _calldata(signature, types, values)})

    async def _mine(self, transaction: dict[str, str]) -> Any:
        priced = {"from": _SENDER, "gas": hex(30_000_000), "gasPrice": hex(10**11), **transaction}
        sent = await self._anvil.call("eth_sendTransaction", priced)
        await self._anvil.call("evm_mine")
        receipt = await self._anvil.call("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1", receipt
        return receipt

    async def _read_address(self, to: Address, signature: str, types: list[str], values: list[Any]) -> Address:
        call = {"to": "0x" + to.hex(), "data": _calldata(signature, types, values)}
        return Address(bytes.fromhex((await self._anvil.call("eth_call", call, "latest"))[-40:]))

    async def swap_v3(self, pool: V3Pool, asks: list[V3Ask]) -> list[tuple[int, int, int, int, int] | str]:
        """(amount0, amount1, price, tick, liquidity) of each ask from the pool's state, or the revert reason."""
        balances = {self._probe: (_PLENTY, _PLENTY), pool.address: (_PLENTY, _PLENTY)}
        answers = await self._run(
            "runV3(address,(bool,int256,uint160)[])",
            ["address", "(bool,int256,uint160)[]"],
            [pool.address, asks],
            self._overrides(pool.address, v3_storage(pool), balances),
        )
        found: list[tuple[int, int, int, int, int] | str] = []
        for answer in answers:
            if len(answer) == 160:
                found.append(decode(["int256", "int256", "uint160", "int24", "uint128"], answer))
            else:
                found.append(_reason(answer))
        return found

    async def swap_v2(self, pool: V2Pool, asks: list[V2Ask]) -> list[tuple[int, int] | str]:
        """(reserve0, reserve1) after each ask from the pool's state, or the revert reason."""
        reserves = pool.reserve0 | pool.reserve1 << 112 | 1 << 224
        balances = {self._probe: (_PLENTY, _PLENTY), pool.address: (pool.reserve0, pool.reserve1)}
        answers = await self._run(
            "runV2(address,(bool,uint256,uint256)[])",
            ["address", "(bool,uint256,uint256)[]"],
            [pool.address, asks],
            self._overrides(pool.address, {8: reserves}, balances),
        )
        return [decode(["uint256"] * 5, a)[:2] if len(a) == 160 else _reason(a) for a in answers]

    async def _run(self, signature: str, types: list[str], values: list[Any], overrides: Any) -> list[bytes]:
        call = {
            "from": _SENDER,
            "to": "0x" + self._probe.hex(),
            "data": _calldata(signature, types, values),
            "gas": hex(_GAS),
        }
        answer = await self._anvil.call("eth_call", call, "latest", overrides)
        return list(decode(["bytes[]"], bytes.fromhex(answer[2:]))[0])

    def _overrides(
        self, pool: Address, storage: dict[int, int], balances: dict[Address, tuple[int, int]]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {"0x" + pool.hex(): {"stateDiff": _words(storage)}}
        for index, token in enumerate((self.token0, self.token1)):
            slots = {_mapping_slot(int.from_bytes(holder, "big"), 1): held[index] for holder, held in balances.items()}
            found["0x" + token.hex()] = {"stateDiff": _words(slots)}
        return found


def v3_storage(pool: V3Pool) -> dict[int, int]:
    """The storage words that put a fresh Uniswap V3 pool into this state. Fee growth stays 0: it moves no price."""
    words = {
        0: pool.sqrt_price_x96 | (pool.tick & 0xFFFFFF) << 160 | 1 << 200 | 1 << 216 | 1 << 240,
        4: pool.liquidity,
        8: 1 | 1 << 248,
    }
    bitmap: dict[int, int] = {}
    for tick, state in pool.ticks.by_tick.items():
        assert state.liquidity_net is not None
        gross = state.liquidity_gross or max(1, abs(state.liquidity_net))
        slot = _mapping_slot(tick % 2**256, 5)
        words[slot] = gross | (state.liquidity_net % 2**128) << 128
        words[slot + 3] = 1 << 248
        compressed = tick // pool.tick_spacing
        bitmap[compressed >> 8] = bitmap.get(compressed >> 8, 0) | 1 << (compressed & 255)
    words.update({_mapping_slot(word % 2**256, 6): bits for word, bits in bitmap.items()})
    return words


def _mapping_slot(key: int, slot: int) -> int:
    return int.from_bytes(keccak256(key.to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


def _words(storage: dict[int, int]) -> dict[str, str]:
    return {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in storage.items()}


def _calldata(signature: str, types: list[str], values: list[Any]) -> str:
    return "0x" + (keccak256(signature.encode())[:4] + encode(types, values)).hex()


def _reason(answer: bytes) -> str:
    if answer[:4] == keccak256(b"Error(string)")[:4]:
        return str(decode(["string"], answer[4:])[0])
    return "0x" + answer.hex()


def _compile_probe() -> bytes:
    source = Path(__file__).with_name("SwapProbe.sol")
    ask = {
        "language": "Solidity",
        "sources": {"SwapProbe.sol": {"content": source.read_text()}},
        "settings": {
            "optimizer": {"enabled": True},
            "evmVersion": "cancun",
            "outputSelection": {"*": {"SwapProbe": ["evm.bytecode.object"]}},
        },
    }
    ran = subprocess.run(
        [str(REPOSITORY / "contracts" / "bin" / "solc"), "--standard-json"],
        input=json.dumps(ask),
        text=True,
        capture_output=True,
        check=True,
        timeout=120,
    )
    compiled = json.loads(ran.stdout)
    assert "contracts" in compiled, compiled
    return bytes.fromhex(compiled["contracts"]["SwapProbe.sol"]["SwapProbe"]["evm"]["bytecode"]["object"])
