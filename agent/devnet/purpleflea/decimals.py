"""Decimal strings of the wire to integers of a grid and back, without ever meeting a float."""

from __future__ import annotations

import re

from agent.core.instruments import Step

DIGITS_MAX = 38
_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")


class NotDecimal(ValueError):
    """The text is no decimal number of the contract."""


class OffGrid(ValueError):
    """A decimal number that is no multiple of the step."""


def parse_steps(text: str, step: Step) -> int:
    """How many steps `text` is. NotDecimal or OffGrid where it is none."""
    units = parse_units(text, step.digits)
    count, rest = divmod(units, step.units)
    if rest:
        raise OffGrid(text)
    return count


def parse_units(text: str, digits: int) -> int:
    """`text` in units of 10^-digits. NotDecimal or OffGrid where it has no exact value there."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise NotDecimal(text)
    sign, whole, fraction = found.group(1), found.group(2), found.group(3) or ""
    if len(whole) + len(fraction) > DIGITS_MAX:
        raise NotDecimal(text)
    if len(fraction) > digits:
        if fraction[digits:].strip("0"):
            raise OffGrid(text)
        fraction = fraction[:digits]
    value = int(whole + fraction.ljust(digits, "0"))
    return -value if sign else value


def steps_text(count: int, step: Step) -> str:
    """`count` steps as a decimal string with all digits of the step, as 0.010 for ten steps of 0.001."""
    return units_text(count * step.units, step.digits)


def units_text(units: int, digits: int) -> str:
    """`units` of 10^-digits as a decimal string with all its digits."""
    if digits == 0:
        return str(units)
    text = str(abs(units)).rjust(digits + 1, "0")
    return f"{'-' if units < 0 else ''}{text[:-digits]}.{text[-digits:]}"
