"""The devnet's node as clients see it: one port for HTTP and WebSocket JSON-RPC, in front of anvil.

Reads go through to anvil. What a real node would do and anvil cannot, because it only builds blocks here, is done by
the front: it holds the mempool, so `eth_sendRawTransaction` puts a transaction there and anvil sees it when a block
is built; it answers `txpool_*`, pending nonces and pending transactions; it carries the subscriptions. Nothing
private passes here: bundles have their own door. Whatever is refused is refused with words.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from agent.chain.jsonrpc import Request, RpcError
from agent.devnet.anvil import Anvil
from agent.devnet.head_follower import HeadFollower
from agent.devnet.mempool import Mempool
from agent.devnet.pending import PendingTransaction, decode_pending
from agent.devnet.ports import open_port
from agent.devnet.shared_access import SharedAccess
from agent.devnet.subscriptions import Kind, LogCriteria, Subscriptions
from agent.devnet.txpool import Txpool
from agent.errors import AgentError, Rejected
from agent.eth.hexes import from_data, from_quantity, to_data, to_hash, to_quantity
from agent.eth.units import Address

REQUEST_BYTES_MAX = 16 * 1024 * 1024
BATCH_MEMBERS_MAX = 1_000
NOTIFICATIONS_WAITING_MAX = 50_000
"""Per connection; a client further behind than this is cut off."""

_PARSE_ERROR, _INVALID_REQUEST, _NO_METHOD, _INVALID_PARAMS, _SERVER_ERROR = -32700, -32600, -32601, -32602, -32000
_PASSED_ON = ("eth_", "net_", "web3_", "debug_", "trace_", "ots_", "anvil_", "hardhat_", "evm_")
_BUILDERS_OWN = frozenset(
    (
        *("evm_mine", "anvil_mine", "hardhat_mine", "evm_mine_detailed", "anvil_mine_detailed", "evm_setAutomine"),
        *("anvil_setAutomine", "evm_setIntervalMining", "anvil_setIntervalMining", "anvil_dropTransaction"),
        *("hardhat_dropTransaction", "anvil_dropAllTransactions", "anvil_removePoolTransactions", "anvil_reset"),
        *("hardhat_reset", "anvil_reorg", "anvil_rollback", "evm_revert", "anvil_revert"),
        *("eth_sendUnsignedTransaction", "anvil_setNextBlockTimestamp", "evm_setNextBlockTimestamp"),
    )
)
_NO_ACCOUNTS = frozenset(
    ("eth_sendTransaction", "eth_sign", "eth_signTransaction", "eth_signTypedData", "eth_signTypedData_v4")
)

_encode = msgspec.json.encode


class _Request(msgspec.Struct):
    method: str
    id: msgspec.Raw = msgspec.Raw(b"null")
    params: list[Any] = msgspec.field(default_factory=list)


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_members = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Refusal(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Front:
    """Serves one anvil and one mempool. All parts live in one event loop."""

    def __init__(
        self,
        anvil: Anvil,
        mempool: Mempool,
        *,
        chain_id: int,
        lock: asyncio.Lock | None = None,
        mine: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """`lock` is held by whoever moves the node on trial: reads wait for it. `mine` builds a block on `evm_mine`."""
        self._anvil = anvil
        self._mempool = mempool
        self._chain_id = chain_id
        self._access = SharedAccess(lock or asyncio.Lock())
        self._mine = mine
        self._txpool = Txpool(mempool, self._mined_nonces)
        self._subscriptions = Subscriptions()
        self._follower = HeadFollower(anvil, self._subscriptions)
        self._follow_turn = asyncio.Lock()
        self._accept_turn = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._following: set[asyncio.Task[None]] = set()
        self.port = 0
        mempool.on_add(self._on_pending)

    async def start(self, *, port: int = 0) -> str:
        """Serve on 127.0.0.1 and return the HTTP URL; port 0 takes a free one. SetupError if the port is taken."""
        async with self._access:
            await self._follower.begin()
        application = web.Application(client_max_size=REQUEST_BYTES_MAX)
        application.router.add_route("*", "/", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        self.port = await open_port(self._runner, port, option="--port")
        return self.rpc_url

    async def stop(self) -> None:
        """Close the port and every connection; safe to call again."""
        runner, self._runner = self._runner, None
        for task in tuple(self._following):
            task.cancel()
        if runner is not None:
            await runner.cleanup()

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def announce(self) -> None:
        """Tell the listeners about blocks that have come since; call it after each block, or several."""
        async with self._follow_turn, self._access:
            await self._follower.follow()

    def announce_soon(self, _block: object = None) -> None:
        """`announce` as a callback of the builder's `on_block`."""
        task = asyncio.get_running_loop().create_task(self.announce())
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    # Wire

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._serve_websocket(request)
        if request.method != "POST":
            return web.Response(status=405, text="POST a JSON-RPC request, or open a WebSocket\n")
        if request.content_type != "application/json":
            # Also keeps web pages out: a browser asks before it sends this type across origins.
            return web.Response(status=415, text="the content type must be application/json\n")
        answer = await self._answer(await request.read(), None)
        return web.Response(body=answer, content_type="application/json")

    async def _serve_websocket(self, request: web.Request) -> web.WebSocketResponse:
        if request.headers.get("origin"):
            raise web.HTTPForbidden(text="no web page may open this node\n")
        socket = web.WebSocketResponse(max_msg_size=REQUEST_BYTES_MAX, compress=False)
        await socket.prepare(request)
        connection = _Connection(socket, self._subscriptions)
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    body = message.data.encode() if isinstance(message.data, str) else message.data
                    connection.serve(self._answer(body, connection))
        finally:
            await connection.close()
        return socket

    async def _answer(self, body: bytes, connection: _Connection | None) -> bytes:
        if body.lstrip()[:1] != b"[":
            return await self._answer_one(body, connection)
        try:
            members = _decode_members(body)
        except msgspec.MsgspecError:
            return _failure(_PARSE_ERROR, "the batch is not JSON")
        if not 0 < len(members) <= BATCH_MEMBERS_MAX:
            return _failure(_INVALID_REQUEST, f"a batch has 1 to {BATCH_MEMBERS_MAX} members")
        answers = await asyncio.gather(*(self._answer_one(bytes(member), connection) for member in members))
        return b"[" + b",".join(answers) + b"]"

    async def _answer_one(self, body: bytes, connection: _Connection | None) -> bytes:
        try:
            request = _decode_request(body)
        except msgspec.ValidationError as error:
            return _failure(_INVALID_REQUEST, f"not a JSON-RPC request: {error}")
        except msgspec.MsgspecError:
            return _failure(_PARSE_ERROR, "the request is not JSON")
        identity = bytes(request.id)
        try:
            result = await self._dispatch(request.method, request.params, connection)
        except RpcError as error:
            return _failure(error.rpc_code, error.text, identity, error.data)
        except _Refusal as refusal:
            return _failure(refusal.code, str(refusal), identity)
        except Rejected as rejected:
            return _failure(_SERVER_ERROR, rejected.message, identity)
        except AgentError as error:
            return _failure(_SERVER_ERROR, error.message, identity)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            return _failure(_INVALID_PARAMS, f"invalid params: {str(error)[:200]}", identity)
        return b'{"jsonrpc":"2.0","id":' + identity + b',"result":' + bytes(result) + b"}"

    # Methods

    async def _dispatch(self, method: str, params: list[Any], connection: _Connection | None) -> bytes | msgspec.Raw:
        """The result as JSON text."""
        match method:
            case "eth_sendRawTransaction":
                async with self._accept_turn:  # in the order in which they came, whatever their checks wait for
                    return _encode(to_data((await self._accept(from_data(params[0]))).hash))
            case "eth_getTransactionCount" if len(params) > 1 and params[1] == "pending":
                return _encode(to_quantity(await self._pending_nonce(params[0])))
            case "eth_getTransactionByHash" | "eth_getRawTransactionByHash":
                return await self._transaction(method, params)
            case "eth_subscribe" | "eth_unsubscribe":
                if connection is None:
                    raise _Refusal(_NO_METHOD, "notifications not supported: open a WebSocket to the same port")
                return _encode(connection.subscribe(params) if method == "eth_subscribe" else connection.end(params[0]))
            case "eth_newBlockFilter":
                return _encode(self._subscriptions.new_filter(Kind.HEADS))
            case "eth_newPendingTransactionFilter":
                return _encode(self._subscriptions.new_filter(Kind.PENDING))
            case "eth_newFilter":
                return _encode(self._subscriptions.new_filter(Kind.LOGS, LogCriteria.parse(params[0])))
            case "eth_getFilterChanges":
                return self._subscriptions.filter_changes(params[0])
            case "eth_uninstallFilter":
                return _encode(self._subscriptions.uninstall_filter(params[0]))
            case "txpool_content" | "txpool_contentFrom" | "txpool_status" | "txpool_inspect":
                return _encode(await self._txpool.answer(method, params))
            case "evm_mine" if self._mine is not None:
                await self._mine()
                return b'"0x0"'
        if method in _BUILDERS_OWN:
            raise _Refusal(_NO_METHOD, f"{method} is not offered: the devnet's builder makes the blocks")
        if method in _NO_ACCOUNTS:
            raise _Refusal(_NO_METHOD, f"{method} is not offered: this node holds no keys; send signed transactions")
        if method == "eth_getFilterLogs" or not method.startswith(_PASSED_ON):
            raise _Refusal(_NO_METHOD, f"the method {method[:60]} does not exist or is not offered")
        async with self._access:
            return await self._anvil.rpc.call_raw(method, params)

    async def _accept(self, raw: bytes) -> PendingTransaction:
        """Into the mempool, with the checks and words of geth; Rejected or RpcError otherwise."""
        try:
            transaction = decode_pending(raw)
        except ValueError as error:
            raise Rejected(f"failed to decode signed transaction: {error}") from None
        if transaction.chain_id not in (None, self._chain_id):
            raise Rejected(f"invalid chain id for signer: have {transaction.chain_id} want {self._chain_id}")
        if transaction.hash in self._mempool:
            raise Rejected("already known")
        sender = to_data(transaction.sender)
        nonce_text, balance_text, head = await self._read(
            [
                ("eth_getTransactionCount", (sender, "latest")),
                ("eth_getBalance", (sender, "latest")),
                ("eth_getBlockByNumber", ("latest", False)),
            ]
        )
        nonce, balance_wei = from_quantity(nonce_text), from_quantity(balance_text)
        if transaction.nonce < nonce:
            raise Rejected(f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}")
        if transaction.gas_limit > from_quantity(head["gasLimit"]):
            raise Rejected("exceeds block gas limit")
        cost_wei = transaction.gas_limit * transaction.max_fee_wei + transaction.value_wei
        if balance_wei < cost_wei:
            raise Rejected(f"insufficient funds for gas * price + value: balance {balance_wei}, tx cost {cost_wei}")
        return self._mempool.add(raw, sender=transaction.sender)

    async def _pending_nonce(self, address: str) -> int:
        sender = Address(from_data(address))
        return self._mempool.next_nonce(sender, mined_nonce=(await self._mined_nonces([sender]))[sender])

    async def _mined_nonces(self, senders: list[Address]) -> Mapping[Address, int]:
        answers = await self._read([("eth_getTransactionCount", (to_data(sender), "latest")) for sender in senders])
        return {sender: from_quantity(answer) for sender, answer in zip(senders, answers, strict=True)}

    async def _read(self, requests: list[Request]) -> list[Any]:
        """The results of a batch at one state; the first error that a member met is raised."""
        async with self._access:
            answers = await self._anvil.rpc.batch(requests)
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        return answers

    async def _transaction(self, method: str, params: list[Any]) -> bytes | msgspec.Raw:
        held = self._mempool.get(to_hash(params[0]))
        if held is not None:
            return _encode(held.rpc if method == "eth_getTransactionByHash" else to_data(held.raw))
        async with self._access:
            return await self._anvil.rpc.call_raw(method, params)

    def _on_pending(self, transaction: PendingTransaction) -> None:
        self._subscriptions.publish_pending(transaction.rpc)


