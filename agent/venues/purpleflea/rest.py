"""The venue's requests beside the WebSocket: reads, the safety switches, and cancelling when the socket is gone.

Reads are asked again after 429, a busy answer, or none, waiting as long as the venue says and a random bit more. What
changes something is sent once: whoever asked decides, with the truth read first, whether to send it again. A place in
particular is never sent a second time from here, since a lost answer is no proof that there is no order.

Answers to reads about orders come back as the bytes they are; `PurpleFleaProtocol.answer` makes events of them, given
when the question was asked. Text of the venue enters no message of ours, only codes made of letters.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from agent.core.instruments import Instrument
from agent.errors import OutcomeUnknown, ProtocolError, RateLimited, Rejected, SetupError
from agent.ports.clock import SYSTEM_CLOCK, Clock
from agent.ports.entropy import SYSTEM_ENTROPY, Entropy
from agent.ports.network import HttpAnswer, Network
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.markets import instrument_of
from agent.venues.purpleflea.pacing import Pacing
from agent.venues.purpleflea.wire import WireInstrument
from agent.venues.purpleflea.wire_orders import BalanceRow, PositionRow
from agent.venues.purpleflea.wire_types import Nanoseconds

PATHS = {
    "time": "/v1/time",
    "instruments": "/v1/instruments",
    "orders": "/v1/orders",
    "executions": "/v1/executions",
    "positions": "/v1/positions",
    "balances": "/v1/balances",
    "deadman": "/v1/deadman",
    "cod": "/v1/cod",
    "keys": "/v1/keys",
    "faucet": "/faucet/claim",
}
"""Where each thing lies by default; the sources of the real venue disagree, so the configuration may say otherwise."""
ATTEMPTS = 4
_JITTER_NS = 500_000_000
_PAUSE_NS = 250_000_000
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)
_BUSY = frozenset((500, 502, 503, 504))
_UNSURE = frozenset(("INTERNAL", "TIMEOUT"))
_Kind = TypeVar("_Kind")


class Page(msgspec.Struct, frozen=True):
    """Executions after a number, each as the frame that it was; `complete` is False where older ones are gone."""

    executions: list[msgspec.Raw]
    to_exec_seq: int
    last_exec_seq: int
    complete: bool


class Balances(msgspec.Struct, frozen=True):
    balances: list[BalanceRow]
    as_of_exec_seq: int


class Positions(msgspec.Struct, frozen=True):
    positions: list[PositionRow]
    as_of_exec_seq: int


class _Time(msgspec.Struct, frozen=True):
    server_ts_ns: Nanoseconds


class _Instruments(msgspec.Struct, frozen=True):
    instruments: list[WireInstrument]


class _Error(msgspec.Struct, frozen=True):
    error: str = ""
    code: str = ""


class PurpleFleaRest:
    """One account's requests. All raise SetupError (not reached), Rejected (a definite no), RateLimited, ProtocolError
    (an answer that cannot be read) or OutcomeUnknown (a change that may have been made)."""

    def __init__(
        self,
        network: Network,
        url: str,
        credentials: Credentials | None,
        *,
        paths: dict[str, str] | None = None,
        reads_per_minute: int = 60,
        timeout_s: float = 5.0,
        clock: Clock = SYSTEM_CLOCK,
        entropy: Entropy = SYSTEM_ENTROPY,
    ) -> None:
        self._network = network
        self._url = url.rstrip("/")
        self._credentials = credentials
        self._paths = {**PATHS, **(paths or {})}
        self._timeout_s = timeout_s
        self._clock = clock
        self._entropy = entropy
        self._pacing = Pacing(reads_per_minute)

    # Reads

    async def time_ns(self) -> int:
        """The venue's clock."""
        return _read(await self.get("time"), _Time).server_ts_ns

    async def instruments(self) -> tuple[Instrument, ...]:
        """All markets, as far as their terms make sense."""
        answer = await self.get("instruments")
        try:
            return tuple(instrument_of(one) for one in _read(answer, _Instruments).instruments)
        except ValueError as error:
            raise ProtocolError(f"an instrument that cannot be: {error}", peer="purpleflea") from None

    async def order(self, client_order_id: str) -> bytes:
        """An `order_state`, also where the order is not found."""
        return (await self.get("orders", f"/{quote(client_order_id, safe='')}")).body

    async def open_orders(self) -> bytes:
        return (await self.get("orders", query="?status=open")).body

    async def executions(self, after: int, limit: int = 1_000) -> Page:
        """What happened after an execution, oldest first."""
        return _read(await self.get("executions", query=f"?after={after}&limit={limit}"), Page)

    async def balances(self) -> Balances:
        return _read(await self.get("balances"), Balances)

    async def positions(self) -> Positions:
        return _read(await self.get("positions"), Positions)

    # Changes, each sent once

    async def place(self, body: bytes, client_order_id: str) -> bytes:
        """The frame that answers a `place_order`. OutcomeUnknown where an order may be there."""
        return (await self.change("POST", "orders", body=body, headers={"Idempotency-Key": client_order_id})).body

    async def cancel(self, client_order_id: str) -> bytes:
        return (await self.change("DELETE", "orders", f"/{quote(client_order_id, safe='')}")).body

    async def cancel_all(self) -> bytes:
        """Cancel everything behind a fence of the account: nothing sent before can appear afterwards."""
        return (await self.change("DELETE", "orders")).body

    async def deadman(self, timeout_ms: int) -> None:
        """Arm the dead-man for 5,000 to 120,000 ms, or disarm it with 0."""
        await self.change("POST", "deadman", body=msgspec.json.encode({"timeout_ms": timeout_ms}))

    async def cancel_on_disconnect(self, *, is_enabled: bool, grace_ms: int = 0) -> None:
        """For every later connection of the account."""
        body = {"enabled": is_enabled, "scope": "account", "grace_ms": grace_ms}
        await self.change("POST", "cod", body=msgspec.json.encode(body))

    # The ways there

    async def get(self, name: str, rest: str = "", query: str = "") -> HttpAnswer:
        """A read, asked up to four times. A 404 is an answer where a frame came with it."""
        problem: SetupError | OutcomeUnknown | ProtocolError | None = None
        for attempt in range(ATTEMPTS):
            await self._wait_ns(self._pacing.wait_ns(self._clock.monotonic_ns()))
            try:
                answer = await self._once("GET", name, rest + query, b"", {})
            except (SetupError, OutcomeUnknown) as error:
                problem, least_ns = error, _PAUSE_NS << attempt
            else:
                if answer.status == 200 or (answer.status == 404 and b'"order_state"' in answer.body):
                    return answer
                if answer.status != 429 and answer.status not in _BUSY:
                    raise _refused(answer, name)
                problem = _refused(answer, name)
                least_ns = max(_retry_after_ns(answer), _PAUSE_NS << attempt)
            if attempt + 1 < ATTEMPTS:
                await self._wait_ns(least_ns + self._entropy.below(_JITTER_NS))
        assert problem is not None
        raise problem

    async def change(
        self, method: str, name: str, rest: str = "", *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> HttpAnswer:
        """A request that changes something, sent once."""
        answer = await self._once(method, name, rest, body, headers or {})
        if answer.status in (200, 201, 204):
            return answer
        code = _code_of(answer)
        if answer.status in _BUSY or code.upper() in _UNSURE:
            if code == "OVERLOADED":
                raise _refused(answer, name)
            raise OutcomeUnknown(f"{name}: the venue answers {answer.status}; it may have been done", where=name)
        raise _refused(answer, name)

    async def _once(self, method: str, name: str, rest: str, body: bytes, more: dict[str, str]) -> HttpAnswer:
        headers = {"Accept": "application/json", **more}
        if body:
            headers["Content-Type"] = "application/json"
        if self._credentials is not None:
            headers |= self._credentials.headers()
        url = self._url + self._paths[name] + rest
        answer = await self._network.request(method, url, headers=headers, body=body, timeout_s=self._timeout_s)
        # In the simulated network names may come as they were written.
        answer = HttpAnswer(answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.body)
        self._pacing.heard(answer.headers, self._clock.monotonic_ns(), self._clock.wall_ns())
        return answer

    async def _wait_ns(self, wait_ns: int) -> None:
        if wait_ns > 0:
            await asyncio.sleep(wait_ns / 1e9)


def _read(answer: HttpAnswer, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ProtocolError(f"not a {kind.__name__.lower().strip('_')}", peer="purpleflea") from None


def _refused(answer: HttpAnswer, name: str) -> ProtocolError:
    code = _code_of(answer)
    message = f"{name}: the venue answers {answer.status} {code}".strip()
    if answer.status == 429:
        return RateLimited(message, retry_after_ms=_retry_after_ns(answer) // 1_000_000, peer="purpleflea")
    if answer.status in _BUSY and code != "OVERLOADED":
        return ProtocolError(message, peer="purpleflea", code=f"E_HTTP_{answer.status}")
    return Rejected(message, peer="purpleflea", code=code.upper() if code else f"E_HTTP_{answer.status}")


def _code_of(answer: HttpAnswer) -> str:
    """The venue's word for what is wrong, where it is one word."""
    try:
        found = msgspec.json.decode(answer.body, type=_Error)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    word = found.code or found.error
    return word if _CODE.fullmatch(word) else ""


def _retry_after_ns(answer: HttpAnswer) -> int:
    """What `Retry-After` asks for, at most an hour; 0 where it asks for nothing that can be read."""
    text: Any = answer.headers.get("retry-after", "")
    return min(int(text), 3_600) * 1_000_000_000 if text.isascii() and text.isdecimal() and len(text) < 10 else 0
