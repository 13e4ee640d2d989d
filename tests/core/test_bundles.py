"""The core's checks, one by one, at their limits."""

from __future__ import annotations

import msgspec
import pytest

from agent.core import bundles
from agent.core.codes import Code
from agent.core.effects.chain import Cancel, Drop, Execute, Hold, Submit
from agent.core.effects.control import Stop
from agent.core.errors import ContradictoryEvent
from agent.core.events import Event, Stamp
from agent.core.events.chain import (
    BundleEnded,
    CandidateExecuted,
    ChainFacts,
    HeadSeen,
    Holding,
    OpportunityFound,
    SelectionMade,
    Superseded,
    TargetGone,
)
from agent.core.events.control import HaltAsked
from agent.core.limits import RiskLimits
from agent.core.risk.breakers.aggregate import Breakers
from agent.core.step import Core
from tests.core.kept import effects_as_kept

HEAD = HeadSeen(number=100, block_hash="0xaa", parent_hash="0x99", timestamp_s=86_400 * 20_000, next_base_fee_wei=10)
FOUND = OpportunityFound(
    id="one",
    target_number=101,
    head_hash="0xaa",
    after_index=None,
    target_transaction=None,
    pools=("0x01", "0x02"),
    gross_amount=1_000,
    before_amount=0,
)
EXECUTED = CandidateExecuted(
    id="one",
    head_hash="0xaa",
    is_success=True,
    quoted_amount=1_000,
    executed_amount=1_000,
    value_wei=1_000,
    gas_used=10,
    gas_cost_wei=100,
    gas_limit_cost_wei=150,
    bid_wei=800,
    missing=0,
    refused="",
    verdict="",
    base_fee_wei=10,
    fee_cap_wei=20,
)
FACTS = ChainFacts(
    head_hash="0xaa",
    chain_id=1,
    executor_code_hash="",
    is_synced=True,
    head_age_ns=0,
    chain_nonces=7,
    ledger_nonces=7,
    operators_wei=10**18,
    cutoff_ns=1,
    endpoints=(("relay", 9),),
)


def worth(ether_wei: int | None, *tokens: Holding) -> ChainFacts:
    """The facts of an account with so much ETH, and these tokens."""
    return msgspec.structs.replace(FACTS, holdings=(Holding("ETH", ether_wei, ether_wei), *tokens))


LIMITS = RiskLimits(min_net_wei=100, max_gas_wei_per_day=1_000, max_exposure_wei=400, max_bundles_per_block=2)


class Chain:
    """The core of a chain alone; what it decides of bundles hangs on no stamp."""

    def __init__(self, limits: RiskLimits) -> None:
        self.limits = limits
        self.core = Core(limits)

    def step(self, event: Event) -> tuple[object, ...]:
        effects = self.core.step(event, Stamp(0, 0, 0))
        effects_as_kept(effects)
        assert Core(self.limits, state=self.core.state()).state() == self.core.state()
        return effects

    @property
    def is_halted(self) -> bool:
        return self.core.is_halted

    @property
    def exposure_wei(self) -> int:
        assert self.core.bundles is not None
        return self.core.bundles.exposure_wei


def core_at_head(limits: RiskLimits = LIMITS) -> Chain:
    core = Chain(limits)
    assert core.step(HEAD) == ()
    assert core.step(FACTS) == ()
    return core


def drop_code(effects: tuple[object, ...]) -> Code:
    (effect,) = effects
    assert isinstance(effect, Drop)
    return effect.code


def held(core: Chain, id_: str, *, head: str = "0xaa", **changes: object) -> None:
    pools = (f"pool of {id_}",)  # two that take the same pools behind the same target are one
    assert core.step(msgspec.structs.replace(FOUND, id=id_, head_hash=head, pools=pools)) == (Execute(id_),)
    (effect,) = core.step(msgspec.structs.replace(EXECUTED, id=id_, head_hash=head, **changes))
    assert isinstance(effect, Hold)


