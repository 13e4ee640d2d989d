"""From a candidate that may be sent to bytes at every endpoint, and back again as far as that is possible."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agent.engine.bundle_drops import BundleDrops
from agent.engine.tracked import Tracked
from agent.errors import OutcomeUnknown, ProtocolError
from agent.eth.keys import SignedTransaction, Signer, sign_dynamic_fee
from agent.ports.clock import Clock
from agent.sim.simulator import BlockEnv, Call
from agent.venues.onchain.bundle import Bundle, replacement_uuid
from agent.venues.onchain.last_guard import LastCaps, LastGuard, Outgoing, Refused
from agent.venues.onchain.nonces import Claim
from agent.venues.onchain.outcomes import Outcome
from agent.venues.onchain.relay import RelayClient, send_everywhere
from agent.venues.onchain.replies import Reply


class Sender:
    """Holds the operator keys and the endpoints; decides nothing."""

    def __init__(
        self,
        *,
        operators: Sequence[Signer],
        relays: Sequence[RelayClient],
        chain_id: int,
        clock: Clock,
        caps: LastCaps,
        drops: BundleDrops | None = None,
    ) -> None:
        """`drops` is where the guard finds how to withdraw what is sent; None where nobody else could."""
        self._signers = {signer.address: signer for signer in operators}
        self._relays = tuple(relays)
        self._chain_id = chain_id
        self._clock = clock
        self._last_guard = LastGuard(caps)
        self._drops = drops

    def prepare(
        self, one: Tracked, call: Call, claim: Claim, env: BlockEnv, replaced: Tracked | None
    ) -> Refused | None:
        """Sign the call with the claimed key and nonce, and make its bundle; under the id of the one it replaces.

        Refused, and nothing signed, where it exceeds a cap that no transaction may exceed.
        """
        refused = self._last_guard.admit(_outgoing(one, call), self._clock.monotonic_ns())
        if refused is not None:
            return refused
        one.signed = self._sign(call, claim)
        uuid = replacement_uuid(f"{one.opportunity.id} {env.number}".encode())
        sequence = self._sequence()
        if replaced is not None and replaced.bundle is not None:
            uuid = replaced.bundle.replacement_uuid or uuid
            sequence = max(sequence, (replaced.bundle.sequence or 0) + 1)
        one.bundle = Bundle(
            transactions=(one.signed.raw,) if one.target is None else (one.target.raw, one.signed.raw),
            block_number=env.number,
            replacement_uuid=uuid,
            sequence=sequence,
        )
        return None

    def ended(self, one: Tracked, gas_paid_wei: int) -> None:
        """It can land no more, and cost this much gas."""
        self._last_guard.ended(one.opportunity.id, gas_paid_wei, self._clock.monotonic_ns())

    async def objection(self, one: Tracked) -> str:
        """What a relay's `eth_callBundle` has against the bundle; empty where it confirms it or none offers the call."""
        relay = next((relay for relay in self._relays if relay.endpoint.dialect.can_call), None)
        if relay is None:
            return ""
        assert one.bundle is not None and one.candidate is not None
        try:
            called = await relay.call_bundle(one.bundle)
        except OutcomeUnknown:
            return ""  # no answer is no disagreement: our own simulation stands
        except ProtocolError as error:
            return error.message[:160]
        ours, expected = called.transactions[-1], one.candidate.execution.gas_used
        if not ours.is_success:
            return f"{relay.name} says that it reverts"
        if ours.gas_used != expected:
            return f"{relay.name} measures {ours.gas_used} gas, we {expected}"
        return ""

    async def send(self, one: Tracked) -> None:
        """To every endpoint at once; what each answered is kept."""
        assert one.bundle is not None
        if self._drops is not None:
            self._drops.note(one.bundle, self._relays)
        answers = await send_everywhere(self._relays, one.bundle)
        one.replies = {
            name: answer.outcome if isinstance(answer, Reply) else Outcome.REFUSED_INVALID
            for name, answer in answers.items()
        }

    async def withdraw(self, one: Tracked) -> None:
        """Ask every endpoint to forget the bundle. A request, not a fact: it is live until its block has passed."""
        if one.is_replaced:
            return  # its id belongs to the bundle that took over, and its nonce too
        assert one.bundle is not None and one.bundle.replacement_uuid is not None
        uuid, sequence = one.bundle.replacement_uuid, self._sequence()
        await asyncio.gather(*(relay.cancel_bundle(uuid, sequence=sequence) for relay in self._relays))
        one.is_withdrawn = True

    def _sequence(self) -> int:
        """Microseconds since the epoch, rounded down: what services order replacements by."""
        return self._clock.wall_ns() // 1_000

    def _sign(self, call: Call, claim: Claim) -> SignedTransaction:
        return sign_dynamic_fee(
            self._signers[claim.key],
            chain_id=self._chain_id,
            nonce=claim.nonce,
            max_priority_fee_wei=call.max_priority_fee_wei,
            max_fee_wei=call.max_fee_wei,
            gas=call.gas,
            to=call.to,
            value_wei=call.value_wei,
            data=call.data,
        )


def _outgoing(one: Tracked, call: Call) -> Outgoing:
    """What would be signed, as the call has it; only a payment by the contract cannot be seen there."""
    return Outgoing(
        id=one.opportunity.id,
        value_wei=call.value_wei,
        gas=call.gas,
        max_fee_wei=call.max_fee_wei,
        max_priority_fee_wei=call.max_priority_fee_wei,
        payment_wei=0 if one.candidate is None else one.candidate.execution.payment_wei,
    )
