"""Requests beside the socket: what is asked again, what is sent once, and what is read of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from agent.errors import AgentError, OutcomeUnknown, ProtocolError, RateLimited, Rejected, SetupError, UsageError
from agent.ports.network import HttpAnswer
from agent.venues.purpleflea import faucet, keys, rest
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.pacing import Pacing
from agent.venues.purpleflea.rest import PurpleFleaRest
from tests.venues.purpleflea.worlds import NOW_NS, SECOND

KEY = "sk_trade_0123"
Answer = HttpAnswer | AgentError


def said(status: int, body: Any = None, **headers: str) -> HttpAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, named, body if isinstance(body, bytes) else json.dumps(body).encode())


class World:
    """A network that answers from a list, clocks that stand still, and pauses that are kept instead of waited for."""

    def __init__(self, *answers: Answer, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.pauses: list[float] = []
        self.now_ns = 50 * SECOND
        monkeypatch.setattr(rest.asyncio, "sleep", self._sleep)
        settings = {"clock": self, "entropy": self, "reads_per_minute": 6_000, **changed}
        self.rest = PurpleFleaRest(self, "https://venue.example/", Credentials(KEY), **settings)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 3))
        self.now_ns += int(seconds * 1e9)

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return NOW_NS + self.now_ns

    def below(self, bound: int) -> int:
        return 0

    def token(self, size: int) -> bytes:
        return bytes(size)

    async def open_websocket(self, *args: Any, **named: Any) -> Any:
        raise AssertionError

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_s: float
    ) -> HttpAnswer:
        self.asked.append((method, url, dict(headers), body))
        answer = self.answers.pop(0)
        if isinstance(answer, AgentError):
            raise answer
        return answer


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *answers, **changed: World(*answers, monkeypatch=monkeypatch, **changed)


TIME = said(200, {"server_ts_ns": NOW_NS, "_info": {}})


# Reads


async def test_a_read_shows_the_key_and_ignores_what_it_does_not_know(world: Any) -> None:
    made = world(TIME)
    assert await made.rest.time_ns() == NOW_NS
    ((method, url, headers, body),) = made.asked
    assert (method, url, body) == ("GET", "https://venue.example/v1/time", b"")
    assert headers["X-API-Key"] == KEY


async def test_paths_can_be_configured(world: Any) -> None:
    made = world(TIME, paths={"time": "/api/v1/clock"})
    await made.rest.time_ns()
    assert made.asked[0][1] == "https://venue.example/api/v1/clock"


@pytest.mark.parametrize("trouble", [said(503), said(500), said(504), SetupError("gone"), OutcomeUnknown("no answer")])
async def test_a_read_is_asked_again_and_more_slowly(world: Any, trouble: Answer) -> None:
    made = world(trouble, trouble, trouble, TIME)
    assert await made.rest.time_ns() == NOW_NS
    assert made.pauses == [0.25, 0.5, 1.0]


async def test_a_read_is_given_up_after_four_times(world: Any) -> None:
    made = world(*[said(503)] * 9)
    with pytest.raises(ProtocolError):
        await made.rest.time_ns()
    assert len(made.asked) == 4


async def test_a_read_waits_as_long_as_the_venue_says(world: Any) -> None:
    made = world(said(429, {"error": "rate_limited"}, retry_after="7"), TIME)
    await made.rest.time_ns()
    assert made.pauses == [7.0]


@pytest.mark.parametrize("text", ["soon", "-5", "1e9", "99999999999999999999", "١"])
async def test_a_wait_that_cannot_be_read_is_ours(world: Any, text: str) -> None:
    made = world(said(429, {}, retry_after=text), TIME)
    await made.rest.time_ns()
    assert made.pauses == [0.25]


async def test_a_wait_of_days_is_an_hour_at_most(world: Any) -> None:
    made = world(said(429, {}, retry_after="999999"), TIME)
    await made.rest.time_ns()
    assert made.pauses == [3_600.0]


async def test_a_rate_limit_that_stays_is_told(world: Any) -> None:
    made = world(*[said(429, {"error": "rate_limited"}, retry_after="1")] * 4)
    with pytest.raises(RateLimited) as limited:
        await made.rest.time_ns()
    assert limited.value.retry_after_ms == 1_000


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_definite_no_is_not_asked_again(world: Any, status: int) -> None:
    made = world(said(status, {"error": "invalid_key", "message": "\x1b[31mhostile"}))
    with pytest.raises(Rejected) as no:
        await made.rest.time_ns()
    assert no.value.code == "INVALID_KEY"
    assert "hostile" not in str(no.value) and KEY not in str(no.value)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"server_ts_ns":1700000000}', b'{"server_ts_ns":"x"}', b"[" * 100_000, b"\xff"]
)
async def test_an_answer_that_cannot_be_read_is_the_venues_fault(world: Any, body: bytes) -> None:
    made = world(said(200, body))
    with pytest.raises(ProtocolError):
        await made.rest.time_ns()


async def test_an_order_that_is_not_found_is_an_answer(world: Any) -> None:
    body = b'{"type":"order_state","client_order_id":"a","status":"not_found","as_of_exec_seq":1}'
    made = world(said(404, body), said(404, {"error": "not_found"}))
    assert await made.rest.order("a/../b") == body
    assert made.asked[0][1] == "https://venue.example/v1/orders/a%2F..%2Fb"
    with pytest.raises(Rejected):
        await made.rest.order("a")


async def test_executions_come_in_pages(world: Any) -> None:
    page = {"executions": [{"type": "fill"}], "to_exec_seq": 8, "last_exec_seq": 9, "complete": True}
    made = world(said(200, page))
    found = await made.rest.executions(7, limit=1)
    assert (bytes(found.executions[0]), found.to_exec_seq, found.complete) == (b'{"type": "fill"}', 8, True)
    assert made.asked[0][1].endswith("/v1/executions?after=7&limit=1")


async def test_balances_and_positions(world: Any) -> None:
    made = world(
        said(200, {"balances": [{"ccy": "USDC", "total": "1.5"}], "as_of_exec_seq": 3}),
        said(200, {"positions": [{"symbol": "BTC-USDC", "qty": "-0.5"}], "as_of_exec_seq": 3}),
    )
    assert (await made.rest.balances()).balances[0].total == "1.5"
    assert (await made.rest.positions()).positions[0].qty == "-0.5"


# Changes


@pytest.mark.parametrize(
    "trouble",
    [
        said(500),
        said(502),
        said(503),
        said(504),
        said(504, {"code": "TIMEOUT"}),
        said(400, {"error": "INTERNAL"}),
        OutcomeUnknown("cut"),
    ],
)
async def test_a_place_is_never_sent_twice_and_what_became_of_it_is_unknown(world: Any, trouble: Answer) -> None:
    made = world(trouble, said(200, {}))
    with pytest.raises(OutcomeUnknown):
        await made.rest.place(b"{}", "aaa")
    assert len(made.asked) == 1
    assert made.asked[0][2]["Idempotency-Key"] == "aaa"
    assert made.pauses == []


@pytest.mark.parametrize(
    ("status", "code"), [(400, "BAD_TICK"), (409, "DUPLICATE_CLID_MISMATCH"), (503, "OVERLOADED"), (403, "KEY_SCOPE")]
)
async def test_a_place_that_was_refused_was_not_accepted(world: Any, status: int, code: str) -> None:
    made = world(said(status, {"code": code, "error": code}))
    with pytest.raises(Rejected) as no:
        await made.rest.place(b"{}", "aaa")
    assert no.value.code == code
    assert len(made.asked) == 1


async def test_a_place_that_is_limited_is_not_sent_again_either(world: Any) -> None:
    made = world(said(429, {"error": "RATE_LIMIT"}, retry_after="1"))
    with pytest.raises(RateLimited):
        await made.rest.place(b"{}", "aaa")
    assert len(made.asked) == 1


async def test_the_safety_switches(world: Any) -> None:
    made = world(*[said(200, {})] * 4)
    await made.rest.deadman(5_000)
    await made.rest.cancel_on_disconnect(is_enabled=True, grace_ms=10)
    await made.rest.cancel("aaa")
    await made.rest.cancel_all()
    assert [(method, url.removeprefix("https://venue.example")) for method, url, _, _ in made.asked] == [
        ("POST", "/v1/deadman"),
        ("POST", "/v1/cod"),
        ("DELETE", "/v1/orders/aaa"),
        ("DELETE", "/v1/orders"),
    ]
    assert json.loads(made.asked[0][3]) == {"timeout_ms": 5_000}
    assert json.loads(made.asked[1][3]) == {"enabled": True, "scope": "account", "grace_ms": 10}


# Pace


async def test_reads_keep_to_the_smaller_of_configuration_and_headers(world: Any) -> None:
    limits = {"x_ratelimit_limit": "60", "x_ratelimit_remaining": "5", "x_ratelimit_reset": "0"}
    made = world(*[said(200, {"server_ts_ns": NOW_NS}, **limits)] * 100, reads_per_minute=600)
    for _ in range(70):
        await made.rest.time_ns()
    assert sum(made.pauses) == pytest.approx(10, abs=2)


async def test_with_nothing_left_a_read_waits_for_the_reset(world: Any) -> None:
    reset_s = (NOW_NS + 50 * SECOND) // SECOND + 9
    spent = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(reset_s)}
    made = world(said(200, {"server_ts_ns": NOW_NS}, **spent), TIME)
    await made.rest.time_ns()
    await made.rest.time_ns()
    assert made.pauses == [9.0]


@pytest.mark.parametrize("reset", ["0", "x", "99999999999", "1700000000000"])
def test_a_reset_that_makes_no_sense_blocks_nothing(reset: str) -> None:
    pacing = Pacing(600)
    pacing.heard({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}, 0, NOW_NS)
    assert pacing.wait_ns(0) == 0


def test_a_limit_of_nothing_or_more_than_ours_changes_nothing() -> None:
    pacing = Pacing(600)
    for limit in ("0", "100000", "-1", "x"):
        pacing.heard({"x-ratelimit-limit": limit}, 0, NOW_NS)
    assert pacing.per_minute == 600
    pacing.heard({"x-ratelimit-limit": "30"}, 0, NOW_NS)
    assert pacing.per_minute == 30


# Keys and the faucet


async def test_a_new_key_is_handed_over_and_not_shown(world: Any) -> None:
    made = world(said(201, {"id": "key_7", "secret": "sk_new_99", "label": "guard", "scopes": ["cancel"]}))
    key_id, credentials = await keys.create_key(made.rest, label="guard", scopes=("cancel", "revoke"))
    assert key_id == "key_7"
    assert "sk_new_99" not in repr(credentials)
    assert credentials.headers() == {"X-API-Key": "sk_new_99"}
    assert json.loads(made.asked[0][3]) == {"label": "guard", "scopes": ["cancel", "revoke"], "ip_allow": []}


async def test_keys_are_listed_without_their_secrets_and_deleted_at_once(world: Any) -> None:
    made = world(
        said(200, {"keys": [{"id": "key_7", "scopes": ["trade"], "secret": "x"}]}), said(200, {"deleted": True})
    )
    (listed,) = await keys.list_keys(made.rest)
    assert (listed.id, listed.scopes) == ("key_7", ("trade",))
    assert not hasattr(listed, "secret")
    await keys.delete_key(made.rest, "key_7")
    assert made.asked[1][:2] == ("DELETE", "https://venue.example/v1/keys/key_7")


@pytest.mark.parametrize("key_id", ["", "a/b", "..", "a b", "key?x"])
async def test_only_one_key_is_deleted(world: Any, key_id: str) -> None:
    made = world()
    with pytest.raises(ValueError, match="key"):
        await keys.delete_key(made.rest, key_id)
    assert made.asked == []


def test_a_key_is_never_rotated() -> None:
    assert not [name for module in (keys, rest) for name in dir(module) if "rotat" in name.lower()]
    assert not [name for name in dir(PurpleFleaRest) if "rotat" in name.lower()]


async def test_the_faucet_is_off_until_it_is_switched_on(world: Any) -> None:
    made = world()
    with pytest.raises(UsageError):
        await faucet.claim(made.rest, "ag_1", is_enabled=False)
    assert made.asked == []


@pytest.mark.parametrize(
    ("answer", "claim"),
    [
        (
            said(200, b'{"claim_id":"c1","credited":1.10}'),
            faucet.Claim("credited", claim_id="c1", claimed_amount="1.10"),
        ),
        (said(200, {"claim_id": "c1", "credited": "5"}), faucet.Claim("credited", claim_id="c1", claimed_amount="5")),
        (said(409, {"error": "already_claimed"}), faucet.Claim("already_claimed", "ALREADY_CLAIMED")),
        (said(404, {"error": "agent_not_found"}), faucet.Claim("refused", "AGENT_NOT_FOUND")),
        (said(403, {"error": "has_deposits"}), faucet.Claim("refused", "HAS_DEPOSITS")),
    ],
)
async def test_a_claim_is_told_in_the_venues_words(world: Any, answer: HttpAnswer, claim: faucet.Claim) -> None:
    made = world(answer)
    assert await faucet.claim(made.rest, "ag_1", is_enabled=True) == claim


@pytest.mark.parametrize("answer", [said(500), OutcomeUnknown("cut"), said(200, b"{")])
async def test_a_claim_that_may_have_arrived_is_not_sent_again(world: Any, answer: Answer) -> None:
    made = world(answer, said(200, {"claim_id": "c", "credited": "1"}))
    with pytest.raises(OutcomeUnknown):
        await faucet.claim(made.rest, "ag_1", is_enabled=True)
    assert len(made.asked) == 1