def test_an_opportunity_at_the_head_is_executed() -> None:
    assert core_at_head().step(FOUND) == (Execute("one"),)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"head_hash": "0xbb"}, Code.STALE_STATE),
        ({"gross_amount": 0}, Code.NO_PROFIT),
        ({"before_amount": 1_000}, Code.NOT_IMPROVED),
    ],
)
def test_a_found_opportunity_is_dropped_with_its_code(change: dict[str, int], code: Code) -> None:
    assert drop_code(core_at_head().step(msgspec.structs.replace(FOUND, **change))) is code


def test_an_improvement_by_one_unit_is_enough() -> None:
    assert core_at_head().step(msgspec.structs.replace(FOUND, before_amount=999)) == (Execute("one"),)


def test_the_same_id_twice_is_a_duplicate() -> None:
    core = core_at_head()
    core.step(FOUND)
    assert drop_code(core.step(FOUND)) is Code.DUPLICATE


def test_what_a_full_table_cannot_remember_is_no_duplicate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_OPEN_IDS", 2)
    core = core_at_head()
    for id_ in ("one", "two"):
        assert core.step(msgspec.structs.replace(FOUND, id=id_)) == (Execute(id_),)
    third = msgspec.structs.replace(FOUND, id="three")
    assert drop_code(core.step(third)) is Code.TABLE_FULL
    assert drop_code(core.step(FOUND)) is Code.DUPLICATE, "what is in the full table is still known"
    core.step(msgspec.structs.replace(HEAD, block_hash="0xab"))
    assert core.step(msgspec.structs.replace(third, head_hash="0xab")) == (Execute("three"),)


def test_after_a_reorg_the_same_cycle_is_new_on_the_sibling_head() -> None:
    core = core_at_head()
    held(core, "one")
    core.step(msgspec.structs.replace(HEAD, block_hash="0xab"))
    held(core, "one", head="0xab")
    core.step(msgspec.structs.replace(FACTS, head_hash="0xab"))
    assert core.step(SelectionMade(101, ("one",), ())) == (Submit("one", 101),)
    core.step(msgspec.structs.replace(HEAD, block_hash="0xac"))
    assert core.exposure_wei, "what lives goes on living, whichever head comes"
    assert drop_code(core.step(msgspec.structs.replace(FOUND, head_hash="0xac"))) is Code.DUPLICATE


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"missing": 1, "is_success": False}, Code.UNKNOWN_STATE),
        ({"refused": "nonce too low"}, Code.SIM_REFUSED),
        ({"is_success": False}, Code.REVERTS),
        ({"executed_amount": 999}, Code.SIM_MISMATCH),
        ({"executed_amount": 1_001}, Code.SIM_MISMATCH),
        ({"verdict": "D_TOKEN_TAXED", "verdict_detail": "a tenth", "is_success": False}, Code.TOKEN_TAXED),
        ({"value_wei": None}, Code.NO_PRICE),
        ({"value_wei": 100}, Code.BELOW_GAS),
        ({"bid_wei": 801}, Code.BELOW_MIN_NET),
    ],
)
def test_an_executed_candidate_is_dropped_with_its_code(change: dict[str, object], code: Code) -> None:
    core = core_at_head()
    core.step(FOUND)
    assert drop_code(core.step(msgspec.structs.replace(EXECUTED, **change))) is code


@pytest.mark.parametrize("change", [{"executed_amount": 999}, {"missing": 1}, {"bid_wei": 801}])
def test_a_held_candidate_that_fails_when_executed_again_cannot_be_submitted(change: dict[str, int]) -> None:
    core = core_at_head()
    held(core, "one")
    drop_code(core.step(msgspec.structs.replace(EXECUTED, **change)))
    with pytest.raises(ContradictoryEvent):
        core.step(SelectionMade(101, ("one",), ()))


def test_a_candidate_at_exactly_the_minimum_net_is_held() -> None:
    core = core_at_head()
    core.step(FOUND)
    assert core.step(EXECUTED) == (Hold("one", 100),)


