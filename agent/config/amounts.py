"""Amounts of ether as people write them, parsed exactly: `"0.3 ether"` is 300000000000000000 wei, never a float."""

from __future__ import annotations

import re

DIGITS_BY_UNIT = {"wei": 0, "gwei": 9, "ether": 18}
_AMOUNT = re.compile(r"(\d+)(?:\.(\d+))?\s*(wei|gwei|ether)")


def parse_amount(value: object) -> object:
    """Wei of `"<decimal> wei|gwei|ether"`; anything that is not text is handed on for the type check.

    Raises ValueError for text of another shape and for more decimals than the unit has, which a rounding
    would have to lose.
    """
    if not isinstance(value, str):
        return value
    found = _AMOUNT.fullmatch(value.strip())
    if found is None:
        raise ValueError('must be an integer of wei or text such as "0.3 ether", "12 gwei", "5 wei"')
    whole, decimals, unit = found[1], found[2] or "", found[3]
    places = DIGITS_BY_UNIT[unit]
    if len(decimals.rstrip("0")) > places:
        raise ValueError(f"has more decimals than {unit} has, which is {places}")
    return int(whole) * 10**places + int(decimals[:places].ljust(places, "0") or "0")
