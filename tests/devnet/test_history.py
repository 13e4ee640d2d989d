"""A case without the account of past block hashes is refused before anvil would end itself over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.devnet.case import Case, load_case
from agent.devnet.history import HISTORY_ADDRESS, require_history
from agent.devnet.replay import CaseNode
from agent.errors import ConfigError
from agent.sim.simulator import Slot


@pytest.fixture(scope="module")
def case(mainnet: Path) -> Case:
    return load_case(mainnet / "public" / "24647140.json.gz")


def lacking(case: Case, part: str) -> Case:
    account = case.accounts[HISTORY_ADDRESS]
    others = {address: one for address, one in case.accounts.items() if address != HISTORY_ADDRESS}
    if part == "account":
        return replace(case, accounts=others)
    if part == "code":
        return replace(case, codes={hash_: code for hash_, code in case.codes.items() if hash_ != account.code_hash})
    return replace(case, accounts={**others, HISTORY_ADDRESS: replace(account, storage={})})


@pytest.mark.anvil
@pytest.mark.parametrize(
    ("part", "told"), [("account", "the account"), ("code", "the code"), ("slot", "storage slot 0x1a4")]
)
async def test_a_case_without_the_account_is_refused_in_one_message(case: Case, part: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"block 24647140 lacks {told} of 0x0000F90827F1C53a10cb7A02335B175320002935"):
        async with await CaseNode.start(lacking(case, part)):
            pass


def test_what_is_known_absent_or_assumed_or_older_than_prague_is_no_reason_to_refuse(case: Case) -> None:
    require_history(case)
    without = lacking(case, "slot")
    require_history(without, assumed={Slot(HISTORY_ADDRESS, 420)})
    require_history(replace(lacking(case, "account"), fork="cancun"))
    absent = replace(without.accounts[HISTORY_ADDRESS], is_absent=True)
    require_history(replace(without, accounts={**without.accounts, HISTORY_ADDRESS: absent}))