def test_a_mismatch_quarantines_its_pools() -> None:
    core = core_at_head()
    core.step(FOUND)
    core.step(msgspec.structs.replace(EXECUTED, executed_amount=999))
    other = msgspec.structs.replace(FOUND, id="two", pools=("0x02", "0x03"))
    assert drop_code(core.step(other)) is Code.POOL_QUARANTINED


def test_a_candidate_whose_head_was_replaced_is_stale() -> None:
    core = core_at_head()
    core.step(FOUND)
    core.step(msgspec.structs.replace(HEAD, block_hash="0xa2"))
    assert drop_code(core.step(EXECUTED)) is Code.STALE_STATE


def test_a_sibling_head_at_the_same_height_starts_anew() -> None:
    core = core_at_head()
    held(core, "one")
    core.step(msgspec.structs.replace(HEAD, block_hash="0xa2"))
    assert core.step(msgspec.structs.replace(FOUND, head_hash="0xa2")) == (Execute("one"),)


def test_a_live_bundle_survives_new_heads_until_it_ends() -> None:
    core = core_at_head()
    held(core, "one")
    core.step(SelectionMade(101, ("one",), ()))
    core.step(msgspec.structs.replace(HEAD, block_hash="0xa2", number=101))
    assert core.exposure_wei == 150
    assert core.step(Superseded("one", "two")) == (Cancel("one", "superseded by two"),)
    core.step(BundleEnded("one", "expired_block", 0, 0, 0))
    assert core.exposure_wei == 0


def test_a_vanished_target_cancels_what_lives_and_drops_what_is_held() -> None:
    core = core_at_head()
    for id_ in ("one", "two", "three"):
        target = "0x07" if id_ != "three" else "0x08"
        core.step(msgspec.structs.replace(FOUND, id=id_, target_transaction=target))
        core.step(msgspec.structs.replace(EXECUTED, id=id_))
    core.step(SelectionMade(101, ("one",), ()))
    effects = core.step(TargetGone("0x07"))
    assert effects == (Cancel("one", "its target is gone"), Drop("two", Code.TARGET_GONE, "0x07"))
    with pytest.raises(ContradictoryEvent):
        core.step(SelectionMade(101, ("two",), ()))


def test_chosen_candidates_are_submitted_and_losers_name_their_winner() -> None:
    core = core_at_head()
    held(core, "one")
    held(core, "two")
    effects = core.step(SelectionMade(101, ("one",), (("two", "one"),)))
    assert effects == (Drop("two", Code.CONFLICT, "with one"), Submit("one", 101))
    assert core.exposure_wei == 150


def test_rate_exposure_and_the_days_gas_are_limits_over_all_live_bundles() -> None:
    core = core_at_head(msgspec.structs.replace(LIMITS, max_exposure_wei=450))
    for id_ in ("one", "two", "three"):
        held(core, id_)
    effects = core.step(SelectionMade(101, ("one", "two", "three"), ()))
    assert [type(effect) for effect in effects] == [Submit, Submit, Drop]
    assert drop_code(effects[2:]) is Code.RATE

    core = core_at_head(msgspec.structs.replace(LIMITS, max_bundles_per_block=9))
    for id_ in ("one", "two", "three"):
        held(core, id_)
    assert drop_code(core.step(SelectionMade(101, ("one", "two", "three"), ()))[2:]) is Code.EXPOSURE

    core = core_at_head(msgspec.structs.replace(LIMITS, max_gas_wei_per_day=299))
    held(core, "one")
    held(core, "two")
    assert drop_code(core.step(SelectionMade(101, ("one", "two"), ()))[1:]) is Code.GAS_BUDGET


