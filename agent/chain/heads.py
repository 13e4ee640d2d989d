"""Heads from one node, as blocks added and taken back, over a connection that may break at any moment.

Theory of operation. `run` connects, checks the chain id (every time: a name may lead elsewhere tomorrow), subscribes
to `newHeads`, and announces the node's latest block, so that whatever passed while there was no connection is filled
by hash. Each header goes through `HeadChain`; the steps go into `events`, a bounded queue, in order. A connection
that ends, that breaks the protocol, or that is silent for one and a half slots is given up; after a jittered pause
there is another. A node without subscriptions (plain HTTP) is asked for its latest block instead.

Durations are seconds where asyncio wants them, else as named.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from agent.chain.client import Rpc
from agent.chain.head_chain import Extend, HeadChain, NeedParent, Refuse, Rollback, Step, Stop
from agent.chain.headers import Header, WireHeader, header_from_wire
from agent.chain.reconnect import Pauses
from agent.chain.stream import StreamRpc
from agent.errors import OutcomeUnknown, ProtocolError, SetupError
from agent.eth.hexes import from_quantity, to_data
from agent.eth.units import Hash32

Connect: TypeAlias = Callable[[], Awaitable[Rpc]]
"""Opens a connection to the node: WebSocket, IPC or HTTP."""

SLOT_MS = 12_000
POLL_MS = 500
MAX_EVENTS = 1_024
MAX_UNREAD_HEADERS = 256
"""Older ones are dropped unread: the newest leads back to them by hash."""
FINALIZED_EVERY_BLOCKS = 32
WRONG_CHAIN = "E_WRONG_CHAIN"


class FeedUp(msgspec.Struct, frozen=True):
    """There is a connection, and the chain is known up to the node's latest block."""

    peer: str


class FeedDown(msgspec.Struct, frozen=True):
    """There is no connection; what is known grows stale from here on."""

    reason: str


HeadEvent: TypeAlias = Extend | Rollback | FeedUp | FeedDown | Stop


