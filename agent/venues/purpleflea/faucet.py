"""Start funds from the venue's faucet, for who has switched it on. One claim, once.

A claim whose answer is lost is not sent again: the faucet's own word that the agent has claimed already tells, at the next
wanted claim, that it had arrived. The amount is the venue's claim until a balance shows it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.errors import OutcomeUnknown, ProtocolError, Rejected, UsageError
from agent.venues.purpleflea.rest import PurpleFleaRest

DIGITS_MAX = 40


class Claim(msgspec.Struct, frozen=True):
    """What came of it. `claimed_amount` is a decimal text as the venue says it, and proves nothing."""

    result: Literal["credited", "already_claimed", "refused"]
    code: str = ""
    claim_id: str = ""
    claimed_amount: str = ""


class _Credited(msgspec.Struct, frozen=True):
    claim_id: str
    credited: msgspec.Raw


async def claim(rest: PurpleFleaRest, agent_id: str, *, is_enabled: bool) -> Claim:
    """Ask for an agent's start funds. OutcomeUnknown where the claim may have arrived: read the balance, then decide.

    Raises UsageError unless it was switched on.
    """
    if not is_enabled:
        raise UsageError("the faucet is switched off", hint="set purpleflea.faucet = true")
    try:
        answer = await rest.change("POST", "faucet", body=msgspec.json.encode({"agent_casino_id": agent_id}))
    except Rejected as error:
        if error.code == "ALREADY_CLAIMED":
            return Claim("already_claimed", error.code)
        return Claim("refused", error.code)
    try:
        found = msgspec.json.decode(answer.body, type=_Credited)
    except (msgspec.MsgspecError, ValueError):
        raise OutcomeUnknown("the faucet's answer cannot be read", hint="look at the balance") from None
    amount = bytes(found.credited).decode("ascii", "replace").strip(' "')
    if len(amount) > DIGITS_MAX or not (found.claim_id.isascii() and found.claim_id.isprintable()):
        raise ProtocolError("the faucet's answer is out of bounds", peer="purpleflea")
    return Claim("credited", claim_id=found.claim_id[:64], claimed_amount=amount)
