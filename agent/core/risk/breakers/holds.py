"""Who holds which mode, on everything or on one symbol, and what mode that comes to.

The mode of a symbol is the join of all holds on it and on everything. It is kept, not computed when asked for: it is
read at every order and changes seldom. A change is told as an effect; one of everything is told once, not again for
each symbol.
"""

from __future__ import annotations

import msgspec

from agent.core.effects.control import Alarm, ControlEffect, ModeChanged
from agent.core.risk.modes import ACTIVE, Level, Mode

Effects = tuple[ControlEffect, ...]
_HALTED = int(Level.HALTED)


class Hold(msgspec.Struct, frozen=True):
    """A mode that somebody keeps up."""

    mode: Mode
    detail: str
    day: int
    """UTC day on which it began."""
    is_latched: bool = False


class Holds(msgspec.Struct, kw_only=True):
    """All holds and their joins."""

    holds: dict[str, Hold] = {}
    """On every symbol, by who holds."""
    symbol_holds: dict[str, dict[str, Hold]] = {}
    global_mode: Mode = ACTIVE
    symbol_modes: dict[str, Mode] = {}
    """Of symbols with holds of their own, the global ones joined in."""

    def mode(self, symbol: str = "") -> Mode:
        """What may be done with a symbol now (empty: with any)."""
        return self.symbol_modes.get(symbol, self.global_mode)

    @property
    def is_halted(self) -> bool:
        return self.global_mode.level >= _HALTED

    def release(self, source: str, detail: str, *, symbol: str = "") -> Effects:
        """Give a hold up; one that is latched stays."""
        effects: list[ControlEffect] = []
        self._let_go(source, symbol, detail, effects)
        return tuple(effects)

    def _holds_of(self, symbol: str) -> dict[str, Hold]:
        return self.symbol_holds.get(symbol, {}) if symbol else self.holds

    def _enter(self, source: str, symbol: str, hold: Hold, effects: list[ControlEffect]) -> None:
        holds = self.symbol_holds.setdefault(symbol, {}) if symbol else self.holds
        old = holds.get(source)
        if old is not None and old.is_latched and hold.mode.level <= old.mode.level:
            return
        if old is not None and old.is_latched:
            hold = msgspec.structs.replace(hold, is_latched=True, day=old.day)
        holds[source] = hold
        if hold.mode.level >= Level.HALTED and (old is None or old.mode.level < Level.HALTED):
            effects.append(Alarm("critical", "HALTED", source, hold.detail))
        self._refresh(symbol, source, hold.detail, effects)

    def _let_go(
        self, source: str, symbol: str, detail: str, effects: list[ControlEffect], *, is_reset: bool = False
    ) -> None:
        holds = self._holds_of(symbol)
        held = holds.get(source)
        if held is None or (held.is_latched and not is_reset):
            return
        del holds[source]
        if symbol and not holds:
            del self.symbol_holds[symbol]
        self._refresh(symbol, source, detail, effects)

    def _refresh(self, symbol: str, source: str, detail: str, effects: list[ControlEffect]) -> None:
        """Join the holds anew, and tell what changed."""
        if symbol:
            mode = self._joined(symbol)
            if mode != self.symbol_modes.get(symbol, self.global_mode):
                effects.append(ModeChanged(symbol=symbol, mode=mode.words, by=source, detail=detail))
            if symbol in self.symbol_holds:
                self.symbol_modes[symbol] = mode
            else:
                self.symbol_modes.pop(symbol, None)
            return
        mode = ACTIVE
        for hold in self.holds.values():
            mode = mode.joined(hold.mode)
        if mode == self.global_mode:
            return
        self.global_mode = mode
        effects.append(ModeChanged(mode=mode.words, by=source, detail=detail))
        for held_symbol in self.symbol_holds:
            self.symbol_modes[held_symbol] = self._joined(held_symbol)

    def _joined(self, symbol: str) -> Mode:
        mode = self.global_mode
        for hold in self.symbol_holds.get(symbol, {}).values():
            mode = mode.joined(hold.mode)
        return mode