def test_gas_paid_counts_until_the_day_rolls() -> None:
    core = core_at_head(msgspec.structs.replace(LIMITS, max_gas_wei_per_day=299))
    held(core, "one")
    core.step(SelectionMade(101, ("one",), ()))
    core.step(BundleEnded("one", "included", gas_paid_wei=150, bid_paid_wei=0, net_wei=1))
    held(core, "two")
    assert drop_code(core.step(SelectionMade(101, ("two",), ()))) is Code.GAS_BUDGET
    core.step(msgspec.structs.replace(HEAD, timestamp_s=HEAD.timestamp_s + 86_400))
    held(core, "three")
    assert core.step(SelectionMade(101, ("three",), ())) == (Submit("three", 101),)


def test_a_halt_cancels_what_lives_and_refuses_everything_after() -> None:
    core = core_at_head()
    held(core, "one")
    core.step(SelectionMade(101, ("one",), ()))
    assert core.step(HaltAsked("person", "drill")) == (Cancel("one", "halted"), Stop("person", "drill"))
    assert drop_code(core.step(msgspec.structs.replace(FOUND, id="two"))) is Code.HALTED
    assert core.is_halted


def test_a_halt_between_hold_and_selection_stops_the_submission() -> None:
    core = core_at_head()
    held(core, "one")
    core.step(HaltAsked("guard", "beat lost"))
    assert drop_code(core.step(SelectionMade(101, ("one",), ()))) is Code.HALTED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"head_hash": "0xab"}, Code.HEAD_OLD),
        ({"head_age_ns": 18_000_000_001}, Code.HEAD_OLD),
        ({"chain_id": 5}, Code.WRONG_CHAIN),
        ({"chain_id": None}, Code.WRONG_CHAIN),
        ({"executor_code_hash": "0x01"}, Code.EXECUTOR_CHANGED),
        ({"is_synced": False}, Code.NODE_SYNCING),
        ({"chain_nonces": 8}, Code.NONCE_DISAGREES),
        ({"chain_nonces": None}, Code.NONCE_DISAGREES),
        ({"operators_wei": 149}, Code.INSUFFICIENT_FUNDS),
        ({"operators_wei": None}, Code.INSUFFICIENT_FUNDS),
        ({"cutoff_ns": 0}, Code.CUTOFF_PASSED),
        ({"endpoints": ()}, Code.RATE),
        ({"endpoints": (("relay", 0),)}, Code.RATE),
    ],
)
def test_nothing_is_sent_on_what_is_not_known_of_the_chain(change: dict[str, object], code: Code) -> None:
    core = core_at_head()
    held(core, "one")
    core.step(msgspec.structs.replace(FACTS, **change))
    assert drop_code(core.step(SelectionMade(101, ("one",), ()))) is code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"is_plan": False}, Code.CALLDATA_DIFFERS),
        ({"base_fee_wei": 9}, Code.BASE_FEE_BOUND),
        ({"fee_cap_wei": 9}, Code.BASE_FEE_BOUND),
    ],
)
def test_nothing_is_sent_that_is_not_what_was_executed(change: dict[str, object], code: Code) -> None:
    core = core_at_head()
    held(core, "one", **change)
    assert drop_code(core.step(SelectionMade(101, ("one",), ()))) is code


def test_two_that_do_the_same_are_one() -> None:
    core = core_at_head()
    held(core, "one")
    core.step(msgspec.structs.replace(FOUND, id="two", pools=("pool of one",)))
    core.step(msgspec.structs.replace(EXECUTED, id="two"))
    assert core.step(SelectionMade(101, ("one",), ())) == (Submit("one", 101),)
    assert drop_code(core.step(SelectionMade(101, ("two",), ()))) is Code.DUPLICATE_BUNDLE
    held(core, "three")
    core.step(msgspec.structs.replace(FOUND, id="four", pools=("pool of one",)))
    core.step(msgspec.structs.replace(EXECUTED, id="four"))
    assert core.step(SelectionMade(101, ("four",), (), (("four", "one"),))) == (Submit("four", 101),), (
        "it takes its place"
    )


