"""Pending transactions of one node, in full, from a bounded queue that says what it lost.

Theory of operation. `run` connects, checks the chain id, subscribes to `newPendingTransactions` with bodies (a node
that sends hashes is asked for each body), then reads `txpool_content` once, so that what was waiting before is known
too. Each hash is delivered once. The socket's callback only appends; a reader decodes and takes everything
at once with `read`, so that a burst costs one wake-up. When the reader falls behind, the oldest are dropped and a Lost
event stands in their place; when the connection is gone, a Gap event does: what was pending in between may never be
seen.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import force_setattr as keep_source

from agent.chain.client import Rpc
from agent.chain.heads import WRONG_CHAIN
from agent.chain.jsonrpc import RpcError
from agent.chain.pending import PendingTransaction, pending_from_json
from agent.chain.reconnect import Pauses
from agent.chain.stream import StreamRpc, Subscription
from agent.errors import OutcomeUnknown, ProtocolError, SetupError
from agent.eth.hexes import to_quantity

MAX_WAITING = 16_384
MAX_REMEMBERED = 131_072
"""Hashes seen: about an hour of the public mempool."""
MAX_UNFETCHED = 4_096


class Gap(msgspec.Struct, frozen=True):
    """There was no connection for a while; transactions of that time may be unknown."""

    reason: str


class Watching(msgspec.Struct, frozen=True):
    """The subscription stands, and what was pending before it has been read, as far as the node shows it."""

    peer: str
    has_content: bool
    """Whether the node offered `txpool_content`; hosted nodes seldom do."""


class Lost(msgspec.Struct, frozen=True):
    """So many transactions were dropped because the reader was behind."""

    count: int


MempoolEvent: TypeAlias = PendingTransaction | Gap | Watching | Lost


class MempoolFeed:
    """Start `run` as a task; take events with `read`."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[StreamRpc]],
        *,
        chain_id: int,
        max_waiting: int = MAX_WAITING,
        jitter: random.Random | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.connections = 0
        self.duplicates = 0
        self.lost = 0
        self.malformed = 0
        self._connect = connect
        self._chain_id = chain_id
        self._max_waiting = max_waiting
        self._pauses = Pauses(jitter)
        self._pause = pause
        self._waiting: deque[bytes | MempoolEvent] = deque()
        self._subscription: Subscription[PendingTransaction] | None = None
        self._wake = asyncio.Event()
        self._is_reader_waiting = False
        self._seen: dict[str, None] = {}
        self._dropped = 0
        self._unfetched: deque[str] = deque(maxlen=MAX_UNFETCHED)
        self._has_unfetched = asyncio.Event()

    async def read(self) -> list[MempoolEvent]:
        """All events that wait, at least one; a Lost comes first, as the oldest were dropped."""
        while True:
            if events := self._next_events():
                return events
            self._wake.clear()
            self._is_reader_waiting = True
            try:
                await self._wake.wait()
            finally:
                self._is_reader_waiting = False

    async def run(self) -> None:
        """Watches until cancelled. SetupError where the first connection fails or the chain is another."""
        while True:
            connected_before = self.connections
            try:
                rpc = await self._connect()
                try:
                    await self._watch(rpc)
                finally:
                    await rpc.close()
            except (ProtocolError, SetupError, OutcomeUnknown) as error:
                if self.connections == 0 or error.code == WRONG_CHAIN:
                    raise
                self._put(Gap(error.message))
            await self._pause(self._pauses.next_s(had_connected=self.connections > connected_before))

    async def _watch(self, rpc: StreamRpc) -> None:
        answer = await rpc.call("eth_chainId")
        if answer != to_quantity(self._chain_id):
            raise SetupError(
                f"{rpc.peer} is on chain {str(answer)[:40]}, not {to_quantity(self._chain_id)}",
                code=WRONG_CHAIN,
                hint="check the node's URL against the configured chain",
            )
        await self._subscribe(rpc)
        self.connections += 1
        content = await self._read_content(rpc)
        self._put(Watching(rpc.peer, content))
        fetcher = asyncio.ensure_future(self._fetch_bodies(rpc))
        try:
            reason = await rpc.wait_closed()
        finally:
            # The next connection has another subscription, which could not read these.
            self._waiting = deque(self._decoded(self._waiting))
            fetcher.cancel()
        raise ProtocolError(f"the connection ended: {reason}", peer=rpc.peer)

    async def _subscribe(self, rpc: StreamRpc) -> None:
        try:
            self._subscription = await rpc.subscribe_unread(
                ["newPendingTransactions", True],
                PendingTransaction | str,  # type: ignore[arg-type] # a union is a decodable type
                self._message_arrived,
            )
        except RpcError:
            await rpc.subscribe(["newPendingTransactions"], str, self._hash_arrived)

    def _message_arrived(self, message: bytes) -> None:
        waiting = self._waiting
        waiting.append(message)
        if len(waiting) > self._max_waiting:
            waiting.popleft()
            self._count_lost(1)
        if self._is_reader_waiting:
            self._wake.set()

    def _hash_arrived(self, name: str, _message: bytes = b"") -> None:
        if name not in self._seen:
            self._unfetched.append(name)
            self._has_unfetched.set()

    def _next_events(self) -> list[MempoolEvent]:
        events: list[MempoolEvent] = []
        if self._dropped:
            events.append(Lost(self._dropped))
            self._dropped = 0
        entries, self._waiting = self._waiting, deque()
        return events + self._decoded(entries)

    def _decoded(self, entries: Iterable[bytes | MempoolEvent]) -> list[MempoolEvent]:
        """Events of what waits, each transaction once."""
        events: list[MempoolEvent] = []
        seen, subscription = self._seen, self._subscription
        decode, name = (subscription.decode, subscription.id) if subscription is not None else (None, "")
        # Each transaction of a burst passes here: written out, as a call more would cost a twentieth of the whole.
        for entry in entries:
            if not isinstance(entry, bytes):
                events.append(entry)
                continue
            assert decode is not None, "a message without a subscription"
            try:
                params = decode(entry).params
            except (msgspec.DecodeError, RecursionError):
                self.malformed += 1
                continue
            item = params.result
            if params.subscription != name:
                self.malformed += 1
            elif type(item) is PendingTransaction:
                count = len(seen)
                seen[item.hash] = None
                if len(seen) == count:
                    self.duplicates += 1
                    continue
                if count >= MAX_REMEMBERED:
                    del seen[next(iter(seen))]
                keep_source(item, "source", entry)
                events.append(item)
            else:
                self._hash_arrived(str(item))  # the node was asked for bodies, and sends hashes all the same
        return events

    async def _fetch_bodies(self, rpc: Rpc) -> None:
        while True:
            await self._has_unfetched.wait()
            self._has_unfetched.clear()
            hashes = list(self._unfetched)
            self._unfetched.clear()
            try:
                answers = await rpc.batch([("eth_getTransactionByHash", [name]) for name in hashes])
            except ProtocolError:
                self._count_lost(len(hashes))
                continue
            for answer in answers:
                # None: mined or dropped in the meantime.
                if isinstance(answer, dict):
                    self._take(answer)

    async def _read_content(self, rpc: Rpc) -> bool:
        """Whether the node showed its pool."""
        try:
            content = await rpc.call("txpool_content")
        except RpcError:
            return False
        pending = content.get("pending") if isinstance(content, dict) else None
        for by_nonce in (pending or {}).values():
            for tree in by_nonce.values():
                self._take(tree)
        return True

    def _take(self, tree: Any) -> None:
        """One that was asked for."""
        try:
            pending = pending_from_json(msgspec.json.encode(tree))
        except msgspec.DecodeError:
            self.malformed += 1
            return
        if pending.hash in self._seen:
            self.duplicates += 1
            return
        self._seen[pending.hash] = None
        if len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._put(pending)

    def _put(self, event: MempoolEvent) -> None:
        self._waiting.append(event)
        if len(self._waiting) > self._max_waiting:
            self._waiting.popleft()
            self._count_lost(1)
        self._wake.set()

    def _count_lost(self, count: int) -> None:
        self._dropped += count
        self.lost += count
        self._wake.set()


def pending_to(events: Sequence[MempoolEvent], addresses: frozenset[str]) -> list[PendingTransaction]:
    """The transactions among the events that call one of the addresses (lower-case text, as nodes send them)."""
    return [event for event in events if isinstance(event, PendingTransaction) and event.to in addresses]
