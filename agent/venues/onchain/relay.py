"""The client of a private endpoint, and sending one bundle to many at once.

What can be sent is a closed list of methods to endpoints that are rows of data; there is no method here that
reaches a public mempool, and no answer, time-out or refusal leads to another place than the one asked for.
Ids: a withdrawn replacement id is dead (a service may have stored the highest sequence for it), and where a
service orders replacements by arrival, one send of an id waits for the other.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

import msgspec

from agent.errors import OutcomeUnknown, ProtocolError, RateLimited, Rejected
from agent.eth.hexes import to_data, to_quantity
from agent.eth.units import Hash32
from agent.venues.onchain.bundle import Bundle, NotExpressible, is_uuid4, request_body, send_bundle_body
from agent.venues.onchain.endpoints import Cancel, Endpoint
from agent.venues.onchain.outcomes import Outcome
from agent.venues.onchain.replies import Lost, RawReply, Reply, ReplyClass, classify
from agent.venues.onchain.signer import RelaySigner, SignedBody, sign_body
from agent.venues.onchain.transport import Transport

DEFAULT_TIMEOUT_MS = 2_000
REMEMBERED_IDS = 1_024
REMEMBERED_BODIES = 256
RATE_LIMIT_PAUSE_MS = 1_000


class PreparedBundle(msgspec.Struct, frozen=True):
    """A bundle as one endpoint will get it, signed and not sent yet."""

    request: SignedBody
    replacement_uuid: str | None
    sequence: int | None


class CalledTransaction(msgspec.Struct, frozen=True):
    """One transaction of a simulated bundle. `error` is the relay's text, empty on success."""

    hash: Hash32
    gas_used: int
    is_success: bool
    error: str


class CalledBundle(msgspec.Struct, frozen=True):
    """What a relay says the bundle would do; wei."""

    coinbase_diff_wei: int
    sent_to_coinbase_wei: int
    priority_fees_wei: int
    total_gas_used: int
    state_block_number: int
    transactions: tuple[CalledTransaction, ...]


