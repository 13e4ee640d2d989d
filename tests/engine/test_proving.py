"""Which pools may be quoted, and what is said of those that may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from agent.chain.discovery import PoolRecord
from agent.engine.proving import prove_pools
from agent.eth.hexes import address_text
from agent.eth.units import Address
from agent.sim.pool_probe import FeeProof, Prober, TokenVerdict
from agent.sim.simulator import Slot

WETH, TOKEN, POOL = (Address(bytes([i]) * 20) for i in (1, 2, 3))


class Answers:
    """A prober with one answer for the token and one for the fee."""

    def __init__(
        self, *, is_plain: bool | None, missing: int = 0, fee_pips: int | None = None, assumed: int = 0
    ) -> None:
        self.is_plain, self.missing, self.fee_pips, self.assumed = is_plain, missing, fee_pips, assumed

    async def tokens(self, holdings: Sequence[tuple[Address, Address]]) -> list[TokenVerdict]:
        slots = tuple(Slot(TOKEN, i) for i in range(self.missing))
        return [TokenVerdict(token, pool, self.is_plain, "of 100 sent 99 arrived", slots) for token, pool in holdings]

    async def v2_fee(self, pool: Address, token0: Address, token1: Address) -> FeeProof:
        return FeeProof(self.fee_pips, "as probed", tuple(Slot(pool, i) for i in range(self.assumed)))


def record(*, is_proved: bool = False) -> PoolRecord:
    return PoolRecord(POOL, "v2", WETH, TOKEN, 3_000 if is_proved else None, None, "some V2", is_proved)


async def proved(answers: Answers, given: PoolRecord) -> tuple[list[PoolRecord], list[tuple[str, str]]]:
    proving = await prove_pools(cast(Prober, answers), [given], trusted={WETH})
    assert proving.warnings == []
    return proving.records, [(one.reason, one.detail) for one in proving.left_out]


@pytest.mark.parametrize(("missing", "ending"), [(0, "arrived"), (2, "arrived, 2 unknown slots taken as zero")])
async def test_a_tax_is_told_with_what_it_rests_on(missing: int, ending: str) -> None:
    records, [(reason, detail)] = await proved(Answers(is_plain=False, missing=missing), record(is_proved=True))
    assert (records, reason) == ([], "taxed_token")
    assert detail.endswith(ending)


async def test_a_token_of_which_nothing_is_told_is_left_to_execution() -> None:
    given = record(is_proved=True)
    assert await proved(Answers(is_plain=None, missing=3), given) == ([given], [])


async def test_a_fork_is_quoted_with_the_fee_that_was_proved_and_not_without() -> None:
    [quoted], none = await proved(Answers(is_plain=True, fee_pips=2_500), record())
    assert (quoted.fee_pips, quoted.is_proved, none) == (2_500, True, [])
    assert await proved(Answers(is_plain=True), record()) == ([], [("unproved_fee", "as probed")])


@pytest.mark.parametrize(("assumed", "slots"), [(1, "1 unknown slot taken"), (3, "3 unknown slots taken")])
async def test_a_fee_whose_proof_rests_on_state_taken_as_zero_is_told(assumed: int, slots: str) -> None:
    answers = Answers(is_plain=True, fee_pips=2_500, assumed=assumed)
    proving = await prove_pools(cast(Prober, answers), [record()], trusted={WETH})
    assert [one.fee_pips for one in proving.records] == [2_500]
    [warning] = proving.warnings
    assert address_text(POOL) in warning and "2500 pips" in warning and slots in warning


async def test_a_fee_that_was_not_proved_needs_no_word_on_what_its_proof_rests_on() -> None:
    answers = Answers(is_plain=True, assumed=3)
    assert (await prove_pools(cast(Prober, answers), [record()], trusted={WETH})).warnings == []
