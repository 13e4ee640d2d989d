"""One key, one live bundle per block; the chain's nonce has the last word."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.eth.units import Address
from agent.venues.onchain.nonces import NonceLedger, Spent

A, B = Address(bytes([1]) * 20), Address(bytes([2]) * 20)


def test_keys_are_given_out_one_by_one_and_then_none_is_left() -> None:
    ledger = NonceLedger({A: 5, B: 9})
    first, second = ledger.claim(block_number=10, holder="x"), ledger.claim(block_number=10, holder="y")
    assert first and second
    assert (first.key, first.nonce, second.key, second.nonce) == (A, 5, B, 9)
    assert ledger.claim(block_number=10, holder="z") is None
    assert ledger.claim(block_number=11, holder="z") is None, "a live bundle of the block before may still land"


def test_a_replacement_keeps_its_key_and_nonce() -> None:
    ledger = NonceLedger({A: 5, B: 9})
    assert ledger.claim(block_number=10, holder="x") == ledger.claim(block_number=10, holder="x")
    assert len(ledger.live()) == 1


def test_a_key_is_free_again_when_its_block_has_passed_without_it() -> None:
    ledger = NonceLedger({A: 5})
    ledger.claim(block_number=10, holder="x")
    assert ledger.advance(head_block=9, nonces={A: 5}) == ()
    assert ledger.claim(block_number=11, holder="y") is None
    assert ledger.advance(head_block=10, nonces={A: 5}) == ()
    again = ledger.claim(block_number=11, holder="y")
    assert again and again.nonce == 5


def test_a_used_nonce_ends_the_claim_and_is_told() -> None:
    ledger = NonceLedger({A: 5})
    claim = ledger.claim(block_number=10, holder="x")
    assert claim
    assert ledger.advance(head_block=10, nonces={A: 6}) == (Spent(claim, 6),)
    following = ledger.claim(block_number=11, holder="y")
    assert following and following.nonce == 6


def test_a_nonce_used_ahead_of_the_block_is_told_too() -> None:
    ledger = NonceLedger({A: 5})
    claim = ledger.claim(block_number=12, holder="x")
    assert claim
    assert ledger.advance(head_block=10, nonces={A: 7}) == (Spent(claim, 7),)
    assert ledger.live() == ()


def test_a_reorg_may_take_a_nonce_back() -> None:
    ledger = NonceLedger({A: 5})
    ledger.advance(head_block=10, nonces={A: 6})
    ledger.advance(head_block=10, nonces={A: 5})
    claim = ledger.claim(block_number=11, holder="y")
    assert claim and claim.nonce == 5


def test_what_exists_nowhere_gives_its_key_back_once() -> None:
    ledger = NonceLedger({A: 5})
    old = ledger.claim(block_number=10, holder="x")
    assert old
    ledger.release(old)
    new = ledger.claim(block_number=10, holder="y")
    assert new and new.key == A
    ledger.release(old)
    assert ledger.live() == (new,), "an old claim gives back nothing of a new one"


def test_a_foreign_key_is_our_mistake() -> None:
    with pytest.raises(KeyError, match="no operator key"):
        NonceLedger({A: 5}).advance(head_block=1, nonces={B: 1})


class LedgerMachine(RuleBasedStateMachine):
    """Whatever happens, no two live claims share a key and each has the chain's nonce."""

    @initialize()
    def start(self) -> None:
        self.nonces = {A: 0, B: 0}
        self.head = 0
        self.ledger = NonceLedger(self.nonces)

    @rule(ahead=st.integers(1, 3), holder=st.sampled_from("xyz"))
    def claim(self, ahead: int, holder: str) -> None:
        claim = self.ledger.claim(block_number=self.head + ahead, holder=holder)
        if claim is not None:
            assert claim.nonce == self.nonces[claim.key]

    @rule(index=st.integers(0, 1))
    def release(self, index: int) -> None:
        for claim in self.ledger.live()[index : index + 1]:
            self.ledger.release(claim)

    @rule(landed=st.sets(st.sampled_from([A, B])))
    def new_head(self, landed: set[Address]) -> None:
        self.head += 1
        for key in landed:
            self.nonces[key] += 1
        spent = self.ledger.advance(head_block=self.head, nonces=self.nonces)
        assert {one.claim.key for one in spent} <= landed

    @invariant()
    def claims_are_sound(self) -> None:
        live = self.ledger.live()
        assert len({claim.key for claim in live}) == len(live)
        assert all(claim.block_number > self.head and claim.nonce == self.nonces[claim.key] for claim in live)
        assert len(live) + len(list(self.ledger.free_keys())) == 2


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