class RelayClient:
    """Talks to one endpoint in its own dialect."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        identity: RelaySigner,
        transport: Transport,
        timeout_ms: int = DEFAULT_TIMEOUT_MS,
    ) -> None:
        self.endpoint = endpoint
        self.identity = identity
        self._transport = transport
        self._timeout_ms = timeout_ms
        self._sequences: OrderedDict[str, int] = OrderedDict()
        self._withdrawn: OrderedDict[str, None] = OrderedDict()
        self._bodies: OrderedDict[bytes, None] = OrderedDict()
        self._arrivals: dict[str, asyncio.Future[None]] = {}

    @property
    def name(self) -> str:
        return self.endpoint.name

    def prepare(self, bundle: Bundle, *, signed: dict[bytes, SignedBody] | None = None) -> PreparedBundle:
        """The signed request for a bundle; NotExpressible when the dialect would lose something of it.

        `signed` holds bodies that are signed already: endpoints of one dialect share body and header.
        """
        body = send_bundle_body(bundle, self.endpoint.dialect)
        limit = self.endpoint.dialect.max_body_bytes
        if len(body) > limit:
            raise self._not_expressible("eth_sendBundle", f"{len(body)} bytes, at most {limit} are taken")
        request = None if signed is None else signed.get(body)
        if request is None:
            request = sign_body(self.identity, body)
            if signed is not None:
                signed[body] = request
        return PreparedBundle(request, bundle.replacement_uuid, bundle.sequence)

    def submit(self, prepared: PreparedBundle) -> Awaitable[Reply]:
        """Send a prepared bundle. The bytes are on their way when this returns, if a connection is warm.

        Rejected, with nothing sent, when the id was withdrawn here or a later sequence went out before.
        """
        uuid, sequence = prepared.replacement_uuid, prepared.sequence
        if uuid is not None and sequence is not None:
            self._take_sequence(uuid, sequence)
            if self.endpoint.dialect.sequence_field is None:
                return self._submit_in_order(prepared.request, uuid, sequence)
        return self._answer(prepared.request)

    async def send_bundle(self, bundle: Bundle) -> Reply:
        """Prepare and submit."""
        return await self.submit(self.prepare(bundle))

    async def cancel_bundle(self, replacement_uuid: str, *, sequence: int) -> Reply:
        """Ask the endpoint to forget what it holds under an id, and use the id no more.

        A cancel is a request: until the last target block is seen the bundle may land all the same.
        It is never held back by what was sent before.
        """
        if not is_uuid4(replacement_uuid):
            raise ValueError(f"not a replacement id: {replacement_uuid[:40]!r}")
        request = self.withdrawal(replacement_uuid, sequence=sequence)
        _remember(self._withdrawn, replacement_uuid, None, REMEMBERED_IDS)
        reply = await self._answer(request)
        if reply.reply_class is ReplyClass.SUCCESS:
            return msgspec.structs.replace(reply, outcome=Outcome.CANCEL_REQUESTED)
        return reply

    def withdrawal(self, replacement_uuid: str, *, sequence: int) -> SignedBody:
        """The signed request that withdraws an id, not sent: whoever holds it can, and nothing else."""
        dialect = self.endpoint.dialect
        if dialect.cancel is Cancel.METHOD:
            body = request_body("eth_cancelBundle", [{"replacementUuid": replacement_uuid}])
        else:
            params: dict[str, Any] = {"txs": [], "replacementUuid": replacement_uuid}
            if dialect.sequence_field is not None:
                params[dialect.sequence_field] = max(sequence, self._sequences.get(replacement_uuid, 0) + 1)
            body = request_body("eth_sendBundle", [params])
        return sign_body(self.identity, body)

    async def call_bundle(
        self, bundle: Bundle, *, state_block_number: int | None = None, timestamp_s: int | None = None
    ) -> CalledBundle:
        """Let the relay simulate the bundle as if in its block, on the state after `state_block_number`.

        None: the latest state. Raises the error that fits when no figures came; simulating sends nothing on.
        """
        self._require(self.endpoint.dialect.can_call, "eth_callBundle")
        params: dict[str, Any] = {
            "txs": [to_data(raw) for raw in bundle.transactions],
            "blockNumber": to_quantity(bundle.block_number),
            "stateBlockNumber": "latest" if state_block_number is None else to_quantity(state_block_number),
        }
        if timestamp_s is not None:
            params["timestamp"] = timestamp_s
        reply = await self._answer(sign_body(self.identity, request_body("eth_callBundle", [params])))
        self._raise_unless_success(reply, "eth_callBundle")
        try:
            return _called(reply.result)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(
                f"{self.name} answered eth_callBundle in a shape that is not documented: {type(error).__name__}",
                peer=self.name,
                method="eth_callBundle",
                hint="leave this endpoint out of simulations; a local simulation gives the same figures",
            ) from error

    async def send_private_transaction(self, raw: bytes, *, max_block_number: int, is_fast: bool) -> Reply:
        """Hand over one transaction, kept private and tried up to and including `max_block_number`.

        `is_fast` lets a relay share it with all builders at once, for less refund.
        """
        self._require(self.endpoint.dialect.can_send_private, "eth_sendPrivateTransaction")
        params: dict[str, Any] = {"tx": to_data(raw), "maxBlockNumber": to_quantity(max_block_number)}
        if self.endpoint.dialect.can_cancel_private:
            params["preferences"] = {"fast": is_fast}
        return await self._answer(sign_body(self.identity, request_body("eth_sendPrivateTransaction", [params])))

    async def cancel_private_transaction(self, transaction_hash: Hash32) -> Reply:
        """Ask to forget a private transaction that the same identity sent."""
        self._require(self.endpoint.dialect.can_cancel_private, "eth_cancelPrivateTransaction")
        body = request_body("eth_cancelPrivateTransaction", [{"txHash": to_data(transaction_hash)}])
        reply = await self._answer(sign_body(self.identity, body))
        if reply.reply_class is ReplyClass.SUCCESS and reply.result is True:
            return msgspec.structs.replace(reply, outcome=Outcome.CANCEL_REQUESTED)
        return reply

    async def open(self) -> None:
        """Connect ahead of need."""
        await self._transport.open()

    async def close(self) -> None:
        await self._transport.close()

    def _take_sequence(self, uuid: str, sequence: int) -> None:
        if uuid in self._withdrawn:
            raise Rejected(
                f"the replacement id {uuid} was withdrawn at {self.name}",
                code="E_REPLACEMENT_ID_WITHDRAWN",
                peer=self.name,
                method="eth_sendBundle",
                hint="use a fresh id: a service may refuse every later bundle under this one",
            )
        if sequence < self._sequences.get(uuid, 0):
            raise Rejected(
                f"sequence {sequence} of {uuid} is below one that {self.name} has had",
                code="E_SEQUENCE_TOO_LOW",
                peer=self.name,
                method="eth_sendBundle",
                hint="the service would ignore it and answer success",
            )
        _remember(self._sequences, uuid, sequence, REMEMBERED_IDS)

    def _submit_in_order(self, request: SignedBody, uuid: str, sequence: int) -> Awaitable[Reply]:
        """Where arrival is the order, a later send of an id leaves when the earlier one was answered."""
        earlier = self._arrivals.get(uuid)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals[uuid] = done
        if earlier is None:
            return self._finish(self._answer(request), uuid, done)
        return self._finish(self._answer_after(earlier, request, uuid, sequence), uuid, done)

    async def _answer_after(
        self, earlier: asyncio.Future[None], request: SignedBody, uuid: str, sequence: int
    ) -> Reply:
        # Bounded, should nobody await the earlier answer: its own time-out has then passed as well.
        await asyncio.wait({earlier}, timeout=self._timeout_ms / 1000)
        if self._sequences.get(uuid, sequence) > sequence or uuid in self._withdrawn:
            return _overtaken(uuid)
        return await self._answer(request)

    async def _finish(self, answer: Awaitable[Reply], uuid: str, done: asyncio.Future[None]) -> Reply:
        try:
            return await answer
        finally:
            if not done.done():
                done.set_result(None)
            if self._arrivals.get(uuid) is done:
                del self._arrivals[uuid]

    async def _classified(self, delivery: Awaitable[RawReply | Lost], is_repeat: bool) -> Reply:
        reply = classify(await delivery)
        if is_repeat and reply.reply_class is ReplyClass.SUCCESS:
            # A proxy answers success to an identical body even when it refused the first one.
            return msgspec.structs.replace(reply, outcome=Outcome.DUPLICATE)
        return reply

    def _answer(self, request: SignedBody) -> Awaitable[Reply]:
        is_repeat = request.body in self._bodies
        _remember(self._bodies, request.body, None, REMEMBERED_BODIES)
        return self._classified(self._transport.post(request, timeout_ms=self._timeout_ms), is_repeat)

    def _require(self, is_known: bool, method: str) -> None:
        if not is_known:
            raise self._not_expressible(method, f"it has no {method}")

    def _not_expressible(self, method: str, reason: str) -> NotExpressible:
        return NotExpressible(
            f"{self.name} cannot do this: {reason}", peer=self.name, method=method, hint="use an endpoint that can"
        )

    def _raise_unless_success(self, reply: Reply, method: str) -> None:
        where = {"peer": self.name, "method": method}
        message = f"{self.name} answered {method} with {reply.reply_class}: {reply.text!r}"
        match reply.reply_class:
            case ReplyClass.SUCCESS:
                return
            case ReplyClass.RATE_LIMITED:
                raise RateLimited(message, retry_after_ms=RATE_LIMIT_PAUSE_MS, **where)
            case ReplyClass.UNKNOWN | ReplyClass.UNAVAILABLE:
                raise OutcomeUnknown(message, where=f"{self.name} {method}", hint="try again, or simulate locally")
            case _:
                raise Rejected(message, hint="the same bytes will be refused again", **where)


def _overtaken(uuid: str) -> Reply:
    """The answer for a bundle that was not sent because a later one of its id was waiting already."""
    overtaken = classify(Lost(f"a later sequence of {uuid} went out instead", was_written=False))
    return msgspec.structs.replace(overtaken, outcome=Outcome.REPLACED)


async def send_everywhere(clients: Sequence[RelayClient], bundle: Bundle) -> dict[str, Reply | Rejected]:
    """Send one bundle to all endpoints at once; each answer, or why an endpoint got nothing, by its name.

    Every body is made and signed before the first is written, and all are written before one is awaited.
    """
    answers: dict[str, Reply | Rejected] = {}
    prepared: list[tuple[RelayClient, PreparedBundle]] = []
    signed: dict[Any, dict[bytes, SignedBody]] = {}
    for client in clients:
        try:
            prepared.append((client, client.prepare(bundle, signed=signed.setdefault(client.identity.address, {}))))
        except Rejected as refusal:
            answers[client.name] = refusal
    answers.update(await submit_all(prepared))
    return answers


async def submit_all(prepared: Iterable[tuple[RelayClient, PreparedBundle]]) -> dict[str, Reply | Rejected]:
    """Submit what is prepared, all written before one is awaited."""
    answers: dict[str, Reply | Rejected] = {}
    waiting: list[tuple[str, Awaitable[Reply]]] = []
    for client, request in prepared:
        try:
            waiting.append((client.name, client.submit(request)))
        except Rejected as refusal:
            answers[client.name] = refusal
    replies = await asyncio.gather(*(awaitable for _, awaitable in waiting))
    answers.update(zip((name for name, _ in waiting), replies, strict=True))
    return answers


def _called(result: dict[str, Any]) -> CalledBundle:
    return CalledBundle(
        coinbase_diff_wei=int(result["coinbaseDiff"]),
        sent_to_coinbase_wei=int(result["ethSentToCoinbase"]),
        priority_fees_wei=int(result["gasFees"]),
        total_gas_used=int(result["totalGasUsed"]),
        state_block_number=int(result["stateBlockNumber"]),
        transactions=tuple(
            CalledTransaction(
                hash=Hash32(bytes.fromhex(member["txHash"].removeprefix("0x"))),
                gas_used=int(member["gasUsed"]),
                is_success="error" not in member and "revert" not in member,
                error=str(member.get("revert") or member.get("error") or "")[:200],
            )
            for member in result["results"]
        ),
    )


def _remember(memory: OrderedDict[Any, Any], key: Any, value: Any, size: int) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > size:
        memory.popitem(last=False)
