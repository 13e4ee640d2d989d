"""What anvil needs of a case before any transaction: the account that keeps past block hashes.

From Prague on every block begins with a system call to it (EIP-2935), which stores the parent's hash in its ring at
(number - 1) mod 8191. Anvil 1.7 makes that call too, and ends itself where the fork does not answer it.
"""

from __future__ import annotations

from collections.abc import Set

from agent.devnet.case import Case
from agent.errors import ConfigError
from agent.eth.hexes import address_text, to_quantity
from agent.eth.keccak import EMPTY_CODE_HASH
from agent.eth.units import Address
from agent.sim.simulator import Slot

HISTORY_ADDRESS = Address(bytes.fromhex("0000F90827F1C53a10cb7A02335B175320002935"))
HISTORY_SERVE_WINDOW = 8_191
_HARDFORKS = frozenset({"prague", "osaka"})


def require_history(case: Case, *, assumed: Set[Slot] = frozenset()) -> None:
    """ConfigError where the case is of Prague or later and lacks what the system call reads."""
    if case.hardfork not in _HARDFORKS or (missing := _missing(case, assumed)) is None:
        return
    raise ConfigError(
        f"the case of block {case.number} lacks {missing} of {address_text(HISTORY_ADDRESS)}, which every block "
        f"of {case.hardfork} calls first (EIP-2935)",
        code="E_CASE",
        hint="capture the block again: mev-agent capture BLOCK --rpc-url U --out F",
        where=f"accounts in the case of block {case.number}",
    )


def _missing(case: Case, assumed: Set[Slot]) -> str | None:
    account = case.accounts.get(HISTORY_ADDRESS)
    if account is None:
        return "the account"
    if account.is_absent or account.code_hash in (EMPTY_CODE_HASH, bytes(32)):
        return None  # nothing is deployed there, and nothing is called
    if case.code_of(HISTORY_ADDRESS) is None:
        return "the code"
    slot = (case.number - 1) % HISTORY_SERVE_WINDOW
    if slot not in account.storage and Slot(HISTORY_ADDRESS, slot) not in assumed:
        return f"storage slot {to_quantity(slot)}"
    return None
