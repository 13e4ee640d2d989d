"""The HTTP client against peers that keep and break the protocol."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from agent.chain.rpc import HttpRpc, RpcError, peer_name
from agent.errors import OutcomeUnknown, ProtocolError, RateLimited, SetupError


def answer(**members: object) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", **members})


async def test_a_result_is_returned_and_an_error_is_raised_with_code_and_data(serve):
    async def node(request):
        asked = await request.json()
        if asked["method"] == "eth_good":
            return answer(id=asked["id"], result={"params": asked["params"]})
        return answer(id=asked["id"], error={"code": 3, "message": "execution reverted", "data": "0xaa"})

    async with HttpRpc(await serve(node)) as rpc:
        assert await rpc.call("eth_good", [1, "0x2"]) == {"params": [1, "0x2"]}
        with pytest.raises(RpcError) as caught:
            await rpc.call("eth_bad", [])
    assert (caught.value.rpc_code, caught.value.message, caught.value.data) == (3, "execution reverted", "0xaa")


async def test_members_of_a_batch_fail_alone_and_are_matched_by_id(serve):
    async def node(request):
        bad = {"error": {"code": -1, "message": "no"}}
        replies = [
            {"id": m["id"]} | (bad if m["method"] == "eth_bad" else {"result": m["params"][0]})
            for m in await request.json()
        ]
        return web.json_response(replies[::-1])

    async with HttpRpc(await serve(node)) as rpc:
        got = await rpc.batch([("eth_a", [10]), ("eth_bad", [0]), ("eth_c", [30])])
    assert got[0] == 10 and got[2] == 30
    assert isinstance(got[1], RpcError) and got[1].method == "eth_bad"


async def test_a_batch_is_split_by_members_and_by_bytes(serve):
    sizes = []

    async def node(request):
        asked = await request.json()
        members = asked if isinstance(asked, list) else [asked]
        sizes.append(len(members))
        replies = [{"id": m["id"], "result": m["params"][0]} for m in members]
        return web.json_response(replies if isinstance(asked, list) else replies[0])

    url = await serve(node)
    async with HttpRpc(url, max_batch_members=3) as rpc:
        assert await rpc.batch([("eth_x", [n]) for n in range(7)]) == list(range(7))
    assert sizes == [3, 3, 1]
    sizes.clear()
    async with HttpRpc(url, max_batch_bytes=200) as rpc:
        assert await rpc.batch([("eth_x", [n]) for n in range(5)]) == list(range(5))
    assert sum(sizes) == 5 and max(sizes) < 5


async def test_a_node_that_refuses_large_batches_or_forgets_members_is_asked_again_in_smaller_ones(serve):
    async def node(request):
        asked = await request.json()
        if isinstance(asked, list) and len(asked) > 2:
            return answer(id=None, error={"code": -32600, "message": "batch too large"})
        if isinstance(asked, list):
            asked = asked[:1]
            return web.json_response([{"id": m["id"], "result": m["params"][0]} for m in asked])
        return answer(id=asked["id"], result=asked["params"][0])

    async with HttpRpc(await serve(node)) as rpc:
        assert await rpc.batch([("eth_x", [n]) for n in range(9)]) == list(range(9))


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("<html>502</html>", "text/html", "text/html"),
        ("", "application/json", "answered nothing"),
        ("{'a'", "application/json", "not JSON-RPC"),
        ("[" * 100_000, "application/json", "not JSON-RPC"),
        ('{"jsonrpc":"2.0","id":1}', "application/json", "neither result nor error"),
        ('{"jsonrpc":"2.0","id":77,"result":1}', "application/json", "belongs to request"),
        ('{"jsonrpc":"2.0","id":1,"result":NaN}', "application/json", "not JSON-RPC"),
        ("x" * 5_000, "application/json", "larger than"),
    ],
)
async def test_what_is_not_json_rpc_is_a_protocol_error_that_says_what_came(serve, body, kind, says):
    async def node(request):
        return web.Response(body=body.encode(), content_type=kind)

    limit = 4_000 if body.startswith("x") else 1 << 20
    async with HttpRpc(await serve(node), max_response_bytes=limit) as rpc:
        with pytest.raises(ProtocolError, match=says):
            await rpc.call("eth_chainId")


class HandClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_ns = 5

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns


async def test_a_pause_that_the_node_asks_for_is_kept_without_asking_it_again(serve):
    asked = 0

    async def node(request):
        nonlocal asked
        asked += 1
        return web.Response(status=429, headers={"Retry-After": "7"})

    clock = HandClock()
    async with HttpRpc(await serve(node), clock=clock) as rpc:
        with pytest.raises(RateLimited) as caught:
            await rpc.call("eth_chainId")
        assert caught.value.retry_after_ms == 7_000
        clock.now_ns += 6_999_000_001
        with pytest.raises(RateLimited) as caught:
            await rpc.call("eth_chainId")
        assert caught.value.retry_after_ms == 1, "what is left, rounded up"
        assert asked == 1
        clock.now_ns += 999_999
        with pytest.raises(RateLimited):
            await rpc.call("eth_chainId")
    assert asked == 2


async def test_a_lost_reply_is_asked_for_again_only_where_that_changes_nothing(serve):
    seen = []

    async def node(request):
        asked = json.loads(await request.read())
        seen.append(asked["method"])
        if len(seen) in (1, 3):
            request.transport.close()
        return answer(id=asked["id"], result="0x1")

    async with HttpRpc(await serve(node)) as rpc:
        assert await rpc.call("eth_chainId") == "0x1"
        with pytest.raises(OutcomeUnknown):
            await rpc.call("eth_sendRawTransaction", ["0x00"])
    assert seen == ["eth_chainId", "eth_chainId", "eth_sendRawTransaction"]


async def test_an_unreachable_node_is_one_clear_error_without_the_key_in_its_url():
    async with HttpRpc("http://127.0.0.1:1/v3/secret-key?also=secret") as rpc:
        with pytest.raises(SetupError) as caught:
            await rpc.call("eth_chainId")
    assert "127.0.0.1:1" in str(caught.value) and "secret" not in str(caught.value)


def test_only_scheme_host_and_port_of_a_url_are_shown():
    assert peer_name("https://user:pass@node.example:8545/v3/key?x=y") == "https://node.example:8545"
