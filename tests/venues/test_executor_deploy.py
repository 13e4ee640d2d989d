"""Deployment against anvil: dry by default, the same address every time, the code checked to the byte."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from executor_world import (
    COINBASE,
    ROOT,
    VAULT,
    address_of,
    anvil,
    balance,
    plan,
    plant_pairs,
    rpc,
    text,
)
from web3 import HTTPProvider, Web3

from agent.errors import SetupError
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer
from agent.eth.units import Address
from agent.strategies.arb.plan import MAINNET_WETH, encode_run
from agent.venues.onchain.deploy import (
    CREATE2_DEPLOYER,
    CREATE2_DEPLOYER_CODE_HASH,
    MAINNET_FACTORIES,
    Deployment,
    Setup,
    create2_address,
    create_address,
    deploy,
)
from agent.venues.onchain.executor import LOCK_SLOT, load_build, storage

pytestmark = pytest.mark.anvil

ANVIL_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first of the keys that every anvil prints."""
OWNER = address_of("the owner")
GUARDIAN = address_of("the guardian")
OPERATORS = (address_of("first operator"), address_of("second operator"))
TOKENS = (address_of("a token"),)
POOLS = (address_of("a pool"), address_of("another pool"), address_of("a third pool"))


@pytest.fixture(scope="module")
def chain() -> Iterator[Web3]:
    with anvil() as web3:
        plant_pairs(web3)
        yield web3


@pytest.fixture
def web3(chain: Web3) -> Iterator[Web3]:
    """The chain as planted, whatever the test before did."""
    snapshot = rpc(chain, "evm_snapshot")
    yield chain
    rpc(chain, "evm_revert", snapshot)


def _setup() -> Setup:
    return Setup(
        weth=MAINNET_WETH,
        owner=OWNER,
        guardian=GUARDIAN,
        vault=VAULT,
        operators=OPERATORS,
        tokens=TOKENS,
        pools=POOLS,
        factories=MAINNET_FACTORIES,
    )


def _deploy(web3: Web3, *, is_broadcast: bool, build: str = "cancun") -> Deployment:
    return deploy(web3, _setup(), build=build, sender=Signer(ANVIL_KEY), is_broadcast=is_broadcast)  # type: ignore[arg-type]


def test_nothing_is_sent_unless_told(web3: Web3) -> None:
    before = web3.eth.block_number
    done = _deploy(web3, is_broadcast=False)
    assert done.transaction_hash is None
    assert done.gas > 1_000_000
    assert web3.eth.block_number == before
    assert not web3.eth.get_code(text(done.address))  # type: ignore[arg-type]


@pytest.mark.parametrize("build", ["cancun", "london"])
def test_what_was_said_is_what_is_done_and_a_second_time_sends_nothing(web3: Web3, build: str) -> None:
    said = _deploy(web3, is_broadcast=False, build=build)
    done = _deploy(web3, is_broadcast=True, build=build)
    assert done.address == said.address
    assert done.transaction_hash is not None
    assert keccak256(bytes(web3.eth.get_code(text(done.address)))) == done.code_hash  # type: ignore[arg-type]
    again = _deploy(web3, is_broadcast=True, build=build)
    assert again.is_present
    assert again.address == done.address
    assert again.transaction_hash is None


@pytest.mark.parametrize("build", ["cancun", "london"])
def test_a_planted_executor_has_the_storage_of_a_deployed_one(web3: Web3, build: str) -> None:
    done = _deploy(web3, is_broadcast=True, build=build)
    setup = _setup()
    slots = storage(
        owner=setup.owner,
        operators=setup.operators,
        guardian=setup.guardian,
        vault=setup.vault,
        tokens=setup.tokens,
        pools=setup.pools,
        factories=setup.factories,
    )
    if build == "cancun":
        del slots[LOCK_SLOT]  # its lock is transient
    for slot, value in slots.items():
        found = int.from_bytes(web3.eth.get_storage_at(text(done.address), slot), "big")  # type: ignore[arg-type]
        assert found == value, hex(slot)


def test_other_settings_are_another_contract() -> None:
    build = load_build("cancun")
    one = keccak256(_setup().init_code(build))
    other = keccak256(Setup(weth=MAINNET_WETH, owner=OWNER, guardian=OWNER, vault=VAULT, operators=()).init_code(build))
    assert create2_address(CREATE2_DEPLOYER, bytes(32), one) != create2_address(CREATE2_DEPLOYER, bytes(32), other)