class HeadFeed:
    """Heads of one node. Start `run` as a task and read `events` until a Stop, which is the last."""

    def __init__(
        self,
        connect: Connect,
        *,
        chain_id: int,
        chain: HeadChain | None = None,
        slot_ms: int | None = SLOT_MS,
        poll_ms: int = POLL_MS,
        must_prove: bool = True,
        seed_blocks: int = 0,
        jitter: random.Random | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`slot_ms` None: the chain has no rhythm (a devnet), silence says nothing. `must_prove`: refuse headers whose
        hash is not that of their fields. `seed_blocks`: ancestors to read at the start, so that a reorg below the
        first head can be followed."""
        self.events: asyncio.Queue[HeadEvent] = asyncio.Queue(MAX_EVENTS)
        self.chain = HeadChain() if chain is None else chain
        self.connections = 0
        self.refused = 0
        """Headers that were malformed, unproved or against the rules."""
        self.rpc: Rpc | None = None
        """The connection while there is one, for questions about the heads it told."""
        self._connect = connect
        self._chain_id = chain_id
        self._silence_s = None if slot_ms is None else 1.5 * slot_ms / 1_000
        self._poll_s = poll_ms / 1_000
        self._must_prove = must_prove
        self._seed_blocks = seed_blocks
        self._pauses = Pauses(jitter)
        self._pause = pause
        self._unread: deque[WireHeader] = deque(maxlen=MAX_UNREAD_HEADERS)
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Follows the node until a Stop or cancellation. SetupError where the very first connection fails."""
        while True:
            connected_before = self.connections
            try:
                rpc = await self._connect()
                try:
                    await self._follow(rpc)
                finally:
                    self.rpc = None
                    await rpc.close()
                return
            except (ProtocolError, SetupError, OutcomeUnknown) as error:
                if self.connections == 0:
                    raise
                await self.events.put(FeedDown(error.message))
            await self._pause(self._pauses.next_s(had_connected=self.connections > connected_before))

    async def _follow(self, rpc: Rpc) -> None:
        """Returns after a Stop; every other end is an error."""
        if not await self._is_our_chain(rpc):
            return
        self._unread.clear()
        self._wake.clear()
        if isinstance(rpc, StreamRpc):
            await rpc.subscribe(["newHeads"], WireHeader, self._header_arrived)
        latest = await _block(rpc, "eth_getBlockByNumber", "latest")
        if latest is None:
            raise ProtocolError("the node has no latest block", peer=rpc.peer)
        if self._seed_blocks and not self.chain.headers:
            await self._seed(rpc, latest)
        if not await self._take(rpc, latest):
            return
        self.connections += 1
        self.rpc = rpc
        await self.events.put(FeedUp(rpc.peer))
        if isinstance(rpc, StreamRpc):
            await self._listen(rpc)
        else:
            await self._poll(rpc)

    async def _listen(self, rpc: StreamRpc) -> None:
        closed = asyncio.ensure_future(rpc.wait_closed())
        closed.add_done_callback(lambda _: self._wake.set())
        try:
            while True:
                try:
                    async with asyncio.timeout(self._silence_s):
                        await self._wake.wait()
                except TimeoutError:
                    raise ProtocolError(f"no head for {self._silence_s:g} s", peer=rpc.peer) from None
                self._wake.clear()
                while self._unread:
                    if not await self._take(rpc, self._unread.popleft()):
                        return
                if closed.done():
                    raise ProtocolError(f"the connection ended: {closed.result()}", peer=rpc.peer)
        finally:
            closed.cancel()

    async def _poll(self, rpc: Rpc) -> None:
        while True:
            await self._pause(self._poll_s)
            latest = await _block(rpc, "eth_getBlockByNumber", "latest")
            if latest is not None and not await self._take(rpc, latest):
                return

    def _header_arrived(self, wire: WireHeader, _: bytes) -> None:
        self._unread.append(wire)
        self._wake.set()

    async def _is_our_chain(self, rpc: Rpc) -> bool:
        answer = await rpc.call("eth_chainId")
        try:
            chain_id = from_quantity(answer)
        except (ValueError, AttributeError):
            raise ProtocolError(f"not a chain id: {str(answer)[:40]}", peer=rpc.peer, method="eth_chainId") from None
        if chain_id == self._chain_id:
            return True
        reason = f"{rpc.peer} is on chain {chain_id}, not {self._chain_id}"
        if self.connections == 0:
            raise SetupError(reason, code=WRONG_CHAIN, hint="check the node's URL against the configured chain")
        await self.events.put(Stop(reason))
        return False

    async def _take(self, rpc: Rpc, wire: WireHeader) -> bool:
        """Brings the chain to this head and tells the steps; False after a Stop."""
        header = self._header(rpc, wire)
        tip = self.chain.tip
        if tip is not None and header.hash != tip.hash and header.hash in self.chain.headers:
            return await self._told_again(rpc)
        return await self._move(rpc, self.chain.accept(header))

    async def _told_again(self, rpc: Rpc) -> bool:
        """A block below the tip was announced: late, repeated, or the chain has gone back to it. The node knows."""
        latest = await _block(rpc, "eth_getBlockByNumber", "latest")
        if latest is None:
            return True
        header = self._header(rpc, latest)
        if header.hash in self.chain.headers:
            return await self._move(rpc, self.chain.rewind(header.hash))
        return await self._move(rpc, self.chain.accept(header))

    async def _move(self, rpc: Rpc, steps: tuple[Step, ...]) -> bool:
        while True:
            for step in steps:
                if isinstance(step, Refuse):
                    self.refused += 1
                    raise ProtocolError(step.reason, peer=rpc.peer, hint="this node contradicts itself; use another")
                if not isinstance(step, NeedParent):
                    await self.events.put(step)
                if isinstance(step, Extend) and step.header.number % FINALIZED_EVERY_BLOCKS == 0:
                    await self._learn_finalized(rpc)
                if isinstance(step, Stop):
                    return False
            wanted = _wanted(steps)
            if wanted is None:
                return True
            parent = await _block(rpc, "eth_getBlockByHash", to_data(wanted))
            if parent is None:
                # The node has moved to another branch since it announced this one; it will announce that, too.
                self.chain.give_up()
                return True
            header = self._header(rpc, parent)
            if header.hash != wanted:
                self.refused += 1
                raise ProtocolError("a block of another hash than was asked for", peer=rpc.peer)
            steps = self.chain.provide(header)

    async def _seed(self, rpc: Rpc, latest: WireHeader) -> None:
        """Up to `seed_blocks` ancestors, each by the hash that its child names."""
        headers: list[Header] = []
        child = self._header(rpc, latest)
        while len(headers) < self._seed_blocks and child.number > 0:
            wire = await _block(rpc, "eth_getBlockByHash", to_data(child.parent_hash))
            if wire is None:
                break  # a pruned or forked node: reorgs are followed as far as is known
            child = self._header(rpc, wire)
            headers.append(child)
        self.chain.seed(headers[::-1])

    async def _learn_finalized(self, rpc: Rpc) -> None:
        """Nodes without a notion of finality answer with an error, which is no fault."""
        try:
            wire = await _block(rpc, "eth_getBlockByNumber", "finalized")
        except ProtocolError:
            return
        if wire is not None:
            self.chain.finalize(self._header(rpc, wire).number)

    def _header(self, rpc: Rpc, wire: WireHeader) -> Header:
        try:
            header = header_from_wire(wire)
        except ValueError as error:
            self.refused += 1
            raise ProtocolError(f"a malformed header: {error}", peer=rpc.peer) from error
        if self._must_prove and not header.is_proved:
            self.refused += 1
            raise ProtocolError(
                f"the hash of block {header.number} is not that of its fields",
                peer=rpc.peer,
                hint="this node lies, or the chain has header fields that this version does not know",
            )
        return header


_maybe_header: msgspec.json.Decoder[Any] = msgspec.json.Decoder(WireHeader | None)


async def _block(rpc: Rpc, method: str, which: str) -> WireHeader | None:
    wire: WireHeader | None = await rpc.call(method, [which, False], decoder=_maybe_header)
    return wire


def _wanted(steps: tuple[Step, ...]) -> Hash32 | None:
    return next((step.hash for step in steps if isinstance(step, NeedParent)), None)
