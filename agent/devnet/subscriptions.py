"""Who listens to the devnet's node and for what: `eth_subscribe`, and the older polled filters.

Events are encoded once and handed to every listener. A listener that does not keep up is dropped, as geth does, so
that nobody's slowness holds up the chain; a dropped one is told by the end of its connection, never by silence.
Wire shapes: Ethereum execution API and go-ethereum eth/filters.
"""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from agent.errors import Rejected

EVENTS_WAITING_MAX = 20_000
"""Per filter; a poller that leaves more than this behind has gone."""
FILTERS_MAX = 1_000
ADDRESSES_MAX = 1_000
TOPICS_MAX = 4

_encode = msgspec.json.encode


class Kind(Enum):
    """What a listener hears."""

    HEADS = "newHeads"
    PENDING = "newPendingTransactions"
    PENDING_FULL = "newPendingTransactions, full"
    LOGS = "logs"


class LogCriteria(msgspec.Struct, frozen=True):
    """Which logs: any of the addresses, and at each position any of the topics (None: all)."""

    addresses: frozenset[str] | None
    topics: tuple[frozenset[str] | None, ...]

    @classmethod
    def parse(cls, criteria: Any) -> LogCriteria:
        """From the object of `eth_subscribe` or `eth_newFilter`; Rejected for anything malformed."""
        if not isinstance(criteria, dict):
            raise Rejected("invalid filter: not an object")
        address = criteria.get("address")
        addresses = None
        if address is not None:
            addresses = _texts([address] if isinstance(address, str) else address, size=42, maximum=ADDRESSES_MAX)
        topics = criteria.get("topics") or []
        if not isinstance(topics, list) or len(topics) > TOPICS_MAX:
            raise Rejected("invalid filter: topics is not a list of at most four")
        positions = tuple(
            None
            if topic is None or topic == []
            else _texts([topic] if isinstance(topic, str) else topic, size=66, maximum=ADDRESSES_MAX)
            for topic in topics
        )
        return cls(addresses=addresses or None, topics=positions)

    def matches(self, log: Mapping[str, Any]) -> bool:
        """`log` as JSON-RPC shows it, lower case."""
        if self.addresses is not None and log["address"] not in self.addresses:
            return False
        topics: Sequence[str] = log["topics"]
        return len(topics) >= len(self.topics) and all(
            wanted is None or topic in wanted for wanted, topic in zip(self.topics, topics, strict=False)
        )


def _texts(values: Any, *, size: int, maximum: int) -> frozenset[str]:
    if not isinstance(values, list) or len(values) > maximum:
        raise Rejected("invalid filter: not a list, or too long")
    for value in values:
        if not isinstance(value, str) or len(value) != size or not value.startswith("0x"):
            raise Rejected(f"invalid filter: {value!s:.80} is not hex of {size // 2 - 1} bytes")
    return frozenset(value.lower() for value in values)


class _Listener(msgspec.Struct):
    kind: Kind
    criteria: LogCriteria | None
    deliver: Callable[[bytes], None]


class Subscriptions:
    """The listeners of one devnet. `deliver` callbacks take an encoded result and must not block."""

    def __init__(self) -> None:
        self._listeners: dict[str, _Listener] = {}
        self._filters: dict[str, deque[bytes]] = {}
        self._filter_ids = itertools.count(1)

    def __len__(self) -> int:
        return len(self._listeners)

    def hears(self, kind: Kind) -> bool:
        """Whether anybody listens for it, so that nothing is fetched for nobody."""
        return any(listener.kind is kind for listener in self._listeners.values())

    def subscribe(self, params: Sequence[Any], deliver: Callable[[str, bytes], None]) -> str:
        """Serve an `eth_subscribe` request; the new subscription's id. Rejected for an unknown kind."""
        name = params[0] if params else None
        if name == "newHeads":
            kind, criteria = Kind.HEADS, None
        elif name == "newPendingTransactions":
            is_full = len(params) > 1 and params[1] is True
            kind, criteria = (Kind.PENDING_FULL if is_full else Kind.PENDING), None
        elif name == "logs":
            kind, criteria = Kind.LOGS, LogCriteria.parse(params[1] if len(params) > 1 else {})
        else:
            raise Rejected(f"no subscription is called {name!s:.60}; there are newHeads, newPendingTransactions, logs")
        identity = "0x" + secrets.token_hex(16)
        self._listeners[identity] = _Listener(kind, criteria, lambda result: deliver(identity, result))
        return identity

    def unsubscribe(self, identity: Any) -> bool:
        """False if there is no such subscription."""
        return self._listeners.pop(identity, None) is not None if isinstance(identity, str) else False

    def new_filter(self, kind: Kind, criteria: LogCriteria | None = None) -> str:
        """A polled filter; its id."""
        if len(self._filters) >= FILTERS_MAX:
            raise Rejected(f"{FILTERS_MAX} filters are installed; uninstall some")
        identity = hex(next(self._filter_ids))
        waiting: deque[bytes] = deque()

        def deliver(event: bytes) -> None:
            if len(waiting) >= EVENTS_WAITING_MAX:
                self.uninstall_filter(identity)
            waiting.append(event)

        self._filters[identity] = waiting
        self._listeners[identity] = _Listener(kind, criteria, deliver)
        return identity

    def filter_changes(self, identity: Any) -> bytes:
        """What a filter heard since the last time, as a JSON list; Rejected if it is not (or no longer) installed."""
        waiting = self._filters.get(identity) if isinstance(identity, str) else None
        if waiting is None:
            raise Rejected("filter not found")
        events = b"[" + b",".join(waiting) + b"]"
        waiting.clear()
        return events

    def uninstall_filter(self, identity: Any) -> bool:
        """False if there was none."""
        if not isinstance(identity, str) or self._filters.pop(identity, None) is None:
            return False
        self._listeners.pop(identity, None)
        return True

    def publish_pending(self, transaction: Mapping[str, Any]) -> None:
        """A transaction entered the mempool; `transaction` as JSON-RPC shows it."""
        hash_text: bytes | None = None
        full: bytes | None = None
        for listener in tuple(self._listeners.values()):
            if listener.kind is Kind.PENDING:
                hash_text = hash_text or _encode(transaction["hash"])
                listener.deliver(hash_text)
            elif listener.kind is Kind.PENDING_FULL:
                full = full or _encode(transaction)
                listener.deliver(full)

    def publish_head(self, header: Mapping[str, Any]) -> None:
        """A block became the head. Filters hear its hash, subscriptions the header."""
        encoded, hash_text = _encode(header), _encode(header["hash"])
        for identity, listener in tuple(self._listeners.items()):
            if listener.kind is Kind.HEADS:
                listener.deliver(hash_text if identity in self._filters else encoded)

    def publish_logs(self, logs: Iterable[Mapping[str, Any]], *, is_removed: bool) -> None:
        """Logs of a block that became part of the chain, or (removed) that a reorganisation took out."""
        listeners = [listener for listener in self._listeners.values() if listener.kind is Kind.LOGS]
        for log in logs:
            encoded = _encode({**log, "removed": is_removed})
            for listener in listeners:
                if listener.criteria is not None and listener.criteria.matches(log):
                    listener.deliver(encoded)
