"""Each breaker one below its limit, at it, and one above it, in each of the three profiles."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.instruments import Side
from agent.core.risk.breakers import Breakers
from agent.core.risk.breakers.slippage import ONE_FP, SINGLE_FACTOR
from agent.core.risk.exposure import Standing, is_within, standing, worst_exposure
from agent.core.risk.profiles import PPM, PROFILES, Profile
from agent.core.risk.rate import RateQueue
from tests.core.risk.making import SECOND_NS, modes, see_nav, stamp

NAV = 40 * PPM
"""So great that a quarter of a ppm of it is a whole number."""
SYMBOL = "X-Q"

BELOW, AT, ABOVE = -1, 0, 1


@pytest.fixture(params=PROFILES.values(), ids=PROFILES.keys())
def profile(request: pytest.FixtureRequest) -> Profile:
    chosen: Profile = request.param
    return chosen


@pytest.fixture
def held(profile: Profile) -> Breakers:
    made = Breakers(profile=profile)
    see_nav(made, NAV, 0)
    return made


@pytest.mark.parametrize(("beside", "is_halted"), [(BELOW, False), (AT, True), (ABOVE, True)])
def test_day_loss(held: Breakers, profile: Profile, beside: int, is_halted: bool) -> None:
    limit_atoms = NAV * profile.day_loss_ppm // PPM
    assert held.loss_limit_atoms == limit_atoms
    see_nav(held, NAV - limit_atoms - beside, SECOND_NS)
    assert ("day_loss" in held.holds) is is_halted
    assert held.is_halted is is_halted


@pytest.mark.parametrize(("beside", "is_allowed"), [(BELOW, True), (AT, True), (ABOVE, False)])
@pytest.mark.parametrize("side", Side)
def test_an_order_may_bring_the_position_to_its_limit(
    held: Breakers, profile: Profile, side: Side, beside: int, is_allowed: bool
) -> None:
    limit_lots = NAV * profile.position_ppm // PPM
    exposure = worst_exposure(
        position_lots=0,
        reserved_buy_lots=0,
        reserved_sell_lots=0,
        side=side,
        lots=limit_lots + beside,
        price_ticks=1,
        highest_buy_ticks=0,
        mark_ticks=1,
        tick_value_atoms=1,
    )
    assert is_within(exposure.side_value_atoms, held.nav_ref_atoms, held.position_limit_ppm) is is_allowed


@pytest.mark.parametrize(("beside", "mode"), [(BELOW, "ACTIVE"), (AT, "REDUCE_ONLY"), (ABOVE, "REDUCE_ONLY")])
@pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
def test_a_position_at_its_limit_takes_nothing_more(
    held: Breakers, profile: Profile, sign: int, beside: int, mode: str
) -> None:
    lots = NAV * profile.position_ppm // PPM + beside
    effects = held.on_position(SYMBOL, sign * lots, 1, 1, stamp(SECOND_NS))
    assert held.mode(SYMBOL).words == mode
    assert held.mode("other").words == "ACTIVE"
    assert modes(effects) == ([] if mode == "ACTIVE" else [f"{SYMBOL} {mode}"])
    assert held.shed_lots(sign * lots, 1, 1) == 0, "no forced sale this near to the limit"


@pytest.mark.parametrize(
    ("beside", "stands"), [(BELOW, Standing.AT_LIMIT), (AT, Standing.EXCESS), (ABOVE, Standing.EXCESS)]
)
def test_a_position_a_quarter_above_its_limit_is_brought_below_it(
    held: Breakers, profile: Profile, beside: int, stands: Standing
) -> None:
    limit_lots = NAV * profile.position_ppm // PPM
    lots = limit_lots * 5 // 4 + beside
    assert standing(lots, 1, 1, NAV, profile.position_ppm) is stands
    shed = held.shed_lots(lots, 1, 1)
    assert shed == (lots - limit_lots + 1 if stands is Standing.EXCESS else 0)
    if shed:
        assert standing(lots - shed, 1, 1, NAV, profile.position_ppm) is Standing.WITHIN
        assert standing(lots - shed + 1, 1, 1, NAV, profile.position_ppm) is not Standing.WITHIN


@pytest.mark.parametrize("beside", [BELOW, AT, ABOVE])
def test_orders_a_second(profile: Profile, beside: int) -> None:
    queue = RateQueue.start(profile, 0)
    answers = [
        queue.submit(str(number), symbol=SYMBOL, side=Side.BUY, is_reducing=False, touch_ticks=1, now_ns=0)
        for number in range(profile.orders_per_s + beside)
    ]
    assert answers.count(True) == min(profile.orders_per_s, len(answers))
    assert answers.count(False) == max(0, beside)
    if beside is ABOVE:
        assert queue.next_deadline_ns() == SECOND_NS // profile.orders_per_s


@pytest.mark.parametrize(("beside", "mode"), [(BELOW, "ACTIVE"), (AT, "PAUSED"), (ABOVE, "PAUSED")])
def test_losses_in_a_row(held: Breakers, profile: Profile, beside: int, mode: str) -> None:
    told = [held.on_episode(-1, stamp(SECOND_NS)) for _ in range(profile.losses + beside)]
    assert held.mode().words == mode
    assert sum(bool(effects) for effects in told) == (mode == "PAUSED"), "a loss inside the pause cannot trip again"


@pytest.mark.parametrize(("beside", "mode"), [(BELOW, "ACTIVE"), (AT, "LIMIT_ONLY"), (ABOVE, "LIMIT_ONLY")])
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("factor", [1, SINGLE_FACTOR], ids=["average", "single"])
def test_slippage(held: Breakers, profile: Profile, side: Side, factor: int, beside: int, mode: str) -> None:
    middle = PPM * ONE_FP  # then one tick is one unit of the fixed point
    if factor == SINGLE_FACTOR:
        held.on_order_finished(SYMBOL, side, 1, middle, 2 * middle, stamp(0))
    slip_fp = factor * profile.slippage_ppm * ONE_FP + beside
    effects = held.on_order_finished(SYMBOL, side, 1, middle + side.sign * slip_fp, 2 * middle, stamp(1))
    assert held.mode(SYMBOL).words == mode
    assert held.mode("other").words == "ACTIVE", "the other symbol's takers cost nothing"
    assert modes(effects) == ([] if mode == "ACTIVE" else [f"{SYMBOL} {mode}"])


@pytest.mark.parametrize(
    ("quarters", "below", "at"),
    [(4, "ACTIVE", "SIZE(500000)"), (6, "SIZE(500000)", "SIZE(250000)"), (8, "SIZE(250000)", "HALTED")],
    ids=["half", "quarter", "halt"],
)
@pytest.mark.parametrize("beside", [BELOW, AT, ABOVE])
def test_drawdown(held: Breakers, profile: Profile, quarters: int, below: str, at: str, beside: int) -> None:
    held.profile = msgspec.structs.replace(profile, day_loss_ppm=PPM)
    fall_atoms = NAV * profile.drawdown_ppm * quarters // (4 * PPM)
    effects = see_nav(held, NAV - fall_atoms - beside, SECOND_NS)
    mode = below if beside is BELOW else at
    assert held.mode().words == mode
    assert modes(effects) == ([] if mode == "ACTIVE" else [mode])