def test_bundles_that_lose_pause_the_agent() -> None:
    core = core_at_head(msgspec.structs.replace(LIMITS, profile="conservative", max_gas_wei_per_day=10_000))
    for id_ in ("one", "two", "three"):
        held(core, id_)
        core.step(SelectionMade(101, (id_,), ()))
        core.step(BundleEnded(id_, "included", gas_paid_wei=10, bid_paid_wei=0, net_wei=-10))
    held(core, "four")
    assert drop_code(core.step(SelectionMade(101, ("four",), ()))) is Code.PAUSED


def test_a_breaker_that_halts_withdraws_what_lives() -> None:
    core = core_at_head(msgspec.structs.replace(LIMITS, profile="conservative"))
    core.step(worth(10**18))
    held(core, "one")
    core.step(SelectionMade(101, ("one",), ()))
    poorer = worth(10**18 * 9 // 10)  # floor: a tenth is more than a day may lose
    effects = core.step(poorer)
    assert [effect for effect in effects if isinstance(effect, Cancel)] == [Cancel("one", "halted")]
    assert not [effect for effect in core.step(poorer) if isinstance(effect, Cancel)], "once"


class TestWhatTheAccountIsWorth:
    """Breakers 1 and 6 on a chain: profit counts where it lands, and what is not known lets nothing out."""

    def test_profit_in_the_vault_pays_for_the_gas_of_the_operators(self) -> None:
        core = core_at_head()
        for step in range(20):  # a tenth of the ETH goes for gas, and a little more than that comes in as WETH
            core.step(worth(10**18 - step * 10**16, Holding("0xc0", step * 10**16 + step, step * 10**16 + step)))
        held(core, "one")
        assert core.step(SelectionMade(101, ("one",), ())) == (Submit("one", 101),)
        assert breakers(core).loss_today_atoms == -19

    def test_gas_without_profit_trips(self) -> None:
        core = core_at_head()
        core.step(worth(10**18))
        assert not breakers(core).is_halted
        core.step(worth(10**18 * 97 // 100))
        assert breakers(core).is_halted

    def test_a_plundered_vault_trips(self) -> None:
        core = core_at_head()
        core.step(worth(10**18, Holding("0xc0", 10**18, 10**18)))
        core.step(worth(10**18, Holding("0xc0", 0, 0)))
        assert breakers(core).day_loss.tripped_day is not None
        assert breakers(core).drawdown.tripped_day is not None

    @pytest.mark.parametrize(("worst_wei", "code"), [(299, None), (300, Code.LOSS_BUDGET)])
    def test_live_bundles_at_their_worst_never_reach_the_breaker(self, worst_wei: int, code: Code | None) -> None:
        core = core_at_head()
        core.step(worth(10_000))
        held(core, "one", gas_limit_cost_wei=worst_wei)
        (effect,) = core.step(SelectionMade(101, ("one",), ()))
        assert (effect.code if isinstance(effect, Drop) else None) is code

    def test_before_the_first_value_nothing_goes_out(self) -> None:
        core = core_at_head()
        core.step(worth(None))
        held(core, "one")
        assert drop_code(core.step(SelectionMade(101, ("one",), ()))) is Code.LOSS_BUDGET

    @pytest.mark.parametrize("gone", [Holding("0xc0", None, None), Holding("0xc0", 10**18, None)])
    def test_what_counted_and_is_not_known_now_lets_nothing_out_and_is_no_loss(self, gone: Holding) -> None:
        core = core_at_head()
        core.step(worth(10**18, Holding("0xc0", 10**18, 10**18)))
        core.step(worth(10**18, gone))
        held(core, "one")
        assert drop_code(core.step(SelectionMade(101, ("one",), ()))) is Code.REDUCE_ONLY
        assert not breakers(core).is_halted
        core.step(worth(10**18, Holding("0xc0", 10**18, 10**18)))
        held(core, "two")
        assert core.step(SelectionMade(101, ("two",), ())) == (Submit("two", 101),)


def breakers(core: Chain) -> Breakers:
    assert core.core.bundles is not None
    return core.core.bundles.state.breakers
