"""The way in for signals: a socket in the run's folder, which bounded numbers come through and nothing else.

Theory of operation. Whoever thinks slowly (a model, an agent, a person's script) connects, sends one line of JSON for a
signal and gets one line back for it: let in, or the code of the refusal, which is the core's own. Each line is an event:
written down, stepped, and replayed with the journal. The socket lies in a folder of the agent's own user and is for that
user alone.

Nothing here waits for a sender. Lines come in the loop's callback, as frames of the venue do, and one costs a step of the
core; so there are so many a second for all senders together, and what is above is answered at once, counted, and told to
the core as one event a second. A sender that does not read its answers, sends an endless line, or falls silent is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import msgspec

from agent.core.codes import Code
from agent.core.effects.orders import Refuse
from agent.core.events import Event, Stamp
from agent.core.events.market import SignalIn
from agent.core.step import Core
from agent.engine.short_names import short_name
from agent.engine.signal_wire import ANSWER_SCHEMA, LINE_BYTES_MAX, Answer, Ask, read, unreadable
from agent.engine.venue_shell import VenueShell
from agent.ports.clock import Clock

SOCKET_NAME = "signals.sock"
MARKET_SCHEMA = "mev-agent/signal-market/1"
SENDERS_MAX = 16
LINES_PER_S = 200
"""Of all senders together; the budgets of producers lie below it."""
SILENT_S = 120.0
UNREAD_BYTES_MAX = 64 * 1024
SECOND_NS = 1_000_000_000


class Door:
    """Steps what comes in, and answers. One for a run."""

    name = "signals"

    def __init__(self, shell: VenueShell, keys: Mapping[str, bytes | None], clock: Clock) -> None:
        self._shell = shell
        self._keys = dict(keys)
        self._clock = clock
        self._refusals: list[Refuse] | None = None
        """Filled while a line is stepped."""
        self._second = 0
        self._lines = 0
        self._dropped = 0
        self.senders: set[Sender] = set()
        shell.join(self)

    def on_event(self, event: Event, core: Core, stamp: Stamp) -> Iterable[Event]:
        """No strategy: it has no wishes of its own."""
        return ()

    def on_refused(self, refusal: Refuse) -> None:
        """The core's word, which the sender of the line is waiting for."""
        if self._refusals is not None:
            self._refusals.append(refusal)

    def answer(self, line: bytes) -> bytes:
        """One line in, one line out."""
        if self._is_above_rate(line):
            return _encode(Answer(schema=ANSWER_SCHEMA, signal_id="", ok=False, code=Code.SIGNAL_BUDGET, detail=_RATE))
        asked = read(line, self._keys)
        return self._market(asked.symbol) if isinstance(asked, Ask) else _encode(self._take(asked))

    def refuse(self, line: bytes, problem: str) -> bytes:
        """A line that is refused before its end."""
        if self._is_above_rate(line):
            return _encode(Answer(schema=ANSWER_SCHEMA, signal_id="", ok=False, code=Code.SIGNAL_BUDGET, detail=_RATE))
        return _encode(self._take(unreadable(line, problem)))

    def close(self) -> None:
        """Nothing comes in any more; what was above the rate in the last second is still told."""
        self._tell_dropped()
        for sender in tuple(self.senders):
            sender.drop()

    def _take(self, signal: SignalIn) -> Answer:
        """Step it; what the core said of it."""
        desk = self._shell.core.desk
        assert desk is not None
        seen, live = desk.signals.state.admission.seen, desk.orders.state.next_counter
        was_seen = signal.signal_id in seen
        refusals = self._refusals = []
        self._shell.tell(signal)
        self._refusals = None
        if self._shell.stepper.broken is not None:
            return Answer(schema=ANSWER_SCHEMA, signal_id=signal.signal_id, ok=False, code="E_CORE_STOPPED")
        mine = next((one for one in refusals if one.subject == signal.signal_id), None)
        is_in = not was_seen and signal.signal_id in seen
        return Answer(
            schema=ANSWER_SCHEMA,
            signal_id=signal.signal_id,
            ok=is_in,
            code="" if is_in or mine is None else mine.code,
            detail="" if mine is None else mine.detail,
            seq=self._shell.stepper.last.seq,
            orders=desk.orders.state.next_counter - live,
            unmet=mine.code if is_in and mine is not None else "",
        )

    def _market(self, symbol: str) -> bytes:
        """What a producer needs for a signal in this symbol. It changes nothing, so it is no event."""
        desk = self._shell.core.desk
        assert desk is not None
        market = desk.state.markets.look(symbol)
        if market.instrument is None:
            answer = Answer(
                schema=ANSWER_SCHEMA, signal_id="", ok=False, code=Code.UNKNOWN_INSTRUMENT, detail="not defined"
            )
            return _encode(answer)
        instrument, book, seqs = market.instrument, market.book, desk.state.markets.arrivals.seqs
        return msgspec.json.encode(
            {
                "schema": MARKET_SCHEMA,
                "ok": True,
                "symbol": symbol,
                "input_seq": seqs[-1] if seqs else 0,
                "wall_ns": self._clock.wall_ns(),
                "tick": instrument.tick,
                "lot": instrument.lot,
                "min_lots": instrument.min_lots,
                "max_lots": instrument.max_lots,
                "bid_ticks": book.best_bid_ticks if book.is_good else None,
                "ask_ticks": book.best_ask_ticks if book.is_good else None,
                "position_lots": desk.state.accounts.lots(symbol),
            }
        )

    def _is_above_rate(self, line: bytes) -> bool:
        second = self._clock.monotonic_ns() // SECOND_NS
        if second != self._second:
            self._tell_dropped()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= LINES_PER_S:
            return False
        self._dropped += 1
        return True

    def _tell_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._take(unreadable(b"", f"{dropped} lines above {LINES_PER_S} in a second"))


