"""Signals from outside: bounded, decided by the core, written down, answered, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.effects.orders import Place
from agent.core.events.control import HaltAsked, OperatorCommand
from agent.engine.signal_door import LINES_PER_S, SENDERS_MAX, SOCKET_NAME
from agent.engine.signal_wire import LINE_BYTES_MAX, signed
from tests.core.desk.account import ASK, BID, SYMBOL
from tests.engine.door import KEYS, OTHER, Account, connected, opened, wish


def places(account: Account) -> list[Place]:
    return [effect for effect in account.venue.sent if isinstance(effect, Place)]


async def test_a_signal_that_is_met_becomes_an_order_and_the_sender_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender = await connected(tmp_path)
        answer = await sender.say(wish(account))
        assert answer["ok"] and answer["orders"] == 1 and "code" not in answer
        (place,) = places(account)
        assert (place.symbol, place.lots) == (SYMBOL, 10) and place.price_ticks <= ASK + 100
        (written,) = account.journal.events_of("signal")
        assert written["signal_id"] == answer["signal_id"]
        assert account.journal.records[answer["seq"] - 1][1] == msgspec.json.encode(written)
        assert account.replayed()


async def test_it_is_the_owners_alone_and_gone_with_the_run(tmp_path: Path) -> None:
    async with opened(tmp_path):
        status = os.stat(tmp_path / SOCKET_NAME)
        assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
    assert not (tmp_path / SOCKET_NAME).exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"producer": "model"}, Code.SIGNAL_NOT_AUTHENTIC),
        ({"producer": "stranger"}, Code.SIGNAL_NOT_AUTHENTIC),
        ({"symbol": "XRP-USDC"}, Code.UNKNOWN_INSTRUMENT),
        ({"lots": 10**9}, Code.QTY_RANGE),
        ({"lots": 0}, Code.BAD_FIELD),
        ({"expires_ns": 1, "valid_from_ns": 0}, Code.EXPIRED),
        ({"expires_ns": 2**61}, Code.SIGNAL_TOO_LONG),
        ({"valid_from_ns": 2**61}, Code.BAD_FIELD),
        ({"input_seq": 1}, Code.SIGNAL_INPUT_OLD),
        ({"input_seq": 2**61}, Code.SIGNAL_INPUT_OLD),
        ({"limit_ticks": 2**61, "lots": 1_000}, Code.SIGNAL_BUDGET),
    ],
)
async def test_what_lies_or_is_out_of_bounds_is_refused_by_its_code_and_kept(
    tmp_path: Path, changes: dict[str, Any], code: Code
) -> None:
    async with opened(tmp_path) as account:
        answer = await (await connected(tmp_path)).say(wish(account, **changes))
        assert (answer["ok"], answer["code"]) == (False, code)
        assert account.shell.counts[code] == 1
        assert code.encode() in account.journal.records[answer["seq"] - 1][2], "the decision is written down"
        assert not places(account) and account.replayed()


async def test_the_same_signal_twice_counts_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender, signal = await connected(tmp_path), wish(account)
        assert (await sender.say(signal))["ok"]
        again = await sender.say(signal)
        assert (again["ok"], again["code"]) == (False, Code.SIGNAL_REPLAYED)
        assert len(places(account)) == 1 and account.replayed()


async def test_a_producer_with_a_key_signs_what_it_says(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender = await connected(tmp_path)
        key = KEYS["model"]
        assert key is not None
        good = signed(wish(account, producer="model"), key)
        lying = msgspec.structs.replace(good, limit_ticks=good.limit_ticks + 1)
        assert (await sender.say(lying))["code"] == Code.SIGNAL_NOT_AUTHENTIC
        assert (await sender.say(good))["ok"], "and the lie has not used up its name"


async def test_what_is_no_signal_is_refused_written_down_and_none_of_its_text_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender = await connected(tmp_path)
        for raw in (b"please buy\n", b'{"signal_id":"please"}\n', b"\xff\x00\n", b"[" * 4_000 + b"\n"):
            assert (await sender.raw(raw))["code"] == Code.SIGNAL_MALFORMED
        assert len(account.journal.events_of("signal")) == account.shell.counts[Code.SIGNAL_MALFORMED] == 4
        assert b"please" not in b"".join(event + effects for _, event, effects in account.journal.records)
        assert account.replayed()


async def test_an_endless_line_ends_the_connection_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        flood, other = await connected(tmp_path), await connected(tmp_path)
        answer = await flood.raw(b"x" * (LINE_BYTES_MAX + 2))
        assert answer["code"] == Code.SIGNAL_MALFORMED and await flood.reader.read() == b""
        assert (await other.say(wish(account)))["ok"]


async def test_a_line_without_an_end_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender = await connected(tmp_path)
        sender.writer.write(msgspec.json.encode(wish(account)))
        sender.writer.write_eof()
        assert (await sender.heard())["detail"] == "no end of the line"
        assert not places(account)


async def test_more_lines_than_are_taken_are_answered_and_told_once_a_second(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender = await connected(tmp_path)
        sender.writer.write(b"no\n" * (3 * LINES_PER_S))
        answers = [await sender.heard() for _ in range(3 * LINES_PER_S)]
        above = sum(answer["code"] == Code.SIGNAL_BUDGET for answer in answers)
        assert LINES_PER_S <= above <= 2 * LINES_PER_S
        assert len(account.journal.events_of("signal")) <= 2 * LINES_PER_S + 2
    told = [event["problem"] for event in account.journal.events_of("signal") if "above" in event["problem"]]
    assert sum(int(words.split()[0]) for words in told) == above
    assert account.replayed()


async def test_a_full_book_of_one_symbol_blocks_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender = await connected(tmp_path)
        answers = []
        for number in range(70):
            away = wish(account, number, limit_ticks=BID - 3_000, urgency=9)
            answers.append(await sender.say(away))
        assert [answer["ok"] for answer in answers] == [True] * 64 + [False] * 6
        assert answers[-1]["code"] == Code.SIGNALS_FULL
        assert not places(account), "none of them is met"
        assert (await sender.say(wish(account, 100, symbol=OTHER)))["ok"]
        assert [place.symbol for place in places(account)] == [OTHER] and account.replayed()


async def test_so_many_senders_and_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        senders = [await connected(tmp_path) for _ in range(SENDERS_MAX)]
        await senders[-1].say({"ask": "market", "symbol": SYMBOL})
        assert (await (await connected(tmp_path)).heard())["code"] == Code.SIGNALS_FULL
        senders[0].writer.close()
        await senders[0].writer.wait_closed()
        async with asyncio.timeout(5):
            while (await (await connected(tmp_path)).say(wish(account))).get("code") == Code.SIGNALS_FULL:
                await asyncio.sleep(0.02)  # the agent has not heard yet that there is room
        assert len(account.journal.events_of("signal")) == 1


async def test_a_sender_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        deaf = await connected(tmp_path)
        for _ in range(40):
            deaf.writer.write(b'{"ask":"market","symbol":"BTC-USDC"}\n' * LINES_PER_S)
            await asyncio.sleep(0.005)
        other = await connected(tmp_path)
        async with asyncio.timeout(5):
            while (await other.say(wish(account))).get("code") == Code.SIGNAL_BUDGET:
                await asyncio.sleep(0.1)
                account.book()  # decided on what is fresh
            with contextlib.suppress(ConnectionError):
                while await deaf.reader.read(1 << 20):
                    pass
        assert len(places(account)) == 1


async def test_what_a_producer_must_know_is_told_and_is_no_event(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender, records = await connected(tmp_path), len(account.journal.records)
        answer = await sender.say({"ask": "market", "symbol": SYMBOL})
        assert (answer["bid_ticks"], answer["ask_ticks"], answer["tick"]["digits"]) == (BID, ASK, 1)
        assert len(account.journal.records) == records
        assert (await sender.say(wish(account, input_seq=answer["input_seq"])))["ok"]
        assert (await sender.say({"ask": "market", "symbol": "XRP-USDC"}))["code"] == Code.UNKNOWN_INSTRUMENT


async def test_in_a_halt_a_signal_is_let_in_and_nothing_goes_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        account.shell.take(HaltAsked("person", "drill"))
        answer = await (await connected(tmp_path)).say(wish(account))
        assert answer["unmet"] == Code.KILLED and not places(account)


async def test_cancelling_all_ends_the_signals_too_or_the_next_touch_would_place_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as account:
        sender = await connected(tmp_path)
        for number, symbol in enumerate((SYMBOL, OTHER)):
            assert (await sender.say(wish(account, number, symbol=symbol, limit_ticks=BID - 3_000)))["ok"]
        account.shell.take(OperatorCommand(action="cancel_all", reason="odd", target=SYMBOL))
        assert account.shell.counts[Code.SIGNAL_WITHDRAWN] == 1
        assert account.core.desk is not None and len(account.core.desk.signals) == 1
        account.shell.take(OperatorCommand(action="cancel_all", reason="odd"))
        assert len(account.core.desk.signals) == 0 and account.replayed()
