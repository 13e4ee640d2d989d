"""Every scripted life cycle as the venue's own frames: through the real protocol class, then through the real core."""

from __future__ import annotations

import pytest

from tests.core.orders import scripted
from tests.core.orders.test_sequences import SCRIPTS, scripts, test_a_scripted_life_goes_as_written
from tests.venues.purpleflea.sequences import event_of

LIFE = test_a_scripted_life_goes_as_written


@pytest.mark.parametrize("name", scripts(SCRIPTS))
def test_a_scripted_life_goes_as_written_on_the_wire(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted, "event_of", event_of)
    LIFE(name)


del test_a_scripted_life_goes_as_written
