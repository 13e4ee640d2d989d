"""What the guard of an account holds the agent to, by itself."""

from __future__ import annotations

from pathlib import Path

from agent.core.risk.profiles import STANDARD
from agent.engine.guarded import GuardPlan
from agent.engine.venue_run import limited
from tests.core.desk.account import FUNDS_ATOMS, Played

PLAN = GuardPlan(folder=Path("guard"))


def test_an_account_of_known_value_is_held_to_its_profile() -> None:
    plan = limited(PLAN, Played().live().core)
    assert plan.max_day_loss_atoms == FUNDS_ATOMS * STANDARD.day_loss_ppm // 1_000_000
    assert plan.max_exposure_atoms == FUNDS_ATOMS * STANDARD.max_gross_ppm // 1_000_000


def test_a_persons_own_limits_stand_and_of_an_unknown_value_nothing_follows() -> None:
    own = GuardPlan(folder=Path("guard"), max_exposure_atoms=1, max_day_loss_atoms=2)
    assert limited(own, Played().live().core) == own
    assert limited(PLAN, Played().core) == PLAN
