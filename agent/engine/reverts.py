"""Why an execution reverted: what the revert data says, and what its route does when it is asked hop by hop.

The text of a revert is foreign data: it is shown, fenced and cut, and never decides anything. What decides is whether
each token of the route arrives in full where the route sends it.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.codes import Code
from agent.eth.units import Address
from agent.sim.pool_probe import Prober
from agent.strategies.arb.opportunity import Opportunity

_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_SHOWN = 60


def revert_text(return_data: bytes) -> str:
    """The revert data for a person: the string of Error(string), a panic's number, or the selector."""
    if not return_data:
        return "reverted without a word"
    selector, rest = return_data[:4], return_data[4:]
    if selector == _ERROR_STRING and len(rest) >= 64:
        length = int.from_bytes(rest[32:64], "big")
        return f"reverted with {fenced(rest[64 : 64 + min(length, _SHOWN)])}"
    if selector == _PANIC and len(rest) >= 32:
        return f"panicked with {int.from_bytes(rest[:32], 'big'):#x}"
    return f"reverted with selector 0x{selector.hex()}"


def fenced(text: bytes) -> str:
    """Foreign bytes as printable ASCII in quotes; everything else becomes a dot."""
    shown = "".join(chr(byte) if 0x20 <= byte < 0x7F and byte not in b"<>&\"'`\\" else "." for byte in text[:_SHOWN])
    return f"'{shown}'"


async def diagnose(
    prober: Prober, opportunities: Sequence[Opportunity], *, executor: Address
) -> list[tuple[Code, str]]:
    """For each that reverts: TOKEN_TAXED where some token of its route does not arrive in full, else REVERTS."""
    moves = [
        (leg.token_out, leg.pool, following.pool if following is not None else executor, leg.amount_out)
        for one in opportunities
        for leg, following in zip(one.legs, (*one.legs[1:], None), strict=True)
    ]
    verdicts = iter(await prober.transfers(moves))
    found: list[tuple[Code, str]] = []
    for one in opportunities:
        lying = [verdict for _ in one.legs if (verdict := next(verdicts)).is_plain is False]
        if lying:
            found.append((Code.TOKEN_TAXED, f"token 0x{lying[0].token.hex()}: {lying[0].detail}"))
        else:
            found.append((Code.REVERTS, ""))
    return found
