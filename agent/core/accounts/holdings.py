"""What an on-chain account is worth: operators, executor and vault together, in wei, from balances that are on the chain.

Theory of operation. The shell reads balances at each head and prices them there; nothing that is only hoped for is in
them, so a bundle under way adds nothing, and what it may cost is charged by the checks before it is sent. A token that
never had a price is left out for good reason and by name: it counts as nothing, and so does what comes in by it. A token
that counted once and cannot be read or priced now makes the value unknown: the last one stands as a guess, which lets
nothing out, so there is no hurry to call it a loss. One that was left out and has a price now comes in as a deposit, since
a price is no profit.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.core.accounts.marks import Valuation
from agent.core.effects.control import Alarm
from agent.core.events.chain import Holding


class Valued(msgspec.Struct, frozen=True):
    """A valuation in wei, and what has changed about what counts."""

    valuation: Valuation
    deposit_wei: int
    """Worth of what was left out before and counts from here on."""
    alarms: tuple[Alarm, ...]


class Holdings(msgspec.Struct):
    """Which tokens count: by name, in the order in which that was decided."""

    counted: dict[str, None] = {}
    left_out: dict[str, None] = {}

    def value(self, holdings: Sequence[Holding], last_wei: int) -> Valued:
        """Value what was read at a head; `last_wei` is the latest value before it."""
        unknown = tuple(one.token for one in holdings if self._is_missed(one))
        if unknown:
            return Valued(Valuation(last_wei, stale=unknown), 0, ())
        deposit_wei = 0
        alarms: list[Alarm] = []
        for one in holdings:
            if not one.amount:
                continue
            if one.value_wei is None:
                if one.token not in self.left_out:
                    self.left_out[one.token] = None
                    detail = f"{one.amount} units have no price in ETH, and count as nothing"
                    alarms.append(Alarm("warning", "HOLDING_LEFT_OUT", one.token, detail))
            elif one.token not in self.counted:
                self.counted[one.token] = None
                if one.token in self.left_out:
                    del self.left_out[one.token]
                    deposit_wei += one.value_wei
        return Valued(Valuation(sum(one.value_wei or 0 for one in holdings)), deposit_wei, tuple(alarms))

    def _is_missed(self, one: Holding) -> bool:
        if one.token in self.left_out:
            return False
        return one.amount is None or (one.amount != 0 and one.value_wei is None and one.token in self.counted)