def test_a_deployed_executor_earns(web3: Web3) -> None:
    from executor_world import CHEAP, DEAR

    operator = Signer(ANVIL_KEY).address
    setup = Setup(
        weth=MAINNET_WETH, owner=OWNER, guardian=GUARDIAN, vault=VAULT, operators=(operator,), pools=(CHEAP, DEAR)
    )
    done = deploy(web3, setup, build="cancun", sender=Signer(ANVIL_KEY), is_broadcast=True)
    rpc(web3, "anvil_setCoinbase", text(COINBASE))
    run = {"from": text(operator), "to": text(done.address), "data": "0x" + encode_run(plan()).hex(), "gas": 500_000}
    receipt = web3.eth.wait_for_transaction_receipt(web3.eth.send_transaction(run))  # type: ignore[arg-type]
    assert receipt["status"] == 1
    assert balance(web3, MAINNET_WETH, VAULT) == plan().legs[1].amount_out - plan().legs[0].amount_in


def test_a_foreign_contract_at_the_address_is_reported(web3: Web3) -> None:
    planned = _deploy(web3, is_broadcast=False)
    rpc(web3, "anvil_setCode", text(planned.address), "0x00")
    with pytest.raises(SetupError, match="has the hash"):
        _deploy(web3, is_broadcast=True)


def test_a_chain_without_the_deployer_gets_a_contract_of_the_sender(web3: Web3) -> None:
    rpc(web3, "anvil_setCode", text(CREATE2_DEPLOYER), "0x")
    done = _deploy(web3, is_broadcast=True)
    assert not done.is_deterministic
    assert done.address == create_address(Signer(ANVIL_KEY).address, 0)
    assert keccak256(bytes(web3.eth.get_code(text(done.address)))) == done.code_hash  # type: ignore[arg-type]


def test_a_chain_without_wrapped_ether_an_empty_account_and_a_dead_node_are_said_clearly(web3: Web3) -> None:
    with pytest.raises(SetupError, match="wrapped ether"):
        deploy(
            web3,
            Setup(weth=address_of("nothing"), owner=OWNER, guardian=OWNER, vault=VAULT, operators=()),
            build="cancun",
            sender=Signer(ANVIL_KEY),
            is_broadcast=False,
        )
    poor = Signer(keccak256(b"a key without funds"))
    with pytest.raises(SetupError, match=r"holds 0 wei"):
        deploy(web3, _setup(), build="cancun", sender=poor, is_broadcast=True)
    with pytest.raises(SetupError, match="does not answer"):
        dead = Web3(
            HTTPProvider("http://127.0.0.1:1", request_kwargs={"timeout": 2}, exception_retry_configuration=None)
        )
        deploy(dead, _setup(), build="cancun", sender=poor, is_broadcast=False)


def test_the_cancun_build_on_an_older_chain_points_to_the_london_build() -> None:
    with anvil("--hardfork", "london") as web3:
        plant_pairs(web3)
        with pytest.raises(SetupError) as caught:
            _deploy(web3, is_broadcast=False)
        assert "london" in caught.value.hint
        assert _deploy(web3, is_broadcast=True, build="london").transaction_hash is not None


def test_the_constants_are_those_of_the_packages(web3: Web3) -> None:
    assert bytes(Web3.keccak(web3.eth.get_code(text(CREATE2_DEPLOYER)))) == CREATE2_DEPLOYER_CODE_HASH  # type: ignore[arg-type]
    packages = {
        0: ROOT / "node_modules/@uniswap/v2-core/build/UniswapV2Pair.json",
        2: ROOT / "node_modules/@uniswap/v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json",
    }
    for index, path in packages.items():
        code = json.loads(path.read_text())["bytecode"].removeprefix("0x")
        assert keccak256(bytes.fromhex(code)) == MAINNET_FACTORIES[index].init_code_hash


def test_the_script_deploys_to_a_devnet_and_answers_in_json(web3: Web3) -> None:
    command = [
        sys.executable,
        str(ROOT / "scripts/deploy_executor.py"),
        "--rpc-url",
        web3.provider.endpoint_uri,
        "--json",
    ]  # type: ignore[attr-defined]
    dry = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    done = subprocess.run([*command, "--broadcast"], cwd=ROOT, capture_output=True, text=True, check=True)
    said, did = json.loads(dry.stdout)["data"], json.loads(done.stdout)["data"]
    assert said["transaction_hash"] is None
    assert did["transaction_hash"] is not None
    assert did["address"] == said["address"]
    address = Address(bytes.fromhex(did["address"][2:]))
    assert keccak256(bytes(web3.eth.get_code(text(address)))).hex() == did["code_hash"][2:]  # type: ignore[arg-type]
