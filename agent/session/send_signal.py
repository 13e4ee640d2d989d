"""`mev-agent signal`: one bounded wish to a running agent, as any program may send it, and what the agent said."""

from __future__ import annotations

import json
import re
import secrets
import socket
from pathlib import Path
from typing import Any

import msgspec

from agent.core.instruments import Side, Step
from agent.engine.short_names import short_name
from agent.engine.signal_door import SOCKET_NAME
from agent.engine.signal_wire import WireSignal, signed
from agent.errors import AgentError, Halted, OutcomeUnknown, ProtocolError, RiskRefused, SetupError, UsageError
from agent.requests import Answer, Say
from agent.session.named_secret import secret_of
from agent.session.runs import RUNS_FOLDER
from agent.venues.purpleflea import decimals

WAIT_S = 3.0
ANSWER_BYTES_MAX = 64 * 1024
SECOND_NS = 1_000_000_000
_SPAN = re.compile(r"([1-9][0-9]{0,5})(s|m)?", re.ASCII)
_HALTED = frozenset(("R_HALTED", "R_KILLED", "E_CORE_STOPPED"))


class SignalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command was given; prices, quantities and the span of time are the texts of a person."""

    symbol: str
    side: str
    quantity: str
    limit_price: str
    expires: str
    urgency: int
    max_slippage_ppm: int
    producer: str
    key: str | None
    signal_id: str | None
    input_seq: int | None
    target: str | None
    folder: Path | None


def send(request: SignalRequest, say: Say) -> Answer:
    """Send it. Raises RiskRefused with the core's code where it was not let in, Halted where nothing goes out at all,
    SetupError where no run takes signals, OutcomeUnknown where it was sent and no answer came."""
    place = request.folder if request.folder is not None else _newest()
    life_ns = _span_ns(request.expires)
    key = None if request.key is None else secret_of(request.key, key="--key").encode()
    with _connected(place) as connection:
        heard = connection.makefile("rb")
        market = _asked(connection, heard, {"ask": "market", "symbol": request.symbol}, is_change=False)
        if not market.get("ok"):
            raise _refused(market)
        wire = _wire(request, market, life_ns)
        if key is not None:
            wire = signed(wire, key)
        say(f"{request.side} {wire.lots} lots of {wire.symbol} at {wire.limit_ticks} ticks, signal {wire.signal_id}")
        answer = _asked(connection, heard, msgspec.to_builtins(wire), is_change=True)
    if not answer.get("ok"):
        raise _refused(answer)
    data = {"run": str(place), "signal": msgspec.to_builtins(msgspec.structs.replace(wire, mac="")), "answer": answer}
    unmet = answer.get("unmet", "")
    if unmet in _HALTED:
        raise Halted(f"the signal waits, and nothing goes out: {unmet}", where=str(place), hint="mev-agent status")
    went = f"{answer.get('orders', 0)} orders went out at once" if not unmet else f"it waits: {unmet}"
    text = f"{wire.signal_id} is let in; {went}. `mev-agent journal why {place} {answer.get('seq')}` follows it"
    return Answer(data=data, text=text, mode="signal")


def _wire(request: SignalRequest, market: dict[str, Any], life_ns: int) -> WireSignal:
    """On the venue's grids; the limit is rounded to the side on which it holds."""
    try:
        tick, lot = msgspec.convert(market["tick"], Step), msgspec.convert(market["lot"], Step)
        wall_ns, input_seq = int(market["wall_ns"]), int(market["input_seq"])
    except (KeyError, TypeError, ValueError, msgspec.ValidationError):
        raise ProtocolError("the agent's answer is no market", peer="agent") from None
    try:
        lots = decimals.parse(request.quantity, lot)
        target = None if request.target is None else decimals.parse(request.target, lot)
        price = request.limit_price
        limit_ticks = decimals.floor(price, tick) if request.side == "buy" else -decimals.floor("-" + price, tick)
    except decimals.OffGrid:
        raise UsageError(
            f"{request.quantity} is no multiple of the lot", hint=f"the lot is {decimals.text_of(1, lot)}"
        ) from None
    except decimals.NotDecimal as error:
        raise UsageError(f"a quantity and a price are decimal numbers: {error}") from None
    if lots <= 0 or limit_ticks <= 0:
        raise UsageError("quantity and price must be above 0")
    # The agent's own clock decides how long it lives.
    return WireSignal(
        signal_id=request.signal_id or secrets.token_hex(16),
        producer=request.producer,
        symbol=request.symbol,
        side=Side(request.side),
        lots=lots,
        limit_ticks=limit_ticks,
        urgency=request.urgency,
        valid_from_ns=wall_ns,
        expires_ns=wall_ns + life_ns,
        max_slippage_ppm=request.max_slippage_ppm,
        position_target_lots=target,
        input_seq=input_seq if request.input_seq is None else request.input_seq,
    )


def _asked(connection: socket.socket, heard: Any, question: dict[str, Any], *, is_change: bool) -> dict[str, Any]:
    try:
        connection.sendall(json.dumps(question, separators=(",", ":")).encode() + b"\n")
        line = heard.readline(ANSWER_BYTES_MAX)
        answer = json.loads(line)
    except (OSError, ValueError):
        if is_change:
            raise OutcomeUnknown(
                "the signal was sent and no answer came",
                code="E_NOT_HEARD",
                hint="send it again with the same --id: an id counts once",
            ) from None
        raise SetupError("the agent does not answer", code="E_NOT_HEARD", hint="is the run still going?") from None
    if not isinstance(answer, dict):
        raise ProtocolError("the agent's answer is no object", peer="agent")
    return answer


def _refused(answer: dict[str, Any]) -> AgentError:
    code, detail = str(answer.get("code", "E_PROTOCOL")), str(answer.get("detail", ""))
    if code in _HALTED:
        return Halted(f"the agent takes no signal: {code} {detail}", hint="mev-agent status")
    return RiskRefused(
        f"the signal is refused: {detail}", limit="signal", used=0, cap=0, code=code, hint=f"mev-agent explain {code}"
    )


def _connected(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.settimeout(WAIT_S)
    try:
        with short_name(folder, SOCKET_NAME) as path:
            connection.connect(path)
    except OSError as error:
        connection.close()
        raise SetupError(
            f"no run takes signals here: {error.strerror}",
            where=str(folder),
            hint="name its folder by --run; the configuration must name producers under [[purpleflea.producers]]",
        ) from None
    return connection


def _span_ns(text: str) -> int:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise UsageError(f"--expires {text[:20]!r} is no span of time", hint="write 60s or 5m")
    return int(found[1]) * (60 if found[2] == "m" else 1) * SECOND_NS


def _newest() -> Path:
    found = [path for pattern in ("*", "accounts/*") for path in RUNS_FOLDER.glob(f"{pattern}/{SOCKET_NAME}")]
    if not found:
        raise SetupError("there is no run that takes signals", where=str(RUNS_FOLDER), hint="name its folder by --run")
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent
