"""Several nodes as one: the first to deliver a head wins, and who lags or lies is left out and named.

Theory of operation. Each node has its own `HeadFeed` and with it its own consistent story. The merged story follows
the highest tip that a node in good standing tells; at equal height it stays where it is as long as one such node
holds its tip, so that two branches do not make it swing. A laggard (more than two blocks behind) is left out until
it has delivered three heads in time. A liar (wrong chain, a header whose hash is not that of its fields or that
breaks the fee rule, receipts that are not the header's) is left out for good: a person has to look at it.

All of it runs in one event loop; no state here is shared between threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias

import msgspec

from agent.chain.client import Rpc
from agent.chain.head_chain import Extend, HeadChain, NeedParent, Refuse, Rollback, Stop
from agent.chain.headers import Header
from agent.chain.heads import MAX_EVENTS, WRONG_CHAIN, FeedDown, FeedUp, HeadEvent, HeadFeed
from agent.chain.jsonrpc import RpcError, is_read
from agent.chain.logs import block_logs
from agent.chain.reconnect import Pauses
from agent.dex.pool import Log
from agent.errors import OutcomeUnknown, ProtocolError, SetupError

MAX_LAG_BLOCKS = 2
HEADS_TO_RECOVER = 3


class Standing(Enum):
    """What a node is good for at the moment."""

    DOWN = "down"
    UP = "up"
    LAGGING = "lagging"
    LEFT_OUT = "left out"


class NodeStatus(msgspec.Struct, frozen=True):
    """One node in the report."""

    name: str
    standing: Standing
    reason: str
    tip_number: int | None
    heads: int
    heads_first: int
    """Heads that no other node had delivered before."""
    disconnects: int
    refused: int


class NodeLeftOut(msgspec.Struct, frozen=True):
    """A node is not believed or not waited for any more; `is_final`: until a person has looked at it."""

    name: str
    reason: str
    is_final: bool


class NodeJoined(msgspec.Struct, frozen=True):
    """A node is in good standing: connected, or back from lagging."""

    name: str


NodesEvent: TypeAlias = HeadEvent | NodeLeftOut | NodeJoined


class _Node:
    def __init__(self, name: str, feed: HeadFeed) -> None:
        self.name = name
        self.feed = feed
        self.standing = Standing.DOWN
        self.reason = "not connected yet"
        self.heads = 0
        self.heads_first = 0
        self.disconnects = 0
        self.on_time = 0

    @property
    def tip(self) -> Header | None:
        return self.feed.chain.tip

    def status(self) -> NodeStatus:
        tip = self.tip
        return NodeStatus(
            name=self.name,
            standing=self.standing,
            reason=self.reason,
            tip_number=None if tip is None else tip.number,
            heads=self.heads,
            heads_first=self.heads_first,
            disconnects=self.disconnects,
            refused=self.feed.refused,
        )


class Nodes:
    """Start `run` as a task and read `events`; ask with `call` and `logs`."""

    def __init__(
        self,
        feeds: Mapping[str, HeadFeed],
        *,
        max_lag_blocks: int = MAX_LAG_BLOCKS,
        pauses: Pauses | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`feeds` by the names under which the nodes are reported, in order of preference."""
        if not feeds:
            raise ValueError("no node")
        self.events: asyncio.Queue[NodesEvent] = asyncio.Queue(MAX_EVENTS)
        self.chain = HeadChain()
        self._nodes = [_Node(name, feed) for name, feed in feeds.items()]
        self._max_lag_blocks = max_lag_blocks
        self._pauses = Pauses() if pauses is None else pauses
        self._pause = pause
        self._is_up = False

    def status(self) -> tuple[NodeStatus, ...]:
        """All nodes, in order of preference."""
        return tuple(node.status() for node in self._nodes)

    async def run(self) -> None:
        """Follows all nodes until none is left or cancelled. SetupError when every node is on another chain or lies."""
        tasks = [asyncio.ensure_future(work) for node in self._nodes for work in (self._drive(node), self._read(node))]
        drivers = tasks[::2]
        try:
            pending = set(tasks)
            while any(not driver.done() for driver in drivers):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        reasons = "; ".join(f"{node.name}: {node.reason}" for node in self._nodes)
        raise SetupError(f"no node is left: {reasons}", hint="correct the list of nodes")

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The answer of the first node in good standing; reads go on to the next where one fails to answer."""
        last: ProtocolError | OutcomeUnknown | None = None
        for _, rpc in self._reachable():
            try:
                return await rpc.call(method, params)
            except RpcError:
                raise
            except (ProtocolError, OutcomeUnknown) as error:
                last = error
                if not is_read(method):
                    raise
        raise last or ProtocolError("no node is reachable", method=method)

    async def logs(self, header: Header) -> tuple[Log, ...]:
        """The block's logs, on which two nodes agree where there are two; a dispute is settled by the receipts root.

        The node whose logs are not those of the header is left out for good.
        """
        asked = [(node, rpc) for node, rpc in self._reachable() if header.hash in node.feed.chain.headers][:2]
        answers = await asyncio.gather(*(_logs_or_error(rpc, header) for _, rpc in asked))
        good = [answer for answer in answers if not isinstance(answer, ProtocolError)]
        if len(good) == 1 or (len(good) == 2 and good[0] == good[1]):
            return good[0]
        if not good:
            raise next(iter(answers), None) or ProtocolError(f"no node has block {header.number}", method="eth_getLogs")  # type: ignore[misc] # all of them are errors here
        for (_, rpc), _ in zip(asked, answers, strict=True):
            try:
                proved = await block_logs(rpc, header, must_prove=True)
            except ProtocolError:
                continue
            for (node, _), answer in zip(asked, answers, strict=True):
                if answer != proved:
                    await self._leave_out(node, f"wrong logs of block {header.number}", is_final=True)
            return proved
        raise ProtocolError(f"nodes disagree on the logs of block {header.number}, and none proves its own")

    async def _drive(self, node: _Node) -> None:
        while True:
            connected_before = node.feed.connections
            try:
                await node.feed.run()
                await node.feed.events.join()  # the reader sees the Stop
                return
            except (ProtocolError, SetupError, OutcomeUnknown) as error:
                if error.code == WRONG_CHAIN or node.feed.refused:
                    await self._leave_out(node, error.message, is_final=True)
                    return
                node.reason = error.message
            await self._pause(self._pauses.next_s(had_connected=node.feed.connections > connected_before))

    async def _read(self, node: _Node) -> None:
        while True:
            event = await node.feed.events.get()
            if node.standing is not Standing.LEFT_OUT:
                await self._heard(node, event)
            node.feed.events.task_done()

    async def _heard(self, node: _Node, event: HeadEvent) -> None:
        match event:
            case Extend():
                await self._extended(node, event.header)
            case FeedUp():
                await self._joined(node)
            case FeedDown():
                node.disconnects += 1
                node.standing, node.reason = Standing.DOWN, event.reason
                if node.feed.refused:
                    await self._leave_out(node, event.reason, is_final=True)
            case Stop():
                await self._leave_out(node, event.reason, is_final=True)
            case Rollback():
                pass
        # A node's own steps come in a row; its tip counts only when they are all read.
        if node.feed.events.empty():
            await self._follow_best()
        await self._tell_connection(event)

    async def _extended(self, node: _Node, header: Header) -> None:
        node.heads += 1
        tip = self.chain.tip
        if header.hash not in self.chain.headers and (tip is None or header.number > tip.number):
            node.heads_first += 1
        lag = 0 if tip is None else tip.number - header.number
        node.on_time = node.on_time + 1 if lag <= 1 else 0
        if node.standing is Standing.LAGGING and node.on_time >= HEADS_TO_RECOVER:
            await self._joined(node)

    async def _joined(self, node: _Node) -> None:
        node.standing, node.reason = Standing.UP, ""
        await self.events.put(NodeJoined(node.name))

    async def _follow_best(self) -> None:
        good = [node for node in self._nodes if node.standing is Standing.UP and node.tip is not None]
        best = max(good, key=lambda node: _height(node.tip), default=None)
        if best is None or best.tip is None:
            return
        tip = self.chain.tip
        is_held = tip is not None and any(tip.hash in node.feed.chain.headers for node in good)
        if tip is None or _height(best.tip) > tip.number or not is_held:
            if tip is None:
                self.chain.seed(list(best.feed.chain.headers.values())[:-1])
            await self._move(best, best.tip)
        await self._judge_lag()

    async def _move(self, node: _Node, target: Header) -> None:
        is_known = target.hash in self.chain.headers
        steps = self.chain.rewind(target.hash) if is_known else self.chain.accept(target)
        while steps:
            wanted = None
            for step in steps:
                if isinstance(step, NeedParent):
                    wanted = step.hash
                elif isinstance(step, Refuse):
                    await self._leave_out(node, step.reason, is_final=True)
                else:
                    await self.events.put(step)
            if wanted is None:
                return
            parent = node.feed.chain.headers.get(wanted)
            if parent is None:
                self.chain.give_up()
                return
            steps = self.chain.provide(parent)

    async def _judge_lag(self) -> None:
        tip = self.chain.tip
        for node in self._nodes:
            if tip is None or node.standing is not Standing.UP or node.tip is None:
                continue
            lag = tip.number - node.tip.number
            if lag > self._max_lag_blocks:
                node.on_time = 0
                node.standing, node.reason = Standing.LAGGING, f"{lag} blocks behind"
                await self.events.put(NodeLeftOut(node.name, node.reason, is_final=False))

    async def _leave_out(self, node: _Node, reason: str, *, is_final: bool) -> None:
        if node.standing is Standing.LEFT_OUT:
            return
        node.standing, node.reason = Standing.LEFT_OUT, reason
        await self.events.put(NodeLeftOut(node.name, reason, is_final=is_final))

    async def _tell_connection(self, event: HeadEvent) -> None:
        is_up = any(node.standing is Standing.UP for node in self._nodes)
        if is_up and not self._is_up:
            await self.events.put(FeedUp(next(n.name for n in self._nodes if n.standing is Standing.UP)))
        if self._is_up and not is_up:
            await self.events.put(FeedDown(event.reason if isinstance(event, FeedDown | Stop) else "no node is up"))
        self._is_up = is_up

    def _reachable(self) -> list[tuple[_Node, Rpc]]:
        return [
            (node, node.feed.rpc) for node in self._nodes if node.standing is Standing.UP and node.feed.rpc is not None
        ]


def _height(header: Header | None) -> int:
    return -1 if header is None else header.number


async def _logs_or_error(rpc: Rpc, header: Header) -> tuple[Log, ...] | ProtocolError:
    try:
        return await block_logs(rpc, header)
    except ProtocolError as error:
        return error
