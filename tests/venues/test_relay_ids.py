"""Any sequence of sends, withdrawals and lost answers keeps the rules of ids, in every dialect."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import Rejected
from agent.eth.keys import Signer
from agent.venues.onchain.bundle import Bundle, replacement_uuid
from agent.venues.onchain.endpoints import DIALECTS, Endpoint
from agent.venues.onchain.outcomes import TRAITS, Outcome
from agent.venues.onchain.relay import RelayClient
from agent.venues.onchain.replies import Lost, RawReply, Reply
from agent.venues.onchain.signer import RelaySigner, SignedBody

IDENTITY = RelaySigner(Signer(bytes([1]) * 32))
UUIDS = [replacement_uuid(bytes([i])) for i in range(2)]
ANSWERS: list[RawReply | Lost] = [
    RawReply(200, "", b'{"result":{"bundleHash":"0x' + b"11" * 32 + b'"}}'),
    RawReply(429, "", b""),
    RawReply(502, "", b"<html>"),
    Lost("cut", was_written=True),
    Lost("no connection", was_written=False),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "send", "cancel", "turn"]),
        st.integers(0, 1),
        st.integers(1, 5),
        st.integers(0, len(ANSWERS) - 1),
    ),
    max_size=14,
)


class Wire:
    """Answers when the loop turns, with what the step chose."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.next: RawReply | Lost = ANSWERS[0]

    def post(self, request: SignedBody, *, timeout_ms: int) -> asyncio.Future[RawReply | Lost]:
        self.calls.append(json.loads(request.body))
        answer: asyncio.Future[RawReply | Lost] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(answer.set_result, self.next)
        return answer

    async def open(self) -> None: ...

    async def close(self) -> None: ...


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(DIALECTS)), steps=STEPS)
def test_ids_are_used_in_order_and_never_after_their_withdrawal(
    name: str, steps: list[tuple[str, int, int, int]]
) -> None:
    asyncio.run(_play(name, steps))


async def _play(name: str, steps: list[tuple[str, int, int, int]]) -> None:
    wire = Wire()
    endpoint = Endpoint(name=name, url="https://relay.example", dialect=DIALECTS[name])
    client = RelayClient(endpoint, identity=IDENTITY, transport=wire)
    tasks: list[asyncio.Task[Reply]] = []
    refused = 0
    for action, which, sequence, answer in steps:
        uuid, wire.next = UUIDS[which], ANSWERS[answer]
        if action == "turn":
            await asyncio.sleep(0)
        elif action == "cancel":
            tasks.append(asyncio.ensure_future(client.cancel_bundle(uuid, sequence=sequence)))
        else:
            bundle = Bundle(
                # The block tells the sequence, also where the dialect does not send it.
                transactions=(b"\x02x",),
                block_number=sequence,
                replacement_uuid=uuid,
                sequence=sequence,
            )
            try:
                submitted = client.submit(client.prepare(bundle))
            except Rejected:
                refused += 1
                continue
            tasks.append(asyncio.ensure_future(_await(submitted)))
    replies = await asyncio.gather(*tasks)
    assert len(replies) + refused == sum(action != "turn" for action, *_ in steps)
    assert not client._arrivals
    for uuid in UUIDS:
        _check_order([call for call in wire.calls if call["params"][0]["replacementUuid"] == uuid])
    for reply in replies:
        assert not (reply.is_absent and reply.outcome in (Outcome.ACCEPTED, Outcome.CANCEL_REQUESTED))
        assert reply.outcome in TRAITS


async def _await(submitted: Any) -> Reply:
    reply: Reply = await submitted
    return reply


def _check_order(calls: list[dict[str, Any]]) -> None:
    """Sequences never fall, and behind a withdrawal there are only withdrawals."""
    sent, is_withdrawn = 0, False
    for call in calls:
        params = call["params"][0]
        if call["method"] == "eth_cancelBundle" or not params["txs"]:
            is_withdrawn = True
            numbered = params.get("replacementNonce", params.get("replacementSeqNumber", sent + 1))
            assert numbered > sent, "a withdrawal outranks what was sent"
            continue
        assert not is_withdrawn
        assert int(params["blockNumber"], 16) >= sent
        sent = int(params["blockNumber"], 16)
