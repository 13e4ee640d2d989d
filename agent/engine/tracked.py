"""What the agent keeps of one opportunity: its target, its candidate, its bundle, and how it ended."""

from __future__ import annotations

import msgspec

from agent.core.effects.chain import Drop
from agent.engine.candidate import Candidate
from agent.engine.result import Ending, Rival
from agent.eth.hexes import to_data
from agent.eth.keccak import keccak256
from agent.eth.keys import SignedTransaction
from agent.eth.units import Hash32
from agent.sim.simulator import Call
from agent.strategies.arb.opportunity import Opportunity
from agent.venues.onchain.bundle import Bundle
from agent.venues.onchain.nonces import Claim
from agent.venues.onchain.outcomes import Outcome


class Target(msgspec.Struct, frozen=True):
    """A pending transaction to run behind. `calls` are what must run before ours where the state lacks it."""

    hash: Hash32
    raw: bytes
    index: int | None
    """Its place in the block's own order, where the world has one."""
    calls: tuple[Call, ...]


class Mined(msgspec.Struct, frozen=True, kw_only=True):
    """Our transaction in a block. `kept_amount` went to the vault, in the start token."""

    hash: str
    block: int
    index: int
    status: int
    gas_used: int
    fee_wei: int
    payment_wei: int
    kept_amount: int

    @property
    def gross_amount(self) -> int:
        """Payment exists only where the start token is WETH, so the sum is in one unit."""
        return self.kept_amount + self.payment_wei


class Tracked(msgspec.Struct, kw_only=True):
    """All that is known of one opportunity, from found to its end."""

    opportunity: Opportunity
    target: Target | None
    block_number: int
    base_fee_wei: int
    candidate: Candidate | None = None
    drop: Drop | None = None
    signed: SignedTransaction | None = None
    claim: Claim | None = None
    bundle: Bundle | None = None
    replies: dict[str, Outcome] = msgspec.field(default_factory=dict)
    """What each endpoint answered, by its name."""
    is_withdrawn: bool = False
    is_replaced: bool = False
    """A better bundle took over its key, nonce and replacement id: at most one of the two can land."""
    behind: tuple[str, ...] = ()
    """Ids of our own bundles that stand before it in the block; its figures are those of its place there."""
    rival: Rival | None = None
    outcome: Ending | Outcome = Ending.OPEN
    reason: str = ""
    mined: Mined | None = None
    """Set where it landed; from then on these figures count, not the candidate's."""
    gas_wei: int = 0
    bid_wei: int = 0
    net_landed_wei: int = 0

    @property
    def net_wei(self) -> int:
        return 0 if self.candidate is None else self.candidate.net_wei(self.base_fee_wei)


def bundle_digest(bundle: Bundle) -> str:
    """The bundle hash in Flashbots' style: keccak over its transactions' hashes."""
    return to_data(keccak256(b"".join(bundle.hashes)))
