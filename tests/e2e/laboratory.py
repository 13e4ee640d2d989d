"""Blocks made to order: planted pools and tokens on the slice, one block of prepared transactions, captured as a case.

The oracle beside it shares nothing with the agent: each prefix of the block is mined again on the node that made it,
which knows all state, and a contract that trades there with its own tokens says what a cycle gives at a size.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from math import isqrt
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agent.devnet.anvil import Anvil
from agent.devnet.capture import capture
from agent.devnet.case import Case, CaseAccount, load_case
from agent.devnet.mainnet import WETH
from agent.devnet.slice import ANVIL_FLAGS, CONTRACTS, GAS_LIMIT, HARDFORK, Slice, build_slice
from agent.devnet.slice.storage import mapping_slot, signed_mapping_slot
from agent.dex.tick_math import tick_at_sqrt_ratio
from agent.eth.abi import encode_call
from agent.eth.hexes import from_data, from_quantity, to_data, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer, sign_dynamic_fee
from agent.eth.units import SLOT_S, Address
from tests.e2e.planted import REPOSITORY, planted_address, trap_codes

LAB = planted_address("lab")
MUCH = 10**33
GWEI = 10**9
GAS = 1_000_000
BLOCK_GAS = 200_000_000
TICKS_SLOT, BITMAP_SLOT = 5, 6
_WORDS_AROUND = 3


@cache
def lab_codes() -> dict[str, bytes]:
    """Runtime code by contract name of Lab.sol."""
    source = Path(__file__).with_name("Lab.sol")
    ask = {
        "language": "Solidity",
        "sources": {source.name: {"content": source.read_text()}},
        "settings": {
            "optimizer": {"enabled": True}, "evmVersion": "london",
            "outputSelection": {"*": {"*": ["evm.deployedBytecode.object"]}},
        },
    }  # fmt: skip
    ran = subprocess.run(
        [str(REPOSITORY / "contracts" / "bin" / "solc"), "--standard-json"],
        input=json.dumps(ask), text=True, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    compiled = json.loads(ran.stdout)
    assert "contracts" in compiled, compiled
    found = compiled["contracts"][source.name]
    return {name: bytes.fromhex(one["evm"]["deployedBytecode"]["object"]) for name, one in found.items()}


class Leg(NamedTuple):
    """A pool as the oracle trades through it."""

    pool: Address
    is_three: bool
    fee0_bps: int = 0
    fee1_bps: int = 0
    """Of what comes in of token0 and of token1; V2 alone."""


class Trap(NamedTuple):
    """Two pools of one token against another, and the block's transactions that move them."""

    name: str
    start: Address
    token: Address
    pools: tuple[Leg, Leg]


class Best(NamedTuple):
    """The most that a cycle gives at a moment, over all sizes tried."""

    amount: int
    gross: int


