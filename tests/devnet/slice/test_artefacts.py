"""Canonical code: the right version or a clear refusal."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.devnet.slice import artefacts, token_code
from agent.devnet.slice.artefacts import NODE_MODULES, creation_code
from agent.errors import SetupError
from agent.eth.keccak import keccak256

SOURCE = Path(token_code.__file__).with_name("SliceToken.sol")
COMPILE = """
const solc = require(process.argv[1]);
const settings = {optimizer: {enabled: true, runs: 1000000}, evmVersion: 'london',
  metadata: {bytecodeHash: 'none', appendCBOR: false},
  outputSelection: {'*': {'*': ['evm.deployedBytecode.object', 'storageLayout']}}};
const content = require('fs').readFileSync(0, 'utf8');
const input = {language: 'Solidity', sources: {'SliceToken.sol': {content}}, settings};
process.stdout.write(JSON.stringify(JSON.parse(solc.compile(JSON.stringify(input))).contracts['SliceToken.sol'].SliceToken));
"""


def test_the_packages_hold_the_pinned_code() -> None:
    for artefact in (
        artefacts.V2_FACTORY,
        artefacts.V2_PAIR,
        artefacts.V2_ROUTER,
        artefacts.V3_FACTORY,
        artefacts.V3_POOL,
        artefacts.V3_ROUTER,
        artefacts.QUOTER_V2,
        artefacts.TICK_LENS,
    ):
        assert keccak256(creation_code(artefact)).hex() == artefact.code_hash


def test_weth9_is_mainnets_to_the_byte() -> None:
    code = artefacts.weth9_runtime()
    assert len(code) == 3_124
    assert keccak256(code).hex() == "d0a06b12ac47863b5c7be4185c2deaad1c61557033f56c7d4ea74429cbb25e23"


def test_sushis_router_differs_from_uniswaps_only_in_the_pair_hash() -> None:
    uniswap, sushi = creation_code(artefacts.V2_ROUTER), artefacts.sushi_router_creation_code()
    assert len(uniswap) == len(sushi)
    differing = [index for index, (a, b) in enumerate(zip(uniswap, sushi, strict=True)) if a != b]
    assert differing and differing[-1] - differing[0] < 32
    assert artefacts.SUSHI_PAIR_HASH in sushi


def test_another_version_of_a_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / artefacts.V3_FACTORY.path
    path.parent.mkdir(parents=True)
    content = json.loads((NODE_MODULES / artefacts.V3_FACTORY.path).read_text())
    content["bytecode"] = content["bytecode"][:-1] + "f"
    path.write_text(json.dumps(content))
    with pytest.raises(SetupError, match="another hash") as refusal:
        creation_code(artefacts.V3_FACTORY, node_modules=tmp_path)
    assert "make setup" in refusal.value.hint


@pytest.mark.parametrize("content", [None, b"", b"<html>", b'{"bytecode": 7}'])
def test_a_missing_or_broken_package_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / artefacts.V2_ROUTER.path
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SetupError, match="UniswapV2Router02") as refusal:
        creation_code(artefacts.V2_ROUTER, node_modules=tmp_path)
    assert "make setup" in refusal.value.hint


def test_the_token_code_is_the_source_compiled() -> None:
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:") or shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    run = subprocess.run(
        [node, "-e", COMPILE, str(NODE_MODULES / "solc")], input=SOURCE.read_bytes(), capture_output=True, check=True
    )
    contract = json.loads(run.stdout)
    assert contract["evm"]["deployedBytecode"]["object"] == token_code.RUNTIME.hex()
    slots = {item["label"]: int(item["slot"]) for item in contract["storageLayout"]["storage"]}
    assert slots == {
        "balanceOf": token_code.BALANCE_SLOT,
        "allowance": token_code.ALLOWANCE_SLOT,
        "totalSupply": token_code.TOTAL_SUPPLY_SLOT,
        "decimals": token_code.DECIMALS_SLOT,
        "name": token_code.NAME_SLOT,
        "symbol": token_code.SYMBOL_SLOT,
    }