_RATE = f"more than {LINES_PER_S} lines in a second, of all senders together"


class Sender(asyncio.Protocol):
    """One connection: lines in, answers out."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport | None = None
        self._heard = b""
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of another loop than asyncio's own it is one by its methods and not by its class.
        self._transport = transport = cast(asyncio.Transport, transport)
        if len(self._door.senders) >= SENDERS_MAX:
            answer = Answer(
                schema=ANSWER_SCHEMA, signal_id="", ok=False, code=Code.SIGNALS_FULL, detail=f"{SENDERS_MAX} senders"
            )
            transport.write(_encode(answer) + b"\n")
            self.drop()
            return
        self._door.senders.add(self)
        self._rest()

    def data_received(self, data: bytes) -> None:
        self._rest()
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            if line.strip() and not self._say(self._door.answer(line)):
                return
        if len(self._heard) > LINE_BYTES_MAX:
            self._say(self._door.refuse(self._heard, f"longer than {LINE_BYTES_MAX} bytes"))
            self.drop()

    def eof_received(self) -> bool:
        """The sender has said all: what it said without an end is refused, and its answers still go out."""
        if self._heard.strip():
            self._say(self._door.refuse(self._heard, "no end of the line"))
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._door.senders.discard(self)
        if self._idle is not None:
            self._idle.cancel()

    def drop(self) -> None:
        self._heard = b""
        if self._transport is not None:
            self._transport.close()

    def _say(self, answer: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(answer + b"\n")
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            transport.abort()
            return False
        return True

    def _rest(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(SILENT_S, self.drop)


@asynccontextmanager
async def signal_door(
    folder: Path, shell: VenueShell, keys: Mapping[str, bytes | None], clock: Clock, say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Take signals while the block runs. Without producers there is no socket; without a place for it, none either."""
    if not keys:
        yield
        return
    door = Door(shell, keys, clock)
    try:
        listener = _listen(folder)
    except OSError as error:
        say(f"no signals are taken: {error.strerror}")
        yield
        return
    server = await asyncio.get_running_loop().create_unix_server(lambda: Sender(door), sock=listener)
    say(f"  signals  {', '.join(sorted(keys))} by {folder / SOCKET_NAME}")
    try:
        yield
    finally:
        server.close()
        door.close()
        with contextlib.suppress(OSError):
            os.unlink(folder / SOCKET_NAME)


def _listen(folder: Path) -> socket.socket:
    """The socket, for the agent's own user from its first moment on; one of an earlier run is replaced."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder / SOCKET_NAME)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    mask = os.umask(0o177)
    try:
        with short_name(folder, SOCKET_NAME) as path:
            listener.bind(path)
        listener.listen(SENDERS_MAX)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


def _encode(answer: Answer) -> bytes:
    return msgspec.json.encode(answer)