class Laboratory:
    """Open, plant, plan, seal; then the case and the oracle. Ends with `close`."""

    def __init__(self, anvil: Anvil, slice_: Slice) -> None:
        self.anvil = anvil
        self.slice = slice_
        self.traps: dict[str, Trap] = {}
        self.planned: list[tuple[Address, bytes]] = []
        self.names: list[str] = []
        self.users: list[Signer] = []
        self.raws: list[bytes] = []
        self.number = 0
        self._snapshot: Any = None
        self._timestamp_s = 0

    @classmethod
    async def open(cls) -> Laboratory:
        anvil = await Anvil.start(hardfork=HARDFORK, gas_limit=GAS_LIMIT, chain_id=1, extra_flags=ANVIL_FLAGS)
        try:
            self = cls(anvil, await build_slice(anvil, 0))
            await anvil.call("evm_setBlockGasLimit", to_quantity(BLOCK_GAS))
            await anvil.call("anvil_setCode", to_data(LAB), to_data(lab_codes()["Lab"]))
            await anvil.call("anvil_setBalance", to_data(LAB), to_quantity(10**24))
            await anvil.call("anvil_impersonateAccount", to_data(LAB))
            for token in self.slice.tokens:
                await self.give(token.address, LAB, MUCH)
            return self
        except BaseException:
            await anvil.stop()
            raise

    async def close(self) -> None:
        await self.anvil.stop()

    # What stands before the block.

    async def give(self, token: Address, holder: Address, amount: int) -> None:
        """Write a balance."""
        await self._write(token, mapping_slot(holder, 3 if token == WETH else 0), amount)

    async def _write(self, address: Address, slot: int, value: int) -> None:
        await self.anvil.call("anvil_setStorageAt", to_data(address), f"0x{slot:064x}", f"0x{value:064x}")

    async def token(self, name: str, *, decimals: int = 18, mode: int = 0) -> Address:
        """An odd token below every start token."""
        address = Address(b"\x11" + planted_address(f"odd {name}")[1:])
        await self.anvil.call("anvil_setCode", to_data(address), to_data(lab_codes()["OddToken"]))
        for slot, value in {2: MUCH, 3: decimals, 6: mode, 7: 10**18, 8: 0}.items():
            await self._write(address, slot, value)
        await self.give(address, LAB, MUCH)
        return address

    async def pair(
        self,
        name: str,
        token: Address,
        amount: int,
        other: Address,
        other_amount: int,
        *,
        fees_bps: tuple[int, int],
        is_strict: bool = True,
    ) -> Leg:
        """A pair of nobody's factory, with a fee for each side."""
        address = planted_address(f"lab pair {name}")
        held = sorted([(token, amount), (other, other_amount)])
        is_even = is_strict and fees_bps[0] == fees_bps[1]
        code = trap_codes()["TrapPair"] if is_even else lab_codes()["LopsidedPair"]
        await self.anvil.call("anvil_setCode", to_data(address), to_data(code))
        reserves = held[0][1] | held[1][1] << 112
        slots = {0: int.from_bytes(held[0][0], "big"), 1: int.from_bytes(held[1][0], "big"), 2: fees_bps[0]}
        slots |= {3: reserves, 4: 0, 5: 0, 6: 0} if is_even else {3: fees_bps[1], 4: reserves}
        for slot, value in slots.items():
            await self._write(address, slot, value)
        for which, much in held:
            await self.give(which, address, much)
        return Leg(address, False, *fees_bps)

    async def uniswap_pair(self, token: Address, amount: int, other: Address, other_amount: int) -> Leg:
        """A pair by Uniswap's own factory; empty where the amounts are."""
        created = await self._do(CONTRACTS.v2_factory, encode_call("createPair(address,address)", token, other))
        address = Address(from_data(created["logs"][0]["data"])[12:32])
        await self.give(token, address, amount)
        await self.give(other, address, other_amount)
        if amount:
            await self._do(address, encode_call("mint(address)", LAB))
        return Leg(address, False, 30, 30)

    async def v3_pool(
        self, token: Address, other: Address, fee_pips: int, *, factory: Address = CONTRACTS.v3_factory
    ) -> Leg:
        """A pool without a price."""
        data = encode_call("createPool(address,address,uint24)", token, other, fee_pips)
        created = await self._do(factory, data)
        address = Address(from_data(created["logs"][-1]["data"])[-20:])
        return Leg(address, True)

    async def start_v3(self, leg: Leg, sqrt_price_x96: int, low: int, high: int, liquidity: int) -> None:
        """A price and the first liquidity, before the block."""
        await self._do(leg.pool, encode_call("initialize(uint160)", sqrt_price_x96))
        await self._do(LAB, mint(leg, low, high, liquidity))

    async def _do(self, to: Address, data: bytes) -> dict[str, Any]:
        transaction = {
            "from": to_data(LAB), "to": to_data(to), "data": to_data(data),
            "gas": to_quantity(8_000_000), "gasPrice": to_quantity(100 * GWEI),
        }  # fmt: skip
        name = await self.anvil.call("eth_sendTransaction", transaction)
        await self.anvil.call("evm_mine")
        receipt: dict[str, Any] = await self.anvil.call("eth_getTransactionReceipt", name)
        assert from_quantity(receipt["status"]) == 1, (to.hex(), data[:4].hex())
        return receipt

    # The block.

    def trap(self, name: str, token: Address, cheap: Leg, dear: Leg, *, start: Address = WETH) -> None:
        self.traps[name] = Trap(name, start, token, (cheap, dear))

    def plan(self, name: str, to: Address, data: bytes) -> None:
        """One transaction of the block, from a user of its own."""
        self.planned.append((to, data))
        self.names.append(name)
        self.users.append(Signer(keccak256(f"user of the laboratory {len(self.users)}".encode())))

    def indices(self, name: str) -> list[int]:
        """Places in the block of a trap's transactions."""
        return [index for index, of in enumerate(self.names) if of == name]

    async def seal(self) -> None:
        """Mine the parent and the block."""
        for user in self.users:
            await self.anvil.call("anvil_setBalance", to_data(user.address), to_quantity(10**20))
        await self.anvil.call("evm_mine")
        head = await self.anvil.call("eth_getBlockByNumber", "latest", False)
        fee = 2 * from_quantity(head["baseFeePerGas"])
        for index, (to, data) in enumerate(self.planned):
            tip = (1_000 - index) * 10**6
            signed = sign_dynamic_fee(
                self.users[index], chain_id=1, nonce=0, max_priority_fee_wei=tip,
                max_fee_wei=fee + tip, gas=GAS, to=to, value_wei=0, data=data,
            )  # fmt: skip
            self.raws.append(signed.raw)
        self._timestamp_s = from_quantity(head["timestamp"]) + SLOT_S
        self._snapshot = await self.anvil.call("evm_snapshot")
        await self._mine(self.raws)
        receipts = await self.anvil.call("eth_getBlockReceipts", "latest")
        assert [r["from"] for r in receipts] == [to_data(user.address) for user in self.users]
        failed = [self.names[i] for i, receipt in enumerate(receipts) if from_quantity(receipt["status"]) != 1]
        assert not failed
        self.number = from_quantity(receipts[0]["blockNumber"])

    async def _mine(self, raws: Sequence[bytes]) -> None:
        if raws:
            await self.anvil.rpc.ordered([("eth_sendRawTransaction", (to_data(raw),)) for raw in raws])
        await self.anvil.call("evm_setNextBlockTimestamp", self._timestamp_s)
        await self.anvil.call("evm_mine")

    async def case(self, out: Path) -> tuple[Case, Case]:
        """The block as captured, and the same with all that its pools hold near their prices."""
        await capture(self.number, self.anvil.rpc_url, out)
        bare = load_case(out)
        return bare, await self._widened(bare)

    async def _widened(self, case: Case) -> Case:
        accounts, codes = dict(case.accounts), dict(case.codes)
        parent = to_quantity(case.parent.number)

        async def add(address: Address, slots: Iterable[int]) -> None:
            code = from_data(await self.anvil.call("eth_getCode", to_data(address), parent))
            if not code:
                return
            codes[keccak256(code)] = code
            account = accounts.get(address) or CaseAccount(0, 1, keccak256(code), {})
            wanted = sorted(set(slots) - set(account.storage))
            asks = [("eth_getStorageAt", (to_data(address), f"0x{slot:064x}", parent)) for slot in wanted]
            values = [from_quantity(str(value)) for value in await self.anvil.rpc.batch(asks)] if asks else []
            storage = {**account.storage, **dict(zip(wanted, values, strict=True))}
            accounts[address] = msgspec.structs.replace(account, storage=storage)

        for trap in self.traps.values():
            for token in (trap.token, trap.start):
                base = 3 if token == WETH else 0
                holders = [mapping_slot(leg.pool, base) for leg in trap.pools]
                await add(token, [*range(1, 9), *holders] if token == trap.token else holders)
            for leg in trap.pools:
                await add(leg.pool, await self._v3_slots(leg.pool, parent) if leg.is_three else range(16))
        return msgspec.structs.replace(case, accounts=accounts, codes=codes)

    async def _v3_slots(self, pool: Address, parent: str) -> list[int]:
        async def read(data: bytes) -> bytes:
            ask = {"from": to_data(LAB), "to": to_data(pool), "data": to_data(data)}
            return from_data(await self.anvil.call("eth_call", ask, parent))

        answer = await read(encode_call("slot0()"))
        tick = int.from_bytes(answer[32:64], "big", signed=True)
        spacing = int.from_bytes((await read(encode_call("tickSpacing()")))[:32], "big")
        slots = list(range(10))
        middle = tick // spacing >> 8
        for word in range(middle - _WORDS_AROUND, middle + _WORDS_AROUND + 1):
            slots.append(signed_mapping_slot(word, BITMAP_SLOT))
            bitmap = int.from_bytes(await read(encode_call("tickBitmap(int16)", word)), "big")
            for bit in range(256):
                if bitmap >> bit & 1:
                    at = signed_mapping_slot((word * 256 + bit) * spacing, TICKS_SLOT)
                    slots += range(at, at + 4)
        return slots

    # The oracle.

    async def best(
        self, *, skip: Iterable[int] = (), only: Iterable[str] = ()
    ) -> dict[tuple[str, int, int | None], Best]:
        """By trap, direction (0: buys in the trap's first pool) and moment: the most that it gives."""
        found: dict[tuple[str, int, int | None], Best] = {}
        skipped = set(skip)
        wanted = set(only) or set(self.traps)
        places = [i for i in range(len(self.raws)) if i not in skipped and self.names[i] in wanted]
        moments: list[int | None] = [None, *places]
        for moment in moments:
            names = sorted(wanted) if moment is None else [self.names[moment]]
            assert await self.anvil.call("evm_revert", self._snapshot)
            self._snapshot = await self.anvil.call("evm_snapshot")
            if moment is not None:
                await self._mine([raw for i, raw in enumerate(self.raws[: moment + 1]) if i not in skipped])
            for name in names:
                if name not in self.traps:
                    continue
                for direction in (0, 1):
                    if (best := await self._best(self.traps[name], direction)).gross > 0:
                        found[name, direction, moment] = best
        await self._to_the_end()
        return found

    async def _to_the_end(self) -> None:
        assert await self.anvil.call("evm_revert", self._snapshot)
        self._snapshot = await self.anvil.call("evm_snapshot")
        await self._mine(self.raws)

    async def _best(self, trap: Trap, direction: int) -> Best:
        legs = trap.pools if direction == 0 else trap.pools[::-1]
        rows = []
        for leg, token in zip(legs, (trap.start, trap.token), strict=True):
            is_zero = token == min(trap.start, trap.token)
            rows.append((leg.pool, leg.is_three, token, leg.fee0_bps if is_zero else leg.fee1_bps))

        async def gains(amounts: Sequence[int]) -> list[int]:
            asks = []
            for amount in amounts:
                data = encode_call("cycle((address,bool,address,uint256)[],uint256)", rows, amount)
                asks.append(("eth_call", ({"from": to_data(LAB), "to": to_data(LAB), "data": to_data(data)}, "latest")))
            answers = await self.anvil.rpc.batch(asks)
            return [int.from_bytes(from_data(a), "big", signed=True) if isinstance(a, str) else -1 for a in answers]

        sizes = [10**k * m for k in range(1, 24) for m in (1, 3)]
        for _ in range(9):
            results = await gains(sizes)
            at = max(range(len(sizes)), key=lambda i: results[i])
            best = Best(sizes[at], results[at])
            low, high = sizes[max(at - 1, 0)], sizes[min(at + 1, len(sizes) - 1)]
            if best.gross <= 0 or high - low < 16:
                break
            sizes = sorted({low + (high - low) * i // 12 for i in range(13)} | {best.amount})
        return best


def swap3(leg: Leg, token_in: Address, amount: int, limit: int = 0) -> bytes:
    return encode_call("swap3(address,address,int256,uint160)", leg.pool, token_in, amount, limit)


def swap_to(leg: Leg, token_in: Address, amount: int, limit: int) -> bytes:
    """Ends where the price is `limit`, if the amount allows."""
    return encode_call("swapTo(address,address,int256,uint160)", leg.pool, token_in, amount, limit)


def swap2(leg: Leg, token_in: Address, amount: int, fee_bps: int) -> bytes:
    return encode_call("swap2(address,address,uint256,uint256)", leg.pool, token_in, amount, fee_bps)


def mint(leg: Leg, low: int, high: int, liquidity: int) -> bytes:
    return encode_call("mint(address,int24,int24,uint128)", leg.pool, low, high, liquidity)


def burn(leg: Leg, low: int, high: int, liquidity: int) -> bytes:
    return encode_call("burn(address,int24,int24,uint128)", leg.pool, low, high, liquidity)


def send(token: Address, to: Address, amount: int) -> bytes:
    return encode_call("send(address,address,uint256)", token, to, amount)


def price(amount0: int, amount1: int) -> int:
    """√(amount1 / amount0) · 2^96, floored."""
    return isqrt(amount1 * 2**192 // amount0)


def floor_tick(sqrt_price_x96: int, spacing: int) -> int:
    """The tick at or below the price that the spacing allows."""
    return tick_at_sqrt_ratio(sqrt_price_x96) // spacing * spacing