class _Connection:
    """One WebSocket: answers and notifications leave in the order in which they were ready."""

    def __init__(self, socket: web.WebSocketResponse, subscriptions: Subscriptions) -> None:
        self._socket = socket
        self._subscriptions = subscriptions
        self._own: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(NOTIFICATIONS_WAITING_MAX)
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def serve(self, answer: Awaitable[bytes]) -> None:
        """Answer in the background: a slow simulation does not hold up the requests behind it."""

        async def run() -> None:
            self._enqueue(await answer)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def subscribe(self, params: list[Any]) -> str:
        identity = self._subscriptions.subscribe(params, self._notify)
        self._own.add(identity)
        return identity

    def end(self, identity: Any) -> bool:
        if identity not in self._own:
            return False
        self._own.discard(identity)
        return self._subscriptions.unsubscribe(identity)

    async def close(self) -> None:
        for identity in tuple(self._own):
            self.end(identity)
        for task in (*self._tasks, self._writer):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._writer

    def _notify(self, identity: str, result: bytes) -> None:
        head = f'{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{identity}","result":'
        self._enqueue(head.encode() + result + b"}}")

    def _enqueue(self, body: bytes) -> None:
        try:
            self._waiting.put_nowait(body)
        except asyncio.QueueFull:
            for identity in tuple(self._own):
                self.end(identity)
            self._writer.cancel()

    async def _write(self) -> None:
        try:
            while True:
                body = await self._waiting.get()
                await self._socket.send_frame(body, WSMsgType.TEXT)
        except (ConnectionError, RuntimeError):
            return  # the reader of the socket sees the end itself
        finally:
            with contextlib.suppress(Exception):
                await self._socket.close(code=1013, message=b"too slow")


def _failure(code: int, message: str, identity: bytes = b"null", extra: Any = None) -> bytes:
    error = {"code": code, "message": message} | ({} if extra is None else {"data": extra})
    return b'{"jsonrpc":"2.0","id":' + identity + b',"error":' + _encode(error) + b"}"
