"""The archive: known, known zero, unknown; what is ours is empty; what is asked is remembered."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak, to_checksum_address

from agent.devnet.archive import Archive
from agent.devnet.case import Case, load_case
from agent.devnet.fresh import create_address
from agent.eth.keccak import EMPTY_CODE_HASH
from agent.eth.units import Address
from agent.sim.simulator import Slot

WETH = Address(bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"))
OURS = Address(keccak(b"an address of ours")[12:])
STRANGER = Address(keccak(b"somebody else")[12:])
UNKNOWN_SLOT = 0xDEAD_0000_BEEF


@pytest.fixture(scope="session")
def case(mainnet: Path) -> Case:
    return load_case(mainnet / "public" / "24647140.json.gz")


def ask(archive: Archive, method: str, *params: Any) -> Any:
    answer = json.loads(
        archive.answer(json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode())
    )
    assert answer["id"] == 7
    return answer["error"] if "error" in answer else answer["result"]


def text(address: Address) -> str:
    return "0x" + address.hex()


def test_every_known_account_and_slot_is_answered_as_the_case_says(case: Case) -> None:
    archive, tag = Archive(case), hex(case.parent.number)
    for address, account in case.accounts.items():
        assert int(ask(archive, "eth_getBalance", text(address), tag), 16) == account.balance_wei
        assert int(ask(archive, "eth_getTransactionCount", text(address), tag), 16) == account.nonce
        code = case.code_of(address) or b""
        assert ask(archive, "eth_getCode", to_checksum_address(address), tag) == "0x" + code.hex()
        for slot, value in account.storage.items():
            word = ask(archive, "eth_getStorageAt", text(address), hex(slot), tag)
            assert (len(word), int(word, 16)) == (66, value)
    assert archive.missing == ()


def test_an_unknown_slot_is_named_and_remembered_and_never_zero(case: Case) -> None:
    archive = Archive(case)
    error = ask(archive, "eth_getStorageAt", text(WETH), hex(UNKNOWN_SLOT), "latest")
    assert error == {"code": -32001, "message": f"unknown state: account {text(WETH)} slot {UNKNOWN_SLOT:#x}"}
    error = ask(archive, "eth_getBalance", text(STRANGER), "latest")
    assert error == {"code": -32001, "message": f"unknown state: account {text(STRANGER)}"}
    assert archive.missing == (Slot(WETH, UNKNOWN_SLOT), Slot(STRANGER, None))
    archive.forget()
    assert archive.missing == ()


def test_a_slot_of_an_account_without_code_and_nonce_is_zero(case: Case) -> None:
    absent = next(address for address, account in case.accounts.items() if account.is_absent)
    assert int(ask(Archive(case), "eth_getStorageAt", text(absent), "0x5", "latest"), 16) == 0


def test_an_account_that_once_acted_may_have_storage_without_code(case: Case) -> None:
    """A delegation (EIP-7702) that was taken back leaves what it wrote."""
    used = next(a for a, account in case.accounts.items() if account.nonce and account.code_hash == EMPTY_CODE_HASH)
    assert ask(Archive(case), "eth_getStorageAt", text(used), "0x5", "latest")["code"] == -32001


def test_what_a_fresh_address_is_and_owns_is_nothing(case: Case) -> None:
    archive = Archive(case, fresh=[OURS])
    created = create_address(OURS, 3)
    for address in (OURS, created):
        assert ask(archive, "eth_getBalance", text(address), "latest") == "0x0"
        assert ask(archive, "eth_getCode", text(address), "latest") == "0x"
        assert int(ask(archive, "eth_getStorageAt", text(address), "0x9", "latest"), 16) == 0
        assert ask(archive, "eth_getAccountInfo", text(address), "latest") == {
            "balance": "0x0",
            "nonce": "0x0",
            "code": "0x",
        }
    spender = next(iter(case.accounts))
    for owner in (OURS, created):
        for key in _mapping_keys(owner, spender):
            assert int(ask(archive, "eth_getStorageAt", text(WETH), hex(key), "latest"), 16) == 0
    assert archive.missing == ()


def _mapping_keys(owner: Address, spender: Address) -> list[int]:
    """By another ABI encoder: Solidity and Vyper mappings at slots 3 and 51, Solady's balance."""
    keys = []
    for slot in (3, 51):
        keys.append(keccak(encode(["address", "uint256"], [text(owner), slot])))
        keys.append(keccak(encode(["uint256", "address"], [slot, text(owner)])))
    keys.append(keccak(owner + (0x87A211A2).to_bytes(12, "big")))
    return [int.from_bytes(key, "big") for key in keys]


