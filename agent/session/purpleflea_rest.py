"""What is asked of an order-book venue beside its WebSocket before a run: its clock, our key, and start funds where wanted.

None of it decides anything: the session asks all of it again by its own way. But a key that is refused is told before a
guard and a journal stand, and a path that leads nowhere is told by its name.
"""

from __future__ import annotations

import asyncio

from agent.errors import AgentError, OutcomeUnknown, Rejected, SetupError
from agent.ports.clock import Clock
from agent.ports.network import Network
from agent.requests import Say
from agent.settings import PurpleFleaSettings
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.faucet import claim
from agent.venues.purpleflea.rest import PurpleFleaRest
from agent.venues.purpleflea.setup import paths_of

WITHIN_S = 4.0
"""A venue that does not answer here may still have a session: the run begins without."""
OFFSET_TOLD_NS = 250_000_000
_REFUSED = frozenset(
    (*(f"E_HTTP_{status}" for status in (401, 403)), "UNAUTHORIZED", "KEY_REVOKED", "KEY_SCOPE", "INVALID_KEY")
)


async def prepare(
    account: PurpleFleaSettings, credentials: Credentials, network: Network, clock: Clock, say: Say, *, may_claim: bool
) -> None:
    """Ask, and claim from the faucet where it is switched on. Raises SetupError where the key is refused."""
    rest = PurpleFleaRest(
        network,
        account.rest_url,
        credentials,
        paths=paths_of(account),
        reads_per_minute=account.reads_per_minute,
        clock=clock,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            await _look(rest, clock, say)
    except TimeoutError:
        say(f"  account  the venue's requests are not answered within {WITHIN_S:.0f} s; the session will ask again")
    if account.faucet and may_claim:
        await _claim(account, rest, say)


async def _claim(account: PurpleFleaSettings, rest: PurpleFleaRest, say: Say) -> None:
    """Once, and whatever comes of it, the run goes on with what the account has."""
    assert account.agent_id is not None, "the configuration is checked for it"
    try:
        claimed = await claim(rest, account.agent_id, is_enabled=True)
    except OutcomeUnknown as error:
        say(f"  faucet   unknown whether the claim arrived: {error.message}; the balance will tell")
    except AgentError as error:
        say(f"  faucet   no claim: {error.message}")
    else:
        amount = f" {claimed.claimed_amount}, it claims" if claimed.claimed_amount else ""
        say(f"  faucet   {claimed.result}{amount}{' ' + claimed.code if claimed.code else ''}")


async def _look(rest: PurpleFleaRest, clock: Clock, say: Say) -> None:
    try:
        offset_ns = await rest.time_ns() - clock.wall_ns()
        if abs(offset_ns) > OFFSET_TOLD_NS:
            say(f"  clock    the venue's is {offset_ns // 1_000_000} ms from ours: orders need 250 at most")
    except AgentError as error:
        say(f"  clock    the venue does not tell its own: {error.message}")
    try:
        balances = await rest.balances()
        held = "  ".join(f"{row.ccy} {row.total}" for row in balances.balances[:8]) or "nothing"
        say(f"  account  {held}")
    except Rejected as error:
        if error.code in _REFUSED:
            raise SetupError(
                f"the venue refuses the account's key: {error.code}",
                where="purpleflea.api_key",
                hint="is it this account's, with the scopes trade, read and cancel? A guard may have deleted it",
            ) from None
        say(f"  account  the venue does not tell its balances: {error.message}")
    except AgentError as error:
        say(f"  account  the venue does not tell its balances: {error.message}")
