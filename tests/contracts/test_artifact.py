"""The committed artifact: both builds, and what each may not contain."""

from __future__ import annotations

import pytest

from agent.eth.keccak import keccak256
from agent.eth.units import Address
from agent.strategies.arb.plan import RUN_SELECTOR
from agent.venues.onchain.executor import BuildName, abi, build_for_fork, load_build, runtime_code, storage

WETH = Address(b"\x77" * 20)
PUSH0, TLOAD, TSTORE, MCOPY = 0x5F, 0x5C, 0x5D, 0x5E
DELEGATECALL, CALLCODE, SELFDESTRUCT, CREATE, CREATE2 = 0xF4, 0xF2, 0xFF, 0xF0, 0xF5


def _opcodes(code: bytes) -> set[int]:
    """The opcodes of a runtime without metadata or data behind the code."""
    found = set()
    at = 0
    while at < len(code):
        opcode = code[at]
        found.add(opcode)
        at += opcode - 0x5E if 0x60 <= opcode <= 0x7F else 1
    return found


@pytest.mark.parametrize("name", ["cancun", "london"])
def test_no_build_can_delegate_create_or_destroy(name: BuildName) -> None:
    opcodes = _opcodes(load_build(name).runtime_template)
    assert not opcodes & {DELEGATECALL, CALLCODE, SELFDESTRUCT, CREATE, CREATE2}


def test_the_london_build_has_no_opcode_that_london_lacks_and_the_cancun_build_has_them() -> None:
    later = {PUSH0, TLOAD, TSTORE, MCOPY}
    assert not _opcodes(load_build("london").runtime_template) & later
    assert {PUSH0, TLOAD, TSTORE} <= _opcodes(load_build("cancun").runtime_template)


@pytest.mark.parametrize("name", ["cancun", "london"])
def test_weth_is_the_only_thing_filled_in(name: BuildName) -> None:
    build = load_build(name)
    code = runtime_code(build, weth=WETH)
    assert len(code) == len(build.runtime_template) < 24_576
    assert code.count(WETH) == len(build.weth_offsets)
    assert code.replace(WETH, bytes(20)) == build.runtime_template


def test_the_abi_has_the_selector_that_plans_begin_with() -> None:
    names = [entry["name"] for entry in abi() if entry["type"] == "function"]
    assert RUN_SELECTOR in [keccak256(f"{name}()".encode())[:4] for name in names]
    assert "approve" not in str(abi())


@pytest.mark.parametrize(
    ("fork", "name"),
    [
        ("london", "london"),
        ("arrow-glacier", "london"),
        ("grayglacier", "london"),
        ("paris", "london"),
        ("shanghai", "london"),
        ("cancun", "cancun"),
        ("prague", "cancun"),
        ("osaka(bpo2)", "cancun"),
    ],
)
def test_each_fork_gets_the_build_it_can_run(fork: str, name: str) -> None:
    assert build_for_fork(fork) == name


def test_an_executor_without_vault_cannot_be_planted() -> None:
    with pytest.raises(ValueError, match="vault"):
        storage(owner=WETH, operators=[], guardian=WETH, vault=Address(bytes(20)), tokens=[], pools=[])
