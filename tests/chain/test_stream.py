"""Connections that stay open: the same scripted node over WebSocket and over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import websockets

from agent.chain.ipc import IpcRpc
from agent.chain.rpc import RpcError
from agent.chain.stream import StreamRpc
from agent.chain.websocket import WsRpc
from agent.errors import OutcomeUnknown, ProtocolError, SetupError

Send = Callable[[str], Awaitable[None]]
Script = Callable[[Any, Send], Awaitable[None]]


class Hangup(Exception):
    """The script wants the connection closed."""


@pytest.fixture(params=["websocket", "ipc"])
async def connect(request, tmp_path) -> AsyncIterator[Callable[..., Awaitable[StreamRpc]]]:
    """Opens a client to a node that runs the given script for each message."""
    servers: list[Any] = []
    clients: list[StreamRpc] = []

    async def open_client(script: Script, **options: Any) -> StreamRpc:
        if request.param == "websocket":

            async def serve(connection: websockets.ServerConnection) -> None:
                with contextlib.suppress(websockets.ConnectionClosed, Hangup):
                    async for message in connection:
                        await script(json.loads(message), connection.send)

            server = await websockets.serve(serve, "127.0.0.1", 0, compression=None)
            port = server.sockets[0].getsockname()[1]
            client: StreamRpc = await WsRpc.connect(f"ws://127.0.0.1:{port}", **options)
        else:

            async def serve_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                async def send(text: str) -> None:
                    writer.write(text.encode() + b"\n")

                while line := await reader.readline():
                    try:
                        await script(json.loads(line), send)
                    except Hangup:
                        break
                writer.close()

            path = str(tmp_path / f"node{len(servers)}.ipc")
            server = await asyncio.start_unix_server(serve_lines, path)
            client = await IpcRpc.connect(path, **options)
        servers.append(server)
        clients.append(client)
        return client

    yield open_client
    for client in clients:
        await client.close()
    for server in servers:
        server.close()


def reply(request: Any, result: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})


async def test_answers_find_their_askers_in_any_order(connect):
    held = []

    async def script(request, send):
        held.append(request)
        if len(held) == 3:
            for one in held[::-1]:
                await send(reply(one, one["params"]))

    rpc = await connect(script)
    got = await asyncio.gather(*(rpc.call("eth_x", [n]) for n in range(3)))
    assert got == [[0], [1], [2]]


async def test_batches_whose_members_fail_alone_or_are_refused_whole(connect):
    async def script(request, send):
        if isinstance(request, list) and len(request) > 2:
            await send(json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -1, "message": "too many"}}))
        elif isinstance(request, list):
            members = [
                {"id": m["id"], "error": {"code": 7, "message": "no"}}
                if m["method"] == "eth_bad"
                else {"id": m["id"], "result": m["params"]}
                for m in request
            ]
            await send(json.dumps(members[::-1]))
        else:
            await send(reply(request, request["params"]))

    rpc = await connect(script)
    got = await rpc.batch([("eth_a", [1]), ("eth_bad", []), ("eth_c", [3]), ("eth_d", [4])])
    assert [got[0], got[2], got[3]] == [[1], [3], [4]]
    assert isinstance(got[1], RpcError) and got[1].rpc_code == 7


async def test_no_notification_between_the_answer_and_its_asker_is_lost(connect):
    async def script(request, send):
        await send(reply(request, "0xab"))
        for number in range(3):
            await send(notification("0xab", number))
        await send(notification("0xff", 99))
        await send(notification("0xab", "text"))
        decoy = {"decoy": {"subscription": "0xab"}} | json.loads(notification("0xff", 98))
        await send(json.dumps(decoy, separators=(",", ":")))
        await send(json.dumps({"params": {"result": 3, "subscription": "0xab"}, "method": "eth_subscription"}))

    seen: list[int] = []
    done = asyncio.Event()

    def sink(value: int, message: bytes) -> None:
        seen.append(value)
        if value == 3:
            done.set()

    rpc = await connect(script)
    subscription = await rpc.subscribe(["newThings"], int, sink)
    await done.wait()
    assert seen == [0, 1, 2, 3]
    assert subscription.malformed == 2 and rpc.unexpected == 1


def notification(subscription: str, result: Any) -> str:
    params = {"subscription": subscription, "result": result}
    return json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})


async def test_a_subscription_that_is_refused_raises(connect):
    async def script(request, send):
        await send(json.dumps({"id": request["id"], "error": {"code": -32601, "message": "no such"}}))

    rpc = await connect(script)
    with pytest.raises(RpcError, match="no such"):
        await rpc.subscribe(["newThings"], int, lambda value, message: None)


async def test_when_the_connection_ends_reads_fail_and_writes_are_unknown(connect):
    async def script(request, send):
        if request["method"] == "eth_stop":
            raise Hangup

    rpc = await connect(script)
    read = asyncio.ensure_future(rpc.call("eth_chainId"))
    write = asyncio.ensure_future(rpc.call("eth_sendRawTransaction", ["0x"]))
    stop = asyncio.ensure_future(rpc.call("eth_stop"))
    assert await rpc.wait_closed()
    with pytest.raises(ProtocolError):
        await read
    with pytest.raises(OutcomeUnknown):
        await write
    with pytest.raises(ProtocolError):
        await stop
    assert not rpc.is_open
    with pytest.raises(ProtocolError, match="is over"):
        await rpc.call("eth_chainId")


async def test_a_node_that_sends_no_json_or_too_much_is_cut_off(connect):
    async def noise(request, send):
        await send("<html>")

    rpc = await connect(noise)
    with pytest.raises(ProtocolError):
        await rpc.call("eth_chainId")
    assert "not JSON-RPC" in await rpc.wait_closed()

    async def flood(request, send):
        await send("x" * 100_000)

    rpc = await connect(flood, max_message_bytes=10_000)
    with pytest.raises(ProtocolError):
        await rpc.call("eth_chainId")
    assert await rpc.wait_closed()


async def test_a_node_that_never_answers_is_given_up_and_its_late_answer_is_nobodys(connect):
    release = asyncio.Event()

    async def script(request, send):
        if request["method"] == "eth_slow":
            await release.wait()
        await send(reply(request, 1))

    rpc = await connect(script, timeout_s=0.05)
    with pytest.raises(ProtocolError, match="no answer"):
        await rpc.call("eth_slow")
    rpc._timeout_s = 30.0
    release.set()
    assert await rpc.call("eth_quick") == 1
    assert rpc.unexpected == 1


async def test_where_nobody_listens_the_error_says_so(tmp_path):
    with pytest.raises(SetupError, match=r"127\.0\.0\.1:1"):
        await WsRpc.connect("ws://127.0.0.1:1/secret")
    with pytest.raises(SetupError, match="socket"):
        await IpcRpc.connect(str(tmp_path / "absent"))
