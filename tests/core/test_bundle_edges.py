"""Bundles where two things come together: slots and endpoints, days and gas, a guard, a halt, a start."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.effects.chain import Cancel, Drop, Execute, Submit
from agent.core.effects.control import Alarm, DayRolled
from agent.core.events import Event, Stamp
from agent.core.events.chain import BundleEnded, Holding, SelectionMade, TargetGone
from agent.core.events.control import GuardPulse, HaltAsked, JournalHealth, RunStarted
from agent.core.step import Core
from tests.core.kept import effects_as_kept
from tests.core.test_bundles import (
    EXECUTED,
    FACTS,
    FOUND,
    HEAD,
    LIMITS,
    Chain,
    breakers,
    core_at_head,
    drop_code,
    held,
    worth,
)

WIDE = msgspec.structs.replace(
    LIMITS, max_bundles_per_block=99, max_exposure_wei=10**9, max_gas_wei_per_day=10**9, profile="conservative"
)
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS


class Timed(Chain):
    """With stamps of its own."""

    now_ns = 0

    def step(self, event: Event) -> tuple[object, ...]:
        effects = self.core.step(event, Stamp(0, self.now_ns, self.now_ns))
        effects_as_kept(effects)
        return effects


def timed() -> Timed:
    core = Timed(WIDE)
    core.step(HEAD)
    core.step(msgspec.structs.replace(FACTS, cutoff_ns=10**18, endpoints=(("relay", 99),)))
    return core


def send(core: Chain, id_: str, **changes: object) -> tuple[object, ...]:
    held(core, id_, **changes)
    return core.step(SelectionMade(101, (id_,), ()))


def sent(core: Chain, *ids: str) -> None:
    for id_ in ids:
        assert send(core, id_) == (Submit(id_, 101),)


class TestSlots:
    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_an_endpoint_is_sent_so_many_in_a_slot_and_as_many_in_the_next(self, limit: int) -> None:
        core = core_at_head(WIDE)
        core.step(msgspec.structs.replace(FACTS, endpoints=(("relay", limit),)))
        for slot in ("first", "second"):
            sent(core, *(f"{slot} {number}" for number in range(limit)))
            assert drop_code(send(core, f"{slot} too many")) is Code.RATE
            core.step(HEAD)

    def test_a_block_that_has_come_is_no_target(self) -> None:
        core = core_at_head()
        held(core, "one")
        assert drop_code(core.step(SelectionMade(100, ("one",), ()))) is Code.TARGET_PASSED


class TestSelection:
    def test_one_that_is_refused_stands_in_no_others_way(self) -> None:
        core = core_at_head()
        held(core, "one", gas_limit_cost_wei=401)
        held(core, "two")
        effects = core.step(SelectionMade(101, ("one", "two"), ()))
        assert [type(effect) for effect in effects] == [Drop, Submit]

    def test_all_of_them_are_dropped_by_a_halt(self) -> None:
        core = core_at_head()
        held(core, "one")
        held(core, "two")
        core.step(HaltAsked("person", "drill"))
        effects = core.step(SelectionMade(101, ("one", "two"), ()))
        assert effects == (Drop("one", Code.HALTED, "by person"), Drop("two", Code.HALTED, "by person"))

    def test_a_pool_that_was_set_aside_since_it_was_held_stops_it(self) -> None:
        core = core_at_head()
        held(core, "one")
        core.step(msgspec.structs.replace(FOUND, id="two", pools=("pool of one",)))
        core.step(msgspec.structs.replace(EXECUTED, id="two", executed_amount=999))
        assert drop_code(core.step(SelectionMade(101, ("one",), ()))) is Code.POOL_QUARANTINED

    def test_a_journal_that_is_ill_stops_it(self) -> None:
        core = core_at_head()
        held(core, "one")
        core.step(JournalHealth(False, "full"))
        assert core.step(SelectionMade(101, ("one",), ())) == (Drop("one", Code.JOURNAL_UNHEALTHY, "full"),)

    def test_an_operator_of_whom_nothing_is_known_pays_for_nothing(self) -> None:
        core = core_at_head()
        core.step(msgspec.structs.replace(FACTS, operators_wei=None))
        assert drop_code(send(core, "one", gas_limit_cost_wei=1)) is Code.INSUFFICIENT_FUNDS

    def test_a_target_that_is_gone_concerns_its_own_alone(self) -> None:
        core = core_at_head()
        held(core, "other")
        core.step(msgspec.structs.replace(FOUND, id="one", target_transaction="0x07"))
        core.step(msgspec.structs.replace(EXECUTED, id="one"))
        assert core.step(TargetGone("0x07")) == (Drop("one", Code.TARGET_GONE, "0x07"),)

    def test_the_least_profit_is_one(self) -> None:
        assert core_at_head().step(msgspec.structs.replace(FOUND, gross_amount=1)) == (Execute("one"),)

    @pytest.mark.parametrize(("beside_ns", "code"), [(0, None), (1, Code.GUARD_LOST)])
    def test_a_pulse_may_be_as_old_as_the_limits_say(self, beside_ns: int, code: Code | None) -> None:
        core = Timed(msgspec.structs.replace(WIDE, max_guard_age_ms=300))
        core.core = Core(core.limits, needs_guard=True)
        core.step(GuardPulse(True))
        core.step(HEAD)
        core.step(msgspec.structs.replace(FACTS, cutoff_ns=10**18))
        core.now_ns = 300_000_000 + beside_ns
        (effect,) = send(core, "one")
        assert (effect.code if isinstance(effect, Drop) else None) is code


class TestMoney:
    @pytest.mark.parametrize(("limit_wei", "code"), [(150, None), (149, Code.LOSS_BUDGET)])
    def test_what_a_person_lets_a_day_lose_holds(self, limit_wei: int, code: Code | None) -> None:
        core = core_at_head(msgspec.structs.replace(LIMITS, max_day_loss_wei=limit_wei))
        (effect,) = send(core, "one")
        assert (effect.code if isinstance(effect, Drop) else None) is code

    def test_where_a_wei_would_trip_the_breaker_none_may_be_lost(self) -> None:
        core = core_at_head()
        core.step(worth(10))
        assert drop_code(send(core, "one", gas_limit_cost_wei=1)) is Code.LOSS_BUDGET

    def test_gas_adds_up_over_a_day_and_a_new_day_has_all_of_it(self) -> None:
        core = core_at_head(msgspec.structs.replace(WIDE, max_gas_wei_per_day=150))
        for id_ in ("one", "two"):
            held(core, id_, gas_limit_cost_wei=50)
            core.step(SelectionMade(101, (id_,), ()))
            core.step(BundleEnded(id_, "included", gas_paid_wei=50, bid_paid_wei=0, net_wei=1))
        assert drop_code(send(core, "three", gas_limit_cost_wei=51)) is Code.GAS_BUDGET
        core.step(msgspec.structs.replace(HEAD, timestamp_s=HEAD.timestamp_s + 86_400))
        sent(core, "four")

    @pytest.mark.parametrize(
        ("gas_wei", "net_wei", "losses"), [(10, -10, 1), (0, -10, 1), (10, 0, 0), (0, 0, 0), (10, 1, 0)]
    )
    def test_an_end_counts_by_its_net(self, gas_wei: int, net_wei: int, losses: int) -> None:
        core = core_at_head()
        sent(core, "one")
        core.step(BundleEnded("one", "included", gas_paid_wei=gas_wei, bid_paid_wei=0, net_wei=net_wei))
        assert breakers(core).streak.count == losses

    @pytest.mark.parametrize(("gas_wei", "days"), [(0, []), (10, [DayRolled(1, 0)])])
    def test_one_that_was_not_mined_says_nothing(self, gas_wei: int, days: list[DayRolled]) -> None:
        core = timed()
        sent(core, "one")
        core.now_ns = DAY_NS
        ended = core.step(BundleEnded("one", "gone", gas_paid_wei=gas_wei, bid_paid_wei=0, net_wei=0))
        assert list(ended) == days

    def test_a_token_that_comes_to_have_a_price_is_a_deposit_and_no_profit(self) -> None:
        core = core_at_head()
        (alarm, _) = core.step(worth(10**18, Holding("0xc0", 5, None)))
        assert isinstance(alarm, Alarm) and (alarm.severity, alarm.subject) == ("warning", "0xc0")
        core.step(worth(10**18, Holding("0xc0", 5, 10**17), Holding("0xd0", 5, None)))
        core.step(worth(10**18, Holding("0xc0", 5, 10**17), Holding("0xd0", 5, 10**16)))
        assert breakers(core).loss_today_atoms == 0
        assert breakers(core).nav_ref_atoms == 10**18 + 10**17 + 10**16

    def test_the_facts_of_a_new_day_begin_it(self) -> None:
        core = timed()
        core.step(worth(10**18))
        core.now_ns = DAY_NS
        assert core.step(worth(10**18)) == (DayRolled(1, 10**18),)


class TestHalts:
    def lose(self, core: Timed, *ids: str) -> tuple[object, ...]:
        effects: tuple[object, ...] = ()
        for id_ in ids:
            effects = core.step(BundleEnded(id_, "included", gas_paid_wei=10, bid_paid_wei=0, net_wei=-10))
        return effects

    def test_the_third_pause_of_a_day_withdraws_what_lives_once(self) -> None:
        core = timed()
        ids = [str(number) for number in range(12)]
        sent(core, *ids)
        for pause in range(2):
            effects = self.lose(core, *ids[3 * pause : 3 * pause + 3])
            assert not [effect for effect in effects if isinstance(effect, Cancel)], "a pause withdraws nothing"
            core.now_ns += 300 * SECOND_NS
        effects = self.lose(core, *ids[6:9])
        cancels = [effect for effect in effects if isinstance(effect, Cancel)]
        assert cancels == [Cancel(id_, "halted") for id_ in ids[9:]]
        assert breakers(core).is_halted
        core.now_ns += 300 * SECOND_NS
        assert self.lose(core, ids[9]) == ()

    def test_behind_a_start_a_pause_goes_on_with_what_was_left(self) -> None:
        core = timed()
        sent(core, "0", "1", "2")
        self.lose(core, "0", "1", "2")
        core.now_ns = 100 * SECOND_NS
        core.step(msgspec.structs.replace(FACTS, cutoff_ns=10**18))
        core.core = Core(core.limits, state=core.core.state())
        core.now_ns = 5
        core.step(RunStarted(run_epoch=2))
        for now_ns, mode in ((4 + 200 * SECOND_NS, "PAUSED"), (5 + 200 * SECOND_NS, "ACTIVE")):
            core.now_ns = now_ns
            core.step(FACTS)
            assert breakers(core).mode().words == mode

    def test_a_start_knows_what_was_found_and_held(self) -> None:
        core = core_at_head()
        held(core, "one")
        core.core = Core(LIMITS, state=core.core.state())
        assert core.step(SelectionMade(101, ("one",), ())) == (Submit("one", 101),)
