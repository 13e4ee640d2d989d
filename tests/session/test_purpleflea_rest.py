"""Before a run at a real account: the venue's clock, our key and the faucet, by the paths and at the pace configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agent.config import load_settings
from agent.devnet.purpleflea import PurpleFleaVenue, Terms
from agent.errors import ConfigError, SetupError
from agent.ports.clock import SystemClock
from agent.ports.network import HttpAnswer
from agent.ports.real_network import RealNetwork
from agent.session import purpleflea_rest
from agent.session.purpleflea_rest import prepare
from agent.settings import PurpleFleaSettings
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.rest import PurpleFleaRest

CLOCK = SystemClock()


def account(*overrides: str) -> PurpleFleaSettings:
    return load_settings(overrides=tuple(f"purpleflea.{one}" for one in overrides), environment={}).settings.purpleflea


class Network:
    """Answers by the path, and keeps what was asked."""

    def __init__(self, answers: Mapping[str, tuple[int, bytes]]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, str, bytes]] = []

    async def open_websocket(self, *args: Any, **named: Any) -> Any:
        raise AssertionError

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_s: float
    ) -> HttpAnswer:
        path = "/" + url.split("/", 3)[3]
        self.asked.append((method, path, body))
        status, content = self.answers.get(path, (404, b"{}"))
        return HttpAnswer(status, {}, content)


def sound(prefix: str = "/v1") -> dict[str, tuple[int, bytes]]:
    return {
        f"{prefix}/time": (200, b'{"server_ts_ns":%d}' % CLOCK.wall_ns()),
        f"{prefix}/balances": (
            200,
            b'{"balances":[{"ccy":"USDC","total":"12.5","available":"12.5"}],"as_of_exec_seq":0}',
        ),
    }


async def prepared(settings: PurpleFleaSettings, network: Network, *, may_claim: bool = True) -> list[str]:
    said: list[str] = []
    await prepare(settings, Credentials("sk_trade_1"), network, CLOCK, said.append, may_claim=may_claim)
    return said


async def test_the_configured_paths_are_the_ones_that_are_asked() -> None:
    paths = '[{name="time", path="/api/time"}, {name="balances", path="/api/balances"}]'
    network = Network(sound("/api"))
    assert await prepared(account(f"paths={paths}"), network) == ["  account  USDC 12.5"]
    assert [path for _, path, _ in network.asked] == ["/api/time", "/api/balances"]


async def test_no_more_is_read_than_the_configured_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[PurpleFleaRest] = []

    def make(*words: Any, **named: Any) -> PurpleFleaRest:
        made.append(PurpleFleaRest(*words, **named))
        return made[-1]

    monkeypatch.setattr(purpleflea_rest, "PurpleFleaRest", make)
    monkeypatch.setattr(purpleflea_rest, "WITHIN_S", 0.1)
    network = Network({"/v1/time": (503, b"{}")})  # each read of it is asked again
    said = await prepared(account("reads_per_minute=1"), network)
    assert made[0]._pacing.per_minute == 1
    assert len(network.asked) <= 2 and "not answered within" in said[-1]


async def test_a_refused_key_ends_the_run_before_it_begins() -> None:
    network = Network(sound() | {"/v1/balances": (401, b'{"error":"KEY_REVOKED"}')})
    with pytest.raises(SetupError, match="refuses the account's key"):
        await prepared(account(), network)


async def test_a_venue_without_such_requests_is_told_and_tried_all_the_same() -> None:
    said = await prepared(account(), Network({}))
    assert len(said) == 2 and all("does not tell" in line for line in said)


async def test_a_clock_that_is_off_is_told() -> None:
    late = {"/v1/time": (200, b'{"server_ts_ns":%d}' % (CLOCK.wall_ns() + 5_000_000_000))}
    said = await prepared(account(), Network(sound() | late))
    assert any("ms from ours" in line for line in said)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((200, b'{"claim_id":"c1","credited":"100"}'), "credited 100, it claims"),
        ((409, b'{"error":"already_claimed"}'), "already_claimed"),
        ((403, b'{"error":"has_deposits"}'), "refused HAS_DEPOSITS"),
        ((503, b"{}"), "unknown whether the claim arrived"),
    ],
)
async def test_a_claim_is_made_once_where_it_is_asked_for(answer: tuple[int, bytes], word: str) -> None:
    network = Network(sound() | {"/faucet/claim": answer})
    said = await prepared(account("faucet=true", "agent_id=ag_1"), network)
    claims = [body for method, path, body in network.asked if path == "/faucet/claim" and method == "POST"]
    assert claims == [b'{"agent_casino_id":"ag_1"}']
    assert word in said[-1]


async def test_nothing_is_claimed_unless_it_is_asked_for_nor_in_shadow() -> None:
    for settings, may_claim in ((account(), True), (account("faucet=true", "agent_id=ag_1"), False)):
        network = Network(sound())
        await prepared(settings, network, may_claim=may_claim)
        assert all(method == "GET" for method, _, _ in network.asked)


def test_a_faucet_without_a_name_for_it_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="faucet needs agent_id"):
        account("faucet=true")


async def test_a_real_faucet_credits_a_real_account() -> None:
    network = RealNetwork()
    try:
        async with PurpleFleaVenue(seed=1, terms=Terms(funds="0")) as venue:
            keys = venue.create_account()
            said: list[str] = []
            settings = account(f"rest_url={venue.http_url}", "faucet=true", f"agent_id={keys.agent_id}")
            for _ in range(2):
                await prepare(settings, Credentials(keys.trade.secret), network, CLOCK, said.append, may_claim=True)
            assert "credited" in said[1] and "already_claimed" in said[-1]
            assert venue.floor.engine.ledger.accounts[keys.agent_id].balances["USDC"] > 0
    finally:
        await network.close()
