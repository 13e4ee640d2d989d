"""Decimal text to integers on a grid and back, exactly: no float is ever between them.

Theory of operation
-------------------
The wire has prices and quantities as decimal strings, the core has integers of a step. A text that does not lie on the
grid is refused rather than rounded: a venue that sends one has another instrument in mind than we have. The same few
hundred texts come again and again, so each grid remembers what it has read; its memory is emptied when it is full, which
bounds it whatever a peer sends.
"""

from __future__ import annotations

import re

import msgspec

from agent.core.instruments import Step

DIGITS_MAX = 38
_REMEMBERED = 4_096
_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)
_LITERAL = re.compile(r"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)(?:[eE]([+-]?[0-9]{1,2}))?", re.ASCII)


class NotDecimal(ValueError):
    """A text that is no decimal number of the contract, or has more than 38 digits."""


class OffGrid(ValueError):
    """A number that is no whole multiple of the step."""


def parse(text: str, step: Step) -> int:
    """How many steps `text` is. Raises NotDecimal or OffGrid."""
    scaled, digits = _scaled(text)
    return _on_grid(scaled, digits, step, text)


def parse_literal(text: str, step: Step) -> int:
    """The same for the literal text of a JSON number, which may have an exponent. Raises NotDecimal or OffGrid."""
    found = _LITERAL.fullmatch(text) if len(text) <= DIGITS_MAX + 6 else None
    if found is None:
        raise NotDecimal("not a number of at most 38 digits")
    scaled, digits = _scaled(found[1])
    return _on_grid(scaled, digits - int(found[2] or 0), step, text)


def floor(text: str, step: Step) -> int:
    """Whole steps in `text`, rounded down. Raises NotDecimal."""
    scaled, digits = _scaled(text)
    return scaled * _POWERS[step.digits] // (_POWERS[digits] * step.units)


def text_of(steps: int, step: Step) -> str:
    """The decimal text of so many steps, with exactly the step's digits."""
    value = steps * step.units
    if not step.digits:
        return str(value)
    if value < 0:
        return "-" + text_of(-steps, step)
    power = _POWERS[step.digits]
    return f"{value // power}.{value % power:0{step.digits}d}"


def step_of(text: str) -> Step:
    """The step that a decimal text names: "0.10" is (1, 1). Raises NotDecimal, also where it is not above 0."""
    scaled, digits = _scaled(text)
    if scaled <= 0:
        raise NotDecimal("a step is above 0")
    while digits and scaled % 10 == 0:
        scaled //= 10
        digits -= 1
    return Step(scaled, digits)


class Grid(msgspec.Struct):
    """One grid with a memory of what was read on it; the hot path's way in."""

    step: Step
    _known: dict[str, int] = {}
    _texts: dict[int, str] = {}

    def parse(self, text: str) -> int:
        """How many steps `text` is. Raises NotDecimal or OffGrid."""
        known = self._known.get(text)
        if known is not None:
            return known
        steps = parse(text, self.step)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[text] = steps
        return steps

    def positive(self, text: str) -> int:
        """The same, refusing 0 and below. Raises NotDecimal or OffGrid."""
        steps = self._known.get(text) or self.parse(text)
        if steps <= 0:
            raise OffGrid("not above 0")
        return steps

    def natural(self, text: str) -> int:
        """The same, refusing what is below 0. Raises NotDecimal or OffGrid."""
        steps = self.parse(text)
        if steps < 0:
            raise OffGrid("below 0")
        return steps

    def text(self, steps: int) -> str:
        """The decimal text of so many steps."""
        known = self._texts.get(steps)
        if known is not None:
            return known
        text = text_of(steps, self.step)
        if len(self._texts) >= _REMEMBERED:
            self._texts.clear()
        self._texts[steps] = text
        return text


_POWERS: tuple[int, ...] = tuple(10**exponent for exponent in range(4 * DIGITS_MAX + 1))


def _scaled(text: str) -> tuple[int, int]:
    """The number without its point, and the digits that were behind it."""
    found = _DECIMAL.fullmatch(text) if len(text) <= DIGITS_MAX + 2 else None
    if found is None:
        raise NotDecimal("not a decimal number of at most 38 digits")
    sign, whole, fraction = found.groups()
    digits = whole + (fraction or "")
    if len(digits) > DIGITS_MAX:
        raise NotDecimal("more than 38 digits")
    return int(sign + digits), len(fraction or "")


def _on_grid(scaled: int, digits: int, step: Step, text: str) -> int:
    shift = step.digits - digits
    rest = 0
    if shift >= 0:
        scaled *= _POWERS[shift]
    else:
        scaled, rest = divmod(scaled, _POWERS[-shift])
    steps, remainder = divmod(scaled, step.units)
    if rest or remainder:
        raise OffGrid("not a multiple of the step")
    return steps
