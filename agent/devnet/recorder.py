"""A node between anvil and an archive node that keeps whatever anvil asks for.

Anvil replays the block on a fork of the recorder; each account, slot and block hash that it needs is answered from
the store, or read from the archive node at the parent block and stored. What it asks for is what a replay needs: no
more has to be known about tracing or access lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from agent.chain.jsonrpc import Request, RpcError
from agent.chain.rpc import Rpc
from agent.devnet.capture_store import CaptureStore, StoredAccount
from agent.devnet.loopback import LoopbackServer
from agent.errors import AgentError, RateLimited
from agent.eth.hexes import from_data, from_quantity, to_data, to_hash, to_quantity
from agent.eth.units import Address

_ANSWER_TIMEOUT_S = 120.0
_RATE_LIMIT_WAITS = 8
_encode = msgspec.json.encode


class _Request(msgspec.Struct):
    method: str
    id: msgspec.Raw = msgspec.Raw(b"null")
    params: list[Any] = msgspec.field(default_factory=list)


_decode_request = msgspec.json.Decoder(_Request).decode


class Recorder:
    """Reads state at block `parent` through `rpc` into `store`, in bulk or as anvil asks. Made in a running loop."""

    def __init__(self, rpc: Rpc, store: CaptureStore, *, chain_id: int, parent: Mapping[str, Any]) -> None:
        self._rpc = rpc
        self._store = store
        self._chain_id = chain_id
        self._parent = parent
        self._tag: str = parent["number"]
        self._loop = asyncio.get_running_loop()
        self._server = LoopbackServer(self._answer, name="recorder")
        self._refused: dict[Address, RpcError] = {}
        self.failure: Exception | None = None
        """The first reason why something could not be read; anvil would only leave transactions out."""

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.start()

    async def stop(self) -> None:
        await asyncio.to_thread(self._server.stop)

    async def read(self, addresses: Iterable[Address], slots: Mapping[Address, Iterable[int]]) -> None:
        """Read these accounts and slots, as far as they are not known, in batches.

        What the node refuses stays unread: if the replay needs it, it is asked for again, and then it counts.
        """
        wanted = sorted({*addresses, *slots} - self._store.accounts.keys())
        await self._read_accounts(wanted)
        pairs = [
            (address, slot)
            for address, numbers in slots.items()
            if address in self._store.accounts
            for slot in sorted(set(numbers) - self._store.accounts[address].storage.keys())
        ]
        requests = [("eth_getStorageAt", (to_data(a), to_quantity(s), self._tag)) for a, s in pairs]
        for (address, slot), value in zip(pairs, await self._ask(requests), strict=True):
            if not isinstance(value, RpcError):
                self._store.add_slot(address, slot, from_quantity(value))
        self._store.flush()

    async def _read_accounts(self, addresses: Sequence[Address]) -> None:
        requests: list[Request] = []
        for address in addresses:
            at = to_data(address)
            requests += [
                ("eth_getBalance", (at, self._tag)),
                ("eth_getTransactionCount", (at, self._tag)),
                ("eth_getCode", (at, self._tag)),
            ]
        answers: list[Any] = await self._ask(requests)
        for index, address in enumerate(addresses):
            fields = answers[3 * index : 3 * index + 3]
            if refusals := [answer for answer in fields if isinstance(answer, RpcError)]:
                self._refused[address] = refusals[0]
                continue
            balance, nonce, code = fields
            self._store.add_account(
                address, balance_wei=from_quantity(balance), nonce=from_quantity(nonce), code=from_data(code)
            )

    async def _ask(self, requests: Sequence[Request]) -> list[Any | RpcError]:
        """The answers in order; a node that asks us to come back later is asked again."""
        if not requests:
            return []
        for _ in range(_RATE_LIMIT_WAITS):
            try:
                return await self._rpc.batch(requests)
            except RateLimited as limited:
                await asyncio.sleep(limited.retry_after_ms / 1000)
        raise RateLimited("the node keeps asking us to slow down", retry_after_ms=0, peer=self._rpc.peer)

    async def _account(self, address: Address) -> StoredAccount:
        await self.read([address], {})
        if (account := self._store.accounts.get(address)) is None:
            raise self._refused[address]
        return account

    async def _slot(self, address: Address, slot: int) -> int:
        account = await self._account(address)
        if slot not in account.storage:
            (value,) = await self._ask([("eth_getStorageAt", (to_data(address), to_quantity(slot), self._tag))])
            if isinstance(value, RpcError):
                raise value
            self._store.add_slot(address, slot, from_quantity(value))
        return account.storage[slot]

    # What anvil asks, in the server's thread

    def _answer(self, body: bytes) -> bytes:
        try:
            request = _decode_request(body)
        except msgspec.MsgspecError:
            return b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not a request"}}'
        future = asyncio.run_coroutine_threadsafe(self._serve(request.method, request.params), self._loop)
        try:
            outcome = {"result": future.result(_ANSWER_TIMEOUT_S)}
        except (AgentError, ValueError, TypeError, KeyError, IndexError, TimeoutError) as error:
            future.cancel()
            if not isinstance(error, _NoMethodError):
                self.failure = self.failure or error
            code = -32601 if isinstance(error, _NoMethodError) else -32000
            outcome = {"error": {"code": code, "message": str(error)[:300] or type(error).__name__}}
        return _encode({"jsonrpc": "2.0", "id": request.id} | outcome)

    async def _serve(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return to_quantity(self._chain_id)
            case "net_version":
                return str(self._chain_id)
            case "eth_gasPrice":
                return self._parent["baseFeePerGas"]
            case "eth_blockNumber":
                return self._tag
            case "eth_getBlockByNumber":
                return await self._block(params[0])
            case "eth_getAccountInfo":
                account = await self._account(Address(from_data(params[0])))
                return {
                    "balance": to_quantity(account.balance_wei),
                    "nonce": to_quantity(account.nonce),
                    "code": to_data(self._store.codes[account.code_hash]),
                }
            case "eth_getBalance":
                return to_quantity((await self._account(Address(from_data(params[0])))).balance_wei)
            case "eth_getTransactionCount":
                return to_quantity((await self._account(Address(from_data(params[0])))).nonce)
            case "eth_getCode":
                account = await self._account(Address(from_data(params[0])))
                return to_data(self._store.codes[account.code_hash])
            case "eth_getStorageAt":
                return f"0x{await self._slot(Address(from_data(params[0])), from_quantity(params[1])):064x}"
        raise _NoMethodError(method)

    async def _block(self, tag: str) -> Any:
        if tag in ("latest", self._tag):
            return {**self._parent, "transactions": [], "withdrawals": []}
        number = from_quantity(tag)
        if (known := self._store.block_hashes.get(number)) is None:
            (block,) = await self._ask([("eth_getBlockByNumber", (tag, False))])
            if isinstance(block, RpcError):
                raise block
            known = to_hash(block["hash"])
            self._store.add_ancestor(number, known)
        return {**self._parent, "transactions": [], "withdrawals": [], "number": tag, "hash": to_data(known)}


class _NoMethodError(AgentError):
    """Anvil tries methods that not every node has."""
