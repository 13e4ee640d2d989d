"""The devnet's mempool against signed transactions of other implementations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rlp
from eth_account import Account

from agent.devnet.mempool import Mempool
from agent.devnet.pending import decode_pending
from agent.errors import Rejected

KEY = "0x" + "11" * 32


def signed(nonce: int, *, tip: int = 10, cap: int = 100, key: str = KEY) -> bytes:
    fields = {"type": 2, "chainId": 1, "nonce": nonce, "to": "0x" + "22" * 20, "value": 1, "gas": 21_000}
    fields |= {"maxFeePerGas": cap, "maxPriorityFeePerGas": tip, "data": b""}
    return bytes(Account.sign_transaction(fields, key).raw_transaction)


def test_signed_transactions_of_ethers_decode_to_what_was_signed(vectors: Path) -> None:
    rows = json.loads((vectors / "bundles" / "transactions.json").read_text())["transactions"]
    assert {row["tx"]["type"] for row in rows} == {0, 1, 2, 4}
    for row in rows:
        held, tx = decode_pending(bytes.fromhex(row["raw"][2:])), row["tx"]
        assert "0x" + held.hash.hex() == row["hash"]
        assert held.sender.hex() == row["from"][2:].lower()
        assert (held.nonce, held.gas_limit, held.value_wei) == (tx["nonce"], tx["gasLimit"], int(tx["value"]))
        assert held.max_fee_wei == int(tx.get("maxFeePerGas", tx.get("gasPrice")))
        assert held.rpc["to"] == (tx["to"].lower() if tx.get("to") else None)
        assert held.rpc["input"] == tx["data"]


def test_transactions_come_back_in_order_of_arrival_and_once() -> None:
    pool, seen = Mempool(), []
    pool.on_add(lambda transaction: seen.append(transaction.nonce))
    for nonce in (5, 3, 4, 3):
        pool.add(signed(nonce))
    assert [transaction.nonce for transaction in pool] == [5, 3, 4] == seen


def test_a_replacement_must_raise_both_fees_by_a_tenth() -> None:
    pool = Mempool()
    first = pool.add(signed(0, tip=10, cap=100))
    for tip, cap in ((10, 111), (11, 100), (11, 109)):
        with pytest.raises(Rejected, match="underpriced"):
            pool.add(signed(0, tip=tip, cap=cap))
    second = pool.add(signed(0, tip=11, cap=110))
    assert [transaction.hash for transaction in pool] == [second.hash] != [first.hash]


def test_mined_transactions_leave_with_their_rivals() -> None:
    pool, gone = Mempool(), []
    pool.on_remove(lambda transaction: gone.append(transaction.hash))
    held = pool.add(signed(0))
    other = pool.add(signed(1))
    mined_elsewhere = decode_pending(signed(0, tip=50))
    pool.drop_mined([mined_elsewhere, other])
    assert len(pool) == 0 and set(gone) == {held.hash, other.hash}


def test_the_next_nonce_counts_only_an_unbroken_run() -> None:
    pool = Mempool()
    sender = pool.add(signed(7)).sender
    pool.add(signed(8))
    pool.add(signed(10))
    assert pool.next_nonce(sender, mined_nonce=7) == 9
    assert pool.next_nonce(sender, mined_nonce=5) == 5


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x05\xc0", b"\xc0", b"\x02\xc0", signed(0)[:-1], signed(0) + b"\x00"])
def test_bytes_that_are_no_transaction_are_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(Rejected, match="failed to decode"):
        Mempool().add(raw)


def test_a_malleable_signature_is_refused() -> None:

    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    fields = rlp.decode(signed(0)[1:])
    fields[-1] = (order - int.from_bytes(fields[-1], "big")).to_bytes(32, "big")
    fields[-3] = b"" if fields[-3] else b"\x01"
    with pytest.raises(Rejected, match="out of range"):
        Mempool().add(b"\x02" + rlp.encode(fields))


def test_transactions_of_real_blocks_decode_to_their_hash_and_sender(mainnet: Path) -> None:
    import gzip

    kinds = set()
    for number in (13217637, 24647140, 23879620):
        case = json.loads(gzip.decompress((mainnet / "public" / f"{number}.json.gz").read_bytes()))
        for row in case["transactions"]:
            held = decode_pending(bytes.fromhex(row["rlp"][2:]))
            assert held.rpc["hash"] == row["hash"] and held.rpc["from"] == row["from"].lower()
            for name in ("nonce", "gas", "value", "input", "type", "r", "s"):
                assert held.rpc[name] == row[name], (row["hash"], name)
            kinds.add(held.type)
    assert kinds == {0, 1, 2, 3, 4}


def test_a_full_pool_refuses_newcomers_and_takes_replacements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.devnet.mempool.CAPACITY", 1)
    pool = Mempool()
    pool.add(signed(0))
    with pytest.raises(Rejected, match="full"):
        pool.add(signed(1))
    assert pool.add(signed(0, tip=50, cap=500)).hash in pool
