"""JSON-RPC over a connection that stays open: answers matched by id, and subscriptions.

Theory of operation. Each message that arrives is either a notification, whose subscription id leads to its sink, or
an answer, whose id leads to whoever waits. Sinks are called at once, inside the socket's callback, with the decoded
result or with the message itself, so they must be short: they put into a bounded queue. A subscription is known from
the moment its answer arrives, not from when its asker wakes, so that no notification in between is lost.

When the connection ends, everyone who waits gets an error: ProtocolError where repeating changes nothing,
OutcomeUnknown where the node may have carried out the request. The connection does not come back; whoever owns it
opens another, checks the chain again and fills the gap.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from agent.chain.client import MAX_BATCH_BYTES, MAX_BATCH_MEMBERS, JsonRpcClient
from agent.chain.jsonrpc import decode_one, encode_request
from agent.errors import OutcomeUnknown, ProtocolError

T = TypeVar("T")
MAX_OUTSTANDING = 4_096
"""Requests without answer; beyond it the node is not keeping up and more would only queue."""
_PREFIX_BYTES = 160
_SUBSCRIPTION = b'"subscription":"'
_NO_FRONT = b"\0"
"""No JSON begins so."""


class MessageParams(msgspec.Struct, Generic[T], frozen=True, gc=False):
    subscription: str
    result: T


class Message(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A notification."""

    params: MessageParams[T]


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    """As much of a message as says where it belongs; the rest is skipped unread."""

    id: int | str | None = None
    method: str | None = None
    params: _Addressed | None = None


class _Addressed(msgspec.Struct, frozen=True, gc=False):
    subscription: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_envelopes = msgspec.json.Decoder(list[_Envelope])


class Subscription(Generic[T]):
    """One `eth_subscribe`. Notifications that are not of the expected type are counted in `malformed` and dropped."""

    __slots__ = ("decode", "deliver", "id", "malformed")

    def __init__(self, kind: type[T], deliver: Callable[[bytes], None]) -> None:
        # A class built at run time is beyond the type checker; the decoder makes T of it all the same.
        decoder: msgspec.json.Decoder[Message[T]] = msgspec.json.Decoder(Message[kind])  # type: ignore[valid-type]
        self.decode = decoder.decode
        self.deliver = deliver
        """Takes each message as it comes."""
        self.id = ""
        self.malformed = 0

    def read(self, message: bytes) -> T | None:
        """The result in a message; None, and counted, where it is of another type or belongs to another subscription."""
        try:
            params = self.decode(message).params
        except (msgspec.DecodeError, RecursionError):
            self.malformed += 1
            return None
        if params.subscription == self.id:
            return params.result
        self.malformed += 1
        return None


