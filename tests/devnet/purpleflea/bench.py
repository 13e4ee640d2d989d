"""The venue without sockets on a clock that the test moves: what it says is a list."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from agent.devnet.purpleflea import AccountKeys, Fault, Terms, Venue
from agent.devnet.purpleflea.faults import read_faults
from agent.devnet.purpleflea.rest import HttpRequest

START_WALL_NS = 1_790_000_000_000_000_000
MS = 1_000_000
SECOND = 1_000 * MS

Frame = dict[str, Any]


class StandingClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.ns = 1_000 * SECOND

    def monotonic_ns(self) -> int:
        return self.ns

    def wall_ns(self) -> int:
        return START_WALL_NS + self.ns


class Client:
    """One connection of one key, with everything it was sent."""

    def __init__(self, bench: Bench, conn_id: int, account: str) -> None:
        self.bench = bench
        self.conn_id = conn_id
        self.account = account
        self.epoch = 0
        self.raw: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.is_aborted = False
        self.stalled: str = ""
        self._seen = 0

    def say(self, action: str, **fields: Any) -> list[Frame]:
        """Send one request; what came back at once."""
        before = len(self.raw)
        self.bench.venue.exchange.receive(self.conn_id, json.dumps({"action": action, **fields}))
        return [json.loads(data) for data in self.raw[before:]]

    def place(
        self, name: str, side: str = "buy", qty: str = "0.010", price: str | None = "60000.0", **more: Any
    ) -> list[Frame]:
        """A limit order on BTC-USDC unless said otherwise."""
        fields = {
            "client_order_id": name, "symbol": "BTC-USDC", "side": side, "quantity": qty, "type": "limit",
            "session_epoch": self.epoch, **more,
        }  # fmt: skip
        if price is not None:
            fields["price"] = price
        return self.say("place_order", **fields)

    def news(self, *kinds: str) -> list[Frame]:
        """What came since the last call, of these kinds or all but pings."""
        fresh = [json.loads(data) for data in self.raw[self._seen :]]
        self._seen = len(self.raw)
        return [frame for frame in fresh if (frame["type"] in kinds if kinds else frame["type"] != "ping")]

    def drop(self) -> None:
        """The connection breaks."""
        self.bench.venue.exchange.gone(self.conn_id)


class Bench:
    """A venue, its clock, and its clients. No flow unless `events_per_s` says so."""

    def __init__(
        self,
        *,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        terms: Terms | None = None,
        seed: int = 1,
        events_per_s: float = 0,
    ) -> None:
        self.clock = StandingClock()
        self.clients: dict[int, Client] = {}
        self.venue = Venue(self, self.clock, seed=seed, terms=terms, faults=faults, events_per_s=events_per_s)
        self.venue.open()
        self.engine = self.venue.floor.engine
        self.keys: dict[str, AccountKeys] = {}

    def account(self, funds: str = "100000") -> AccountKeys:
        keys = self.venue.create_account(funds=funds)
        self.keys[keys.agent_id] = keys
        return keys

    def faults(self, *faults: Mapping[str, Any]) -> None:
        """Put faults in now."""
        for fault in read_faults(faults):
            self.venue.faults.add(fault)

    def account_of(self, client: Client) -> str:
        return client.account

    def keys_of(self, client: Client) -> AccountKeys:
        return self.keys[client.account]

    def secret_of(self, client: Client) -> str:
        return self.keys_of(client).trade.secret

    def books_of(self, client: Client) -> Any:
        return self.venue.books()["accounts"][client.account]

    def position(self, client: Client) -> str | None:
        """The account's position in the venue's own books; None where it never had one."""
        frame = self.venue.floor.account_frame(self.venue.floor.members[client.account])
        return next((row["qty"] for row in frame["positions"]), None)

    def login(self, secret: str, *, subscribe: bool = True, **headers: str) -> Client:
        """Connect; with `subscribe` also to the account's own frames, and forget what that said."""
        own = {"x-api-key": secret, **{name.replace("_", "-"): value for name, value in headers.items()}}
        key = self.venue.exchange.admit(own, "127.0.0.1")
        client = Client(self, len(self.clients) + 1, key.account)
        self.clients[client.conn_id] = client
        self.venue.exchange.open(client.conn_id, key, own)
        if client.raw:
            client.epoch = json.loads(client.raw[0])["session_epoch"]
        if subscribe:
            client.say("subscribe", channels=["orders"], symbols=[])
            client.news()
        return client

    def trader(self, funds: str = "100000") -> Client:
        """A new account's trade connection."""
        return self.login(self.account(funds).trade.secret)

    def pass_time(self, ns: int) -> None:
        """Let time go by, doing each appointment at its own instant."""
        end = self.clock.ns + ns
        while (due := self.venue.timers.next_ns()) is not None and due <= end:
            self.clock.ns = max(self.clock.ns, due)
            self.venue.timers.run(self.clock.ns)
        self.clock.ns = end

    def http(self, method: str, path: str, secret: str | None = None, body: Any = None, **more: Any) -> tuple[int, Any]:
        """(status, decoded body) of one request."""
        path, _, query = path.partition("?")
        headers = {"x-api-key": secret} if secret else {}
        answer = self.venue.rest.respond(
            HttpRequest(
                method=method,
                path=path,
                query=dict(pair.split("=") for pair in query.split("&") if pair),
                headers={**headers, **more.get("headers", {})},
                body=b"" if body is None else json.dumps(body).encode(),
                ip=more.get("ip", "127.0.0.1"),
            )
        )
        self.headers = answer.headers
        return answer.status, json.loads(answer.body)

    def send(self, conn_id: int, data: bytes) -> None:
        client = self.clients[conn_id]
        if client.closed is None and not client.is_aborted:
            client.raw.append(data)

    def close(self, conn_id: int, code: int, reason: str) -> None:
        self.clients[conn_id].closed = self.clients[conn_id].closed or (code, reason)

    def abort(self, conn_id: int) -> None:
        self.clients[conn_id].is_aborted = True

    def stall(self, conn_id: int, *, is_reading_too: bool) -> None:
        self.clients[conn_id].stalled = "both" if is_reading_too else "writing"

    def resume(self, conn_id: int) -> None:
        self.clients[conn_id].stalled = ""


def kinds(frames: list[Frame]) -> list[str]:
    return [frame["type"] for frame in frames]
