"""Replacement, cancellation and identity of bundles, against the vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.devnet.builder.bundles import CANCEL_FOR_GOOD, CANCEL_LIFE_NS, Bundle, BundlePool, Insertion, State
from agent.devnet.builder.rules import Reason
from agent.devnet.pending import PendingTransaction, decode_pending
from agent.eth.units import Address, Hash32
from tests.devnet.test_mempool import signed

SIGNERS = {"A": Address(b"\xaa" * 20), "B": Address(b"\xbb" * 20)}


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def bundle(label: str, *, signer: str = "A", replacement_id: str | None = None, sequence: int | None = None) -> Bundle:
    """A bundle whose one transaction tells its label by its nonce."""
    return Bundle(
        transactions=(decode_pending(signed(int(label[1:]))),),
        block_number=100,
        replacement_id=replacement_id,
        sequence=sequence,
        signer=SIGNERS[signer],
    )


def test_replacement_scripts_of_the_vectors(vectors: Path) -> None:
    scripts = json.loads((vectors / "bundles" / "builder_rules.json").read_text())["replacement"]["scripts"]
    assert len(scripts) == 9
    for script in scripts:
        pool = BundlePool(Clock())
        for step in script["steps"]:
            sequence = int(step["sequence"])
            if step["bundle"] is None:
                result = pool.cancel(step["id"], SIGNERS[step["signer"]], sequence=sequence)
            else:
                result = pool.insert(
                    bundle(step["bundle"], signer=step["signer"], replacement_id=step["id"], sequence=sequence)
                )
            assert result == step["result"], (script["name"], step)
        assert [f"b{held.transactions[0].nonce}" for held in pool] == script["live"], script["name"]


def test_a_cancel_before_its_insert_lives_a_minute_and_the_cancel_method_for_good() -> None:
    clock = Clock()
    pool = BundlePool(clock)
    pool.cancel("u1", SIGNERS["A"], sequence=9)
    pool.cancel("u2", SIGNERS["A"], sequence=CANCEL_FOR_GOOD)
    clock.now_ns = CANCEL_LIFE_NS
    assert pool.insert(bundle("b1", replacement_id="u1", sequence=8)) is Insertion.IGNORED
    clock.now_ns += 1
    assert pool.insert(bundle("b1", replacement_id="u1", sequence=8)) is Insertion.INSERTED
    assert pool.insert(bundle("b2", replacement_id="u2", sequence=8)) is Insertion.IGNORED


def test_a_replaced_bundle_says_so_when_asked() -> None:
    pool = BundlePool(Clock())
    first = bundle("b1", replacement_id="u1", sequence=1)
    pool.insert(first)
    pool.insert(bundle("b2", replacement_id="u1", sequence=2))
    (status,) = pool.statuses(first.hash)
    assert (status.state, status.reason) == (State.DROPPED, Reason.REPLACED)
    assert [status.state for status in pool.statuses("u1")] == [State.DROPPED, State.WAITING]


def test_a_bundle_is_offered_for_its_block_alone_and_expires_behind_it() -> None:
    pool = BundlePool(Clock())
    held = bundle("b1")
    assert pool.insert(held) is Insertion.INSERTED
    assert pool.insert(held) is Insertion.IGNORED
    assert pool.candidates(99) == []
    assert pool.candidates(100) == [held]
    assert pool.candidates(101) == []
    assert pool.statuses(held.hash)[0].reason is Reason.EXPIRED


def test_only_the_key_that_sent_a_private_transaction_cancels_it() -> None:
    pool = BundlePool(Clock())
    private = Bundle(
        transactions=(decode_pending(signed(1)),),
        block_number=None,
        last_block=125,
        signer=SIGNERS["A"],
        is_private_transaction=True,
    )
    pool.insert(private)
    assert not pool.cancel_private(private.transactions[0].hash, SIGNERS["B"])
    assert pool.candidates(125) == [private]
    assert pool.cancel_private(private.transactions[0].hash, SIGNERS["A"])
    assert len(pool) == 0


def test_hashes_and_unique_ids_are_those_of_the_reference_implementations(vectors: Path) -> None:
    rows = json.loads((vectors / "bundles" / "transactions.json").read_text())
    transactions: list[PendingTransaction] = [
        decode_pending(bytes.fromhex(row["raw"][2:])) for row in rows["transactions"]
    ]

    def hashes(texts: list[str]) -> frozenset[Hash32]:
        return frozenset(Hash32(bytes.fromhex(text[2:])) for text in texts)

    for row in rows["bundles"]:
        held = Bundle(transactions=tuple(transactions[i] for i in row["tx_indices"]), block_number=1)
        assert "0x" + held.hash.hex() == row["bundle_hash"]
    for row in rows["bundle_ids"]:
        refund = row.get("refund") or {}
        held = Bundle(
            transactions=tuple(transactions[i] for i in row["tx_indices"]),
            block_number=row["block"],
            min_timestamp=row["min_timestamp"] or 0,
            max_timestamp=row["max_timestamp"] or 0,
            reverting=hashes(row["reverting"]),
            dropping=hashes(row["dropping"]),
            refund_percent=refund.get("percent", 0),
            refund_recipient=Address(bytes.fromhex(refund["recipient"][2:])) if refund else None,
            refund_transactions=tuple(hashes([refund["tx_hash"]])) if refund else (),
        )
        assert str(held.uuid) == row["uuid_v2"], row


def test_an_id_without_sequence_is_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="sequence"):
        BundlePool(Clock()).insert(bundle("b1", replacement_id="u1", sequence=None))