def test_allowances_of_and_to_a_fresh_address_are_nothing(case: Case) -> None:
    archive = Archive(case, fresh=[OURS])
    other = next(iter(case.accounts))
    for holder, spender in ((OURS, other), (other, OURS)):
        inner = keccak(encode(["address", "uint256"], [text(holder), 4]))
        key = keccak(encode(["address", "bytes32"], [text(spender), inner]))
        assert int(ask(archive, "eth_getStorageAt", text(WETH), "0x" + key.hex(), "latest"), 16) == 0
    between_strangers = keccak(encode(["address", "bytes32"], [text(STRANGER), b"\1" * 32]))
    assert ask(archive, "eth_getStorageAt", text(WETH), "0x" + between_strangers.hex(), "latest")["code"] == -32001


def test_a_stranger_is_not_taken_as_fresh(case: Case) -> None:
    archive = Archive(case, fresh=[OURS])
    for key in _mapping_keys(STRANGER, OURS):
        assert ask(archive, "eth_getStorageAt", text(WETH), hex(key), "latest")["code"] == -32001


def test_created_addresses_are_those_of_other_peoples_rlp() -> None:
    import rlp

    for nonce in (0, 1, 127):
        assert create_address(OURS, nonce) == keccak(rlp.encode([OURS, nonce]))[12:]
    with pytest.raises(ValueError, match="128"):
        create_address(OURS, 128)


def test_an_assumed_slot_is_zero_and_its_use_is_listed(case: Case) -> None:
    used, unused = Slot(WETH, UNKNOWN_SLOT), Slot(WETH, UNKNOWN_SLOT + 1)
    archive = Archive(case, assume=[used, unused])
    assert archive.assumed == ()
    assert int(ask(archive, "eth_getStorageAt", text(WETH), hex(UNKNOWN_SLOT), "latest"), 16) == 0
    assert archive.assumed == (used,)
    assert archive.missing == ()


def test_an_assumed_slot_never_hides_what_the_case_knows(case: Case) -> None:
    slot, value = next((s, v) for s, v in case.accounts[WETH].storage.items() if v)
    archive = Archive(case, assume=[Slot(WETH, slot)])
    assert int(ask(archive, "eth_getStorageAt", text(WETH), hex(slot), "latest"), 16) == value
    assert archive.assumed == ()


def test_only_the_parents_state_is_served(case: Case) -> None:
    archive = Archive(case)
    for tag in (hex(case.number), hex(case.number - 2), "0x0", "earliest"):
        assert "error" in _whole(archive, "eth_getBalance", text(WETH), tag)
    assert ask(archive, "eth_getBalance", text(WETH), {"blockHash": "0x" + case.parent.hash.hex()}) != ""
    assert archive.missing == ()


def _whole(archive: Archive, method: str, *params: Any) -> dict[str, Any]:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return dict(json.loads(archive.answer(body.encode())))


def test_blocks_carry_their_true_hashes(case: Case) -> None:
    archive = Archive(case)
    parent = ask(archive, "eth_getBlockByNumber", hex(case.parent.number), False)
    assert parent["hash"] == "0x" + case.parent.hash.hex()
    own = ask(archive, "eth_getBlockByNumber", hex(case.number), True)
    assert own["hash"] == "0x" + case.header.hash.hex()
    assert [row["hash"] for row in own["transactions"]] == ["0x" + tx.hash.hex() for tx in case.transactions]
    assert ask(archive, "eth_getBlockByHash", own["hash"], True) == own
    assert ask(archive, "eth_getBlockByNumber", "0x5", False)["code"] == -32001
    assert ask(archive, "eth_getBlockByNumber", hex(case.number + 1), False) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]x", b'{"id":1}', b'{"id":1,"method":5}', b"[1]", b"\xff", b"[" * 10_000],
)
def test_what_is_no_request_gets_an_error_and_not_an_exception(case: Case, body: bytes) -> None:
    assert json.loads(Archive(case).answer(body))["error"]["code"] == -32700


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", []),
        ("eth_getBalance", [5]),
        ("eth_getBalance", ["0x12"]),
        ("eth_getStorageAt", [text(WETH)]),
        ("eth_getStorageAt", [text(WETH), "zz", "latest"]),
        ("eth_getBlockByNumber", []),
        ("eth_getBlockByNumber", [{}]),
    ],
)
def test_wrong_parameters_get_an_error(case: Case, method: str, params: list[Any]) -> None:
    assert ask(Archive(case), method, *params)["code"] == -32602


def test_an_unknown_method_is_said_to_be_unknown(case: Case) -> None:
    assert ask(Archive(case), "eth_getProof", text(WETH), [], "latest")["code"] == -32601


def test_it_serves_over_http_with_batches_and_is_gone_after_stop(case: Case) -> None:
    archive = Archive(case)
    with archive:
        calls = [{"jsonrpc": "2.0", "id": i, "method": "eth_chainId", "params": []} for i in range(3)]
        request = urllib.request.Request(archive.url, json.dumps(calls).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request) as response:
            assert [row["result"] for row in json.load(response)] == ["0x1"] * 3
        port = int(archive.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 400")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    archive.stop()
