"""The chain of heads under every order of announcements: never a gap, never a block twice."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chain.head_chain import Extend, HeadChain, NeedParent, Refuse, Rollback, Step, Stop
from agent.chain.headers import Header
from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32

ZERO = Hash32(bytes(32))


def child_of(parent: Header | None, salt: int = 0, number: int | None = None) -> Header:
    parent_hash = ZERO if parent is None else parent.hash
    height = 100 if parent is None else parent.number + 1
    return Header(
        number=height if number is None else number,
        hash=keccak256(parent_hash + salt.to_bytes(8, "big")),
        parent_hash=parent_hash,
        timestamp=height * 12,
        base_fee_wei=1,
        gas_limit=30_000_000,
        gas_used=0,
        fee_recipient=Address(bytes(20)),
        prev_randao=ZERO,
        logs_bloom=bytes(256),
        receipts_root=ZERO,
        transactions_root=ZERO,
        state_root=ZERO,
        excess_blob_gas=None,
        blob_gas_used=None,
        is_proved=True,
    )


def line(parent: Header | None, length: int, salt: int = 0) -> list[Header]:
    headers: list[Header] = []
    for _ in range(length):
        parent = child_of(parent, salt)
        headers.append(parent)
    return headers


def follow(chain: HeadChain, header: Header, known: dict[Hash32, Header]) -> list[Step]:
    """Announce a header and provide every parent that is asked for."""
    steps = list(chain.accept(header))
    while steps and isinstance(steps[-1], NeedParent):
        wanted = steps.pop()
        steps += chain.provide(known[wanted.hash])
    return steps


def numbers(steps: list[Step] | tuple[Step, ...]) -> list[str]:
    signs = {Extend: "+", Rollback: "-"}
    return [f"{signs[type(step)]}{step.header.number}" for step in steps]


def test_a_branch_is_taken_back_tip_first_and_the_new_one_added_oldest_first():
    trunk = line(None, 4)
    fork = line(trunk[1], 3, salt=1)
    chain = HeadChain()
    for header in trunk:
        chain.accept(header)
    assert numbers(chain.accept(fork[0])) == ["-103", "-102", "+102"]
    assert numbers(chain.accept(fork[1])) == ["+103"]
    assert numbers(follow(chain, trunk[3], {trunk[2].hash: trunk[2]})) == ["-103", "-102", "+102", "+103"]


def test_gaps_are_filled_by_hash_before_the_head_is_told():
    known = line(None, 6)
    chain = HeadChain()
    chain.accept(known[0])
    assert chain.accept(known[3]) == (NeedParent(known[2].hash, 102),)
    assert chain.provide(known[2]) == (NeedParent(known[1].hash, 101),)
    assert numbers(chain.provide(known[1])) == ["+101", "+102", "+103"]


def test_a_reorg_of_each_depth_up_to_the_limit_is_followed_and_one_more_is_not():
    for depth in range(1, 9):
        trunk = line(None, 10)
        chain = HeadChain(max_rollback=7)
        for header in trunk:
            chain.accept(header)
        fork = line(trunk[9 - depth], depth + 1, salt=1)
        steps = follow(chain, fork[-1], {header.hash: header for header in fork})
        if depth <= 7:
            assert numbers(steps) == [f"-{109 - i}" for i in range(depth)] + [f"+{h.number}" for h in fork]
            assert chain.tip == fork[-1]
        else:
            assert len(steps) == 1 and isinstance(steps[0], Stop)
            assert chain.tip == trunk[-1]


def test_nothing_below_the_finalized_block_is_taken_back():
    trunk = line(None, 6)
    chain = HeadChain()
    for header in trunk:
        chain.accept(header)
    chain.finalize(103)
    assert isinstance(chain.accept(child_of(trunk[2], salt=1))[0], Stop)
    assert numbers(chain.accept(child_of(trunk[3], salt=1))) == ["-105", "-104", "+104"]


def test_a_header_announced_too_early_waits_for_its_parent_and_a_late_one_is_ignored():
    first, second, third = line(None, 3)
    chain = HeadChain()
    chain.accept(first)
    assert chain.accept(third) == (NeedParent(second.hash, 101),)
    assert numbers(chain.accept(second)) == ["+101", "+102"]
    assert chain.accept(second) == () and chain.accept(first) == ()
    assert chain.ignored == 2


def test_of_two_early_children_of_one_block_the_one_announced_last_is_taken():
    first, second = line(None, 2)
    older, newer = child_of(second, salt=1), child_of(second, salt=2)
    chain = HeadChain()
    chain.accept(first)
    chain.accept(older)
    chain.accept(newer)
    chain.accept(second)
    assert chain.tip == newer


def test_a_head_whose_parent_cannot_be_had_is_asked_for_again_by_its_child():
    known = line(None, 4)
    chain = HeadChain()
    chain.accept(known[0])
    chain.accept(known[2])
    chain.give_up()
    assert chain.accept(known[3]) == (NeedParent(known[1].hash, 101),)
    assert numbers(chain.provide(known[1])) == ["+101", "+102", "+103"]


def test_a_header_that_breaks_a_rule_is_refused_and_changes_nothing():
    first, second = line(None, 2)
    chain = HeadChain(broken_rule=lambda parent, child: "bad fee" if child.base_fee_wei != 1 else "")
    chain.accept(first)
    assert chain.accept(msgspec.structs.replace(second, base_fee_wei=9)) == (Refuse("block 101: bad fee"),)
    assert isinstance(chain.accept(child_of(first, number=105))[0], Refuse)
    assert chain.tip == first
    assert numbers(chain.accept(second)) == ["+101"]


def test_a_seeded_chain_follows_a_reorg_of_its_first_head():
    trunk = line(None, 4)
    chain = HeadChain()
    chain.seed(trunk)
    assert numbers(chain.accept(child_of(trunk[2], salt=1))) == ["-103", "+103"]
    with pytest.raises(ValueError, match="not the child"):
        HeadChain().seed([trunk[0], trunk[2]])


def test_going_back_takes_back_what_stood_above_but_never_below_the_finalized():
    trunk = line(None, 5)
    chain = HeadChain()
    chain.seed(trunk)
    assert numbers(chain.rewind(trunk[2].hash)) == ["-104", "-103"]
    assert chain.rewind(trunk[2].hash) == ()
    assert numbers(chain.accept(trunk[3])) == ["+103"]
    chain.finalize(102)
    assert isinstance(chain.rewind(trunk[1].hash)[0], Stop)


def test_a_gap_without_end_stops_instead_of_asking_for_ever():
    known = line(None, 40)
    by_hash = {header.hash: header for header in known}
    chain = HeadChain(max_gap=10)
    chain.accept(known[0])
    assert isinstance(follow(chain, known[30], by_hash)[-1], Stop)
    assert chain.tip == known[0]
    assert numbers(follow(chain, known[10], by_hash))[-1] == "+110"


@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 60))
def test_any_order_of_announcements_tells_one_unbroken_story(seed: int, size: int, announcements: int):
    rng = random.Random(seed)
    tree = [child_of(None)]
    for salt in range(size):
        tree.append(child_of(rng.choice(tree[-6:]), salt + 1))
    by_hash = {header.hash: header for header in tree}
    chain = HeadChain()
    story: list[Header] = []
    chain_steps = list(chain.accept(tree[0]))
    for _ in range(announcements):
        header = rng.choice(tree)
        was_known = header.hash in chain.headers
        steps = list(chain.accept(header))
        while steps and isinstance(steps[-1], NeedParent):
            wanted = steps.pop()
            if rng.random() < 0.1:
                chain.give_up()
                was_known = True
                break
            steps += chain.provide(by_hash[wanted.hash])
        chain_steps += steps
        if not was_known:
            assert header.hash in chain.headers
    for step in chain_steps:
        if isinstance(step, Extend):
            assert not story or (step.header.parent_hash == story[-1].hash)
            story.append(step.header)
        else:
            assert isinstance(step, Rollback), step
            assert story.pop() == step.header
    assert story == list(chain.headers.values())
