"""`halt()` on a real executor on anvil: signed ahead, sent when the agent dies, and believed when it is read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from web3 import Web3

from agent.devnet.identities import throwaway_key, throwaway_secret
from agent.engine.guarded import sign_halts
from agent.eth.hexes import to_data
from agent.guard.chain_client import ChainClient, ChainHead
from agent.guard.configuration import ChainPart, ConfigurationFault
from agent.guard.halts import load, why_stale
from agent.guard.signing import main as sign_main
from agent.guard.signing import prepare, sign
from agent.venues.onchain.executor import build_for_fork, load_build, runtime_code, storage
from tests.guard.stage import Stage, wait_for
from tests.guard.venue_double import VenueDouble
from tests.venues.executor_world import EXECUTOR, OWNER, VAULT, WETH, anvil, rpc, set_slot, text

GUARDIAN = throwaway_key("guardian")
SECRET = throwaway_secret("guardian")
ETHER = 10**18

pytestmark = pytest.mark.anvil


@pytest.fixture
def world() -> Iterator[Web3]:
    with anvil("--hardfork", "cancun", "--block-time", "1") as web3:
        build = load_build(build_for_fork("cancun"))
        rpc(web3, "anvil_setCode", text(EXECUTOR), "0x" + runtime_code(build, weth=WETH).hex())
        slots = storage(owner=OWNER, operators=[], guardian=GUARDIAN.address, vault=VAULT, tokens=[], pools=[])
        for slot, value in slots.items():
            set_slot(web3, EXECUTOR, slot, value)
        rpc(web3, "anvil_setBalance", text(GUARDIAN.address), hex(ETHER))
        yield web3


def url(web3: Web3) -> str:
    return str(web3.provider.endpoint_uri)  # type: ignore[attr-defined] # an HTTP provider has one


def chain_part(web3: Web3, folder: Path) -> ChainPart:
    return ChainPart(nodes=(url(web3),), executor=to_data(EXECUTOR), halts_file=folder / "halts.json")


def test_both_signers_sign_the_same_bytes() -> None:
    head = ChainHead(chain_id=1, guardian_nonce=4, base_fee_wei=7_000_000_000)
    ours = sign_halts(GUARDIAN, executor=EXECUTOR, chain_id=1, first_nonce=4, base_fee_wei=7_000_000_000)
    assert sign(Account.from_key(SECRET), head, to_data(EXECUTOR)) == ours


def test_the_executor_is_halted_when_the_agent_dies(world: Web3, tmp_path: Path) -> None:
    prepare(chain_part(world, tmp_path), Account.from_key(SECRET))
    chain = {"nodes": [url(world)], "executor": to_data(EXECUTOR), "halts_file": "halts.json"}
    stage = Stage(tmp_path, VenueDouble(), chain=chain)
    client = ChainClient(url(world))
    try:
        stage.start_guard()
        assert stage.status()["why_unready"] == ""
        agent = stage.start_agent()
        assert not client.is_halted(to_data(EXECUTOR))
        trigger = time.monotonic()
        agent.kill()
        wait_for(lambda: client.is_halted(to_data(EXECUTOR)), "halted", tell=stage.status)
        print(f"executor halted by a read after {time.monotonic() - trigger:.2f} s, with blocks 1 s apart")
        verified = stage.wait_verified()
        assert {rung["rung"] for rung in verified["rungs"]} - {"network"} == {"process", "revoke", "sweep", "executor"}
    finally:
        stage.close()


def test_a_node_that_is_away_is_asked_until_it_is_back(world: Web3, tmp_path: Path) -> None:
    prepare(chain_part(world, tmp_path), Account.from_key(SECRET))
    chain = {"nodes": ["http://127.0.0.1:9", url(world)], "executor": to_data(EXECUTOR), "halts_file": "halts.json"}
    stage = Stage(tmp_path, VenueDouble(), chain=chain)
    try:
        stage.start_guard()
        stage.start_agent().kill()
        stage.wait_verified()
    finally:
        stage.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"guardian_nonce": 2}, ""),
        ({"guardian_nonce": 3}, "nonce"),
        ({"chain_id": 2}, "chain"),
        ({"base_fee_wei": 10**12}, "base fee"),
    ],
)
def test_stale_halts_are_seen(tmp_path: Path, change: dict[str, int], why: str) -> None:
    path = tmp_path / "halts.json"
    path.write_text(json.dumps(sign_halts(GUARDIAN, executor=EXECUTOR, chain_id=1, first_nonce=0, base_fee_wei=10**9)))
    head = ChainHead(chain_id=1, guardian_nonce=0, base_fee_wei=10**9)._replace(**change)
    told = why_stale(load(path), head)
    assert why in told and bool(told) == bool(why)


def test_only_the_executors_guardian_signs_and_only_with_funds(world: Web3, tmp_path: Path) -> None:
    part = chain_part(world, tmp_path)
    with pytest.raises(ConfigurationFault, match="not the executor's guardian"):
        prepare(part, Account.from_key(throwaway_secret("stranger")))
    rpc(world, "anvil_setBalance", text(GUARDIAN.address), "0x1")
    with pytest.raises(ConfigurationFault, match="wei to halt"):
        prepare(part, Account.from_key(SECRET))
    assert not part.halts_file.exists()


def test_the_signing_step_opens_a_keystore(world: Web3, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keystore = Account.encrypt(SECRET, "a password", kdf="pbkdf2", iterations=10)
    for name, content in (("k.json", json.dumps(keystore)), ("password", "a password")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    config = {
        "schema": 1,
        "folder": "guard",
        "chain": {
            "nodes": [url(world)],
            "executor": to_data(EXECUTOR),
            "guardian_keystore": "k.json",
            "guardian_password_file": "password",
        },
    }
    (tmp_path / "guard.json").write_text(json.dumps(config))
    assert sign_main(["--config", str(tmp_path / "guard.json")]) == 0
    assert load(tmp_path / "halts.json").guardian == to_data(GUARDIAN.address)
    (tmp_path / "password").write_text("another")
    assert sign_main(["--config", str(tmp_path / "guard.json")]) == 3
    told = capsys.readouterr().err
    assert "does not open" in told and SECRET.hex() not in told