class StreamRpc(JsonRpcClient):
    """The common half of WebSocket and IPC; a transport implements `_write` and `_shut`, and calls the other two."""

    def __init__(
        self,
        peer: str,
        *,
        timeout_s: float,
        max_batch_members: int = MAX_BATCH_MEMBERS,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ) -> None:
        super().__init__(peer, max_batch_members=max_batch_members, max_batch_bytes=max_batch_bytes)
        self._timeout_s = timeout_s
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._batches: list[asyncio.Future[bytes]] = []
        self._subscribing: dict[int, Subscription[Any]] = {}
        self._subscriptions: dict[str, Subscription[Any]] = {}
        self._hot_front = _NO_FRONT
        self._hot_deliver: Callable[[bytes], None] | None = None
        """How the last notification began, and who took it: the next one is most often of the same kind."""
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.unexpected = 0
        """Messages that belong to nobody: late answers, notifications of subscriptions that were given up."""

    @property
    def is_open(self) -> bool:
        return not self._ended.done()

    async def wait_closed(self) -> str:
        """Waits until the connection has ended; the reason."""
        return await asyncio.shield(self._ended)

    async def subscribe(
        self, params: Sequence[Any], kind: type[T], sink: Callable[[T, bytes], None]
    ) -> Subscription[T]:
        """Calls `sink` with each result, decoded as `kind`, and with the message that it came in.

        RpcError where the node offers no such subscription.
        """

        def deliver(message: bytes) -> None:
            result = subscription.read(message)
            if result is not None:
                sink(result, message)

        subscription = Subscription(kind, deliver)
        await self._open(subscription, params)
        return subscription

    async def subscribe_unread(
        self, params: Sequence[Any], kind: type[T], sink: Callable[[bytes], None]
    ) -> Subscription[T]:
        """Calls `sink` with each message as it is, to be decoded by the subscription later, when its reader comes."""
        subscription = Subscription(kind, sink)
        await self._open(subscription, params)
        return subscription

    async def _open(self, subscription: Subscription[Any], params: Sequence[Any]) -> None:
        request_id = next(self._ids)
        self._subscribing[request_id] = subscription
        try:
            body = await self._exchange(
                encode_request(request_id, "eth_subscribe", params),
                ids=(request_id,),
                method="eth_subscribe",
                may_repeat=True,
            )
            decode_one(body, request_id, peer=self.peer, method="eth_subscribe")
        finally:
            self._subscribing.pop(request_id, None)

    async def unsubscribe(self, subscription: Subscription[Any]) -> None:
        """Nothing more reaches the sink from here on, whatever the node answers."""
        self._subscriptions.pop(subscription.id, None)
        self._hot_front, self._hot_deliver = _NO_FRONT, None
        await self.call("eth_unsubscribe", [subscription.id])

    async def close(self) -> None:
        """Ends the connection; safe to repeat."""
        self._connection_ended("closed by us")
        await self._shut()

    @abc.abstractmethod
    def _write(self, body: bytes) -> None: ...

    @abc.abstractmethod
    async def _shut(self) -> None: ...

    async def _exchange(self, body: bytes, *, ids: Sequence[int], method: str, may_repeat: bool) -> bytes:
        if self._ended.done():
            raise ProtocolError(f"the connection is over: {self._ended.result()}", peer=self.peer, method=method)
        if len(self._waiting) >= MAX_OUTSTANDING:
            raise ProtocolError(f"{MAX_OUTSTANDING} requests wait for an answer", peer=self.peer, method=method)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        for request_id in ids:
            self._waiting[request_id] = future
        if len(ids) > 1:
            self._batches.append(future)
        try:
            self._write(body)
            async with asyncio.timeout(self._timeout_s):
                return await future
        except TimeoutError:
            raise self._lost(f"no answer within {self._timeout_s:g} s", method=method, may_repeat=may_repeat) from None
        except ConnectionError as error:
            raise self._lost(f"the connection ended: {error}", method=method, may_repeat=may_repeat) from None
        finally:
            for request_id in ids:
                self._waiting.pop(request_id, None)
            if len(ids) > 1:
                self._batches.remove(future)

    def _message_arrived(self, message: bytes) -> None:
        """One whole message. What is not JSON-RPC ends the connection."""
        if message.startswith(self._hot_front) and self._hot_deliver is not None:
            self._hot_deliver(message)
            return
        if self._deliver_by_prefix(message):
            return
        try:
            if message[:1] == b"[" or message.lstrip()[:1] == b"[":
                self._batch_arrived(message)
            else:
                self._single_arrived(message, _envelope.decode(message))
        except (msgspec.DecodeError, RecursionError):
            self._connection_ended(f"the node sent what is not JSON-RPC, beginning with {message[:40]!r}")
            self._abort()

    def _deliver_by_prefix(self, message: bytes) -> bool:
        """Finds the subscription where its id stands near the front, as nodes write it, and remembers that front.

        A wrong guess is harmless: the subscription's decoder checks that the id really stands in its place.
        """
        start = message.find(_SUBSCRIPTION, 0, _PREFIX_BYTES)
        if start < 0:
            return False
        begin = start + len(_SUBSCRIPTION)
        end = message.find(b'"', begin) + 1
        subscription = self._subscriptions.get(message[begin : end - 1].decode("latin-1"))
        if subscription is None:
            return False
        self._hot_front, self._hot_deliver = message[:end], subscription.deliver
        subscription.deliver(message)
        return True

    def _abort(self) -> None:
        """Overridden where a connection can be dropped without waiting."""

    def _single_arrived(self, message: bytes, envelope: _Envelope) -> None:
        if envelope.method is not None:
            name = envelope.params.subscription if envelope.params is not None else None
            subscription = self._subscriptions.get(name or "")
            if subscription is None:
                self.unexpected += 1
            else:
                subscription.deliver(message)
            return
        future = self._waiting.get(envelope.id) if isinstance(envelope.id, int) else None
        if future is None and envelope.id is None and len(self._batches) == 1:
            future = self._batches[0]  # one error object for a batch carries no id
        if isinstance(envelope.id, int) and (opened := self._subscribing.get(envelope.id)) is not None:
            self._register(opened, message, envelope.id)
        self._settle(future, message)

    def _batch_arrived(self, message: bytes) -> None:
        ids = (envelope.id for envelope in _envelopes.decode(message))
        known = (self._waiting[request_id] for request_id in ids if request_id in self._waiting)
        self._settle(next(known, None), message)

    def _register(self, subscription: Subscription[Any], message: bytes, request_id: int) -> None:
        try:
            raw = decode_one(message, request_id, peer=self.peer, method="eth_subscribe")
            subscription.id = msgspec.json.decode(raw, type=str)
        except (ProtocolError, msgspec.DecodeError):
            return  # the asker reports it
        self._subscriptions[subscription.id] = subscription

    def _settle(self, future: asyncio.Future[bytes] | None, message: bytes) -> None:
        if future is None or future.done():
            self.unexpected += 1
        else:
            future.set_result(message)

    def _connection_ended(self, reason: str) -> None:
        if self._ended.done():
            return
        self._ended.set_result(reason)
        for future in set(self._waiting.values()):
            if not future.done():
                future.set_exception(ConnectionError(reason))

    def _lost(self, what: str, *, method: str, may_repeat: bool) -> ProtocolError | OutcomeUnknown:
        if may_repeat:
            return ProtocolError(what, peer=self.peer, method=method, hint="check the node's load and the network")
        return OutcomeUnknown(f"{what}; the node may have carried out the request", where=f"{self.peer} {method}")
