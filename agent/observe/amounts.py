"""Amounts as a person reads them: gains rounded down, costs up, never through a float."""

from __future__ import annotations

from agent.eth.units import WEI_PER_ETHER

_DIGITS = 6
_UNIT = WEI_PER_ETHER // 10**_DIGITS  # exact


def ether_floor(wei: int) -> str:
    """ETH with six decimals, rounded towards minus infinity: for gains. `≈` stands before a rounded figure."""
    return _ether(wei // _UNIT, is_exact=wei % _UNIT == 0)


def ether_ceil(wei: int) -> str:
    """ETH with six decimals, rounded up: for costs."""
    return _ether(-(-wei // _UNIT), is_exact=wei % _UNIT == 0)


def _ether(millionths: int, *, is_exact: bool) -> str:
    sign = "-" if millionths < 0 else ""
    whole, part = divmod(abs(millionths), 10**_DIGITS)
    return f"{'' if is_exact else '≈'}{sign}{whole}.{part:0{_DIGITS}d}"


def gwei(wei: int) -> str:
    """Gwei with three decimals, rounded down."""
    whole, part = divmod(wei // 10**6, 1_000)
    return f"{whole}.{part:03d}"


def short(hexadecimal: str) -> str:
    """A hash or address with its middle left out."""
    return hexadecimal if len(hexadecimal) <= 12 else f"{hexadecimal[:6]}…{hexadecimal[-4:]}"


def grouped(number: int) -> str:
    """Digits in groups of three, with thin spaces."""
    return f"{number:,}".replace(",", "\u2009")
