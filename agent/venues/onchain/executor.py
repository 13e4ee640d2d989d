"""The executor contract as bytes: its two builds, its storage, and what deploying it takes.

A devnet plants it without a transaction: `runtime_code` as code, `storage` slot by slot. A real chain gets
`deployment_data`, and `runtime_code` is what must then stand there. The layout of the storage is that of the
variables in contracts/src/Roles.sol; the artifact is written by scripts/build_contracts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from agent.errors import SetupError
from agent.eth.keccak import keccak256
from agent.eth.units import ZERO_ADDRESS, Address, Hash32

ARTIFACT_PATH = Path(__file__).with_name("executor_artifact.json")

BuildName = Literal["cancun", "london"]

OWNER_SLOT = 0
PENDING_OWNER_SLOT = 1
GUARDIAN_SLOT = 2
VAULT_SLOT = 3
"""Bits 0 to 159 the vault, bit 160 halted."""
OPERATORS_SLOT = 4
TOKENS_SLOT = 5
POOLS_SLOT = 6
FACTORIES_SLOT = 7
LOCK_SLOT = int.from_bytes(keccak256(b"mev-agent.executor.lock"), "big")
"""Only in the london build."""


class CompilerSettings(msgspec.Struct, frozen=True):
    """What turned the sources into these bytes."""

    solc: str
    evm_version: str
    optimizer_runs: int
    via_ir: bool
    bytecode_hash: str
    cbor_metadata: bool
    lock: str


class ExecutorBuild(NamedTuple):
    """One build. `runtime_template` has zeros where the WETH address goes, at each of `weth_offsets` (32 bytes)."""

    name: str
    creation_code: bytes
    runtime_template: bytes
    template_hash: Hash32
    weth_offsets: tuple[int, ...]
    compiler: CompilerSettings


class FactoryEntry(NamedTuple):
    """A factory whose pools prove themselves: made by CREATE2 from `deployer` (usually the factory itself)."""

    factory: Address
    deployer: Address
    init_code_hash: Hash32


class _BuildRecord(msgspec.Struct, frozen=True):
    creation_code: str
    runtime_code: str
    runtime_code_hash: str
    weth_offsets: tuple[int, ...]
    compiler: CompilerSettings


class _Artifact(msgspec.Struct, frozen=True):
    schema: str
    abi: list[dict[str, object]]
    builds: dict[str, _BuildRecord]


@cache
def _artifact() -> _Artifact:
    try:
        return msgspec.json.decode(ARTIFACT_PATH.read_bytes(), type=_Artifact)
    except (OSError, msgspec.DecodeError) as error:
        raise SetupError(
            f"the executor's artifact cannot be read: {error}",
            where=str(ARTIFACT_PATH),
            hint="reinstall, or run scripts/build_contracts.py",
        ) from error


@cache
def load_build(name: BuildName) -> ExecutorBuild:
    """The named build; raises SetupError where the artifact is missing or does not fit its own hash."""
    record = _artifact().builds[name]
    runtime = bytes.fromhex(record.runtime_code[2:])
    if keccak256(runtime).hex() != record.runtime_code_hash[2:]:
        raise SetupError(
            f"the executor's {name} build does not fit its recorded hash",
            where=str(ARTIFACT_PATH),
            hint="reinstall, or run scripts/build_contracts.py",
        )
    return ExecutorBuild(
        name=name,
        creation_code=bytes.fromhex(record.creation_code[2:]),
        runtime_template=runtime,
        template_hash=Hash32(bytes.fromhex(record.runtime_code_hash[2:])),
        weth_offsets=record.weth_offsets,
        compiler=record.compiler,
    )


def abi() -> list[dict[str, object]]:
    """The ABI, the same for both builds."""
    return _artifact().abi


def build_for_fork(fork: str) -> BuildName:
    """The build that runs on a hardfork: `london` before Cancun (no transient storage, no PUSH0 before Shanghai)."""
    before_cancun = ("london", "arrowglacier", "grayglacier", "paris", "merge", "shanghai")
    return "london" if fork.lower().replace("-", "").replace("_", "") in before_cancun else "cancun"


def runtime_code(build: ExecutorBuild, *, weth: Address) -> bytes:
    """The code that stands on the chain once WETH is filled in."""
    code = bytearray(build.runtime_template)
    for offset in build.weth_offsets:
        code[offset : offset + 32] = _word(weth)
    return bytes(code)


def runtime_code_hash(build: ExecutorBuild, *, weth: Address) -> Hash32:
    """What EXTCODEHASH must answer."""
    return keccak256(runtime_code(build, weth=weth))


def storage(
    *,
    owner: Address,
    operators: Sequence[Address],
    guardian: Address,
    vault: Address,
    tokens: Sequence[Address],
    pools: Sequence[Address],
    factories: Sequence[FactoryEntry] = (),
) -> dict[int, int]:
    """Slots of a planted executor, fit for either build; every slot not named is zero."""
    if vault == ZERO_ADDRESS or owner == ZERO_ADDRESS:
        raise ValueError("the executor needs an owner and a vault: profit must not be burnt")
    slots = {
        OWNER_SLOT: _number(owner),
        GUARDIAN_SLOT: _number(guardian),
        VAULT_SLOT: _number(vault),
        LOCK_SLOT: 1,
    }
    for account in operators:
        slots[operator_slot(account)] = 1
    for token in tokens:
        slots[token_slot(token)] = 1
    for pool in pools:
        slots[pool_slot(pool)] = 1
    for entry in factories:
        first = _mapping_slot(entry.factory, FACTORIES_SLOT)
        slots[first] = int.from_bytes(entry.init_code_hash, "big")
        slots[first + 1] = _number(entry.deployer)
    return slots


def operator_slot(account: Address) -> int:
    """Slot of `isOperator[account]`."""
    return _mapping_slot(account, OPERATORS_SLOT)


def token_slot(token: Address) -> int:
    """Slot of `isToken[token]`."""
    return _mapping_slot(token, TOKENS_SLOT)


def pool_slot(pool: Address) -> int:
    """Slot of `isPool[pool]`."""
    return _mapping_slot(pool, POOLS_SLOT)


def deployment_data(
    build: ExecutorBuild,
    *,
    weth: Address,
    owner: Address,
    operators: Sequence[Address],
    guardian: Address,
    vault: Address,
    tokens: Sequence[Address],
    pools: Sequence[Address],
    factories: Sequence[FactoryEntry] = (),
) -> bytes:
    """Init code with its constructor's arguments `(address, Settings)`."""
    if vault == ZERO_ADDRESS or owner == ZERO_ADDRESS:
        raise ValueError("the executor needs an owner and a vault: profit must not be burnt")
    lists = [_array([_word(a) for a in addresses]) for addresses in (operators, tokens, pools)]
    lists.append(_array([_word(e.factory) + _word(e.deployer) + e.init_code_hash for e in factories]))
    head = b"".join(_word(a) for a in (owner, guardian, vault))
    offset = 32 * 7
    for part in lists:
        head += offset.to_bytes(32, "big")
        offset += len(part)
    return build.creation_code + _word(weth) + (64).to_bytes(32, "big") + head + b"".join(lists)


def _array(items: list[bytes]) -> bytes:
    return len(items).to_bytes(32, "big") + b"".join(items)


def _word(address: Address) -> bytes:
    if len(address) != 20:
        raise ValueError(f"an address has 20 bytes, this has {len(address)}")
    return bytes(12) + address


def _number(address: Address) -> int:
    return int.from_bytes(_word(address), "big")


def _mapping_slot(key: Address, slot: int) -> int:
    return int.from_bytes(keccak256(_word(key) + slot.to_bytes(32, "big")), "big")
