"""The devnet's relay: Flashbots' JSON-RPC protocol over HTTP, in front of the local builder.

What it takes goes to the builder's private pool and nowhere else. `devnet_bundleStatus` and the page at `/bundles`
tell what became of each bundle and why. Faults can be scripted: the next answers may be anything a real host has been
seen to send, or nothing at all.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from agent.devnet.builder.builder import Builder
from agent.devnet.builder.bundles import CANCEL_FOR_GOOD, Bundle
from agent.devnet.builder.rules import Reason
from agent.devnet.builder.simulate import SimulatedTransaction
from agent.devnet.ports import open_port
from agent.devnet.relay import answers, requests
from agent.devnet.relay.answers import Answer, Refusal
from agent.devnet.relay.signature import HEADER, SignatureRefused, verify_signature
from agent.devnet.relay.status import status_object, status_page
from agent.errors import AgentError, Rejected
from agent.eth.hexes import address_text, to_data, to_hash
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv

MAX_BODY_BYTES = 30 << 20
REMOVED_METHODS = frozenset(
    {
        "flashbots_getUserStats", "flashbots_getUserStatsV2", "flashbots_getBundleStats",
        "flashbots_getBundleStatsV2", "flashbots_getSbundleStats",
    }
)  # fmt: skip


class Fault(msgspec.Struct, frozen=True):
    """What happens instead of the next answer. `answer` None cuts the connection."""

    answer: Answer | None
    is_processed: bool = False
    """The request is carried out all the same: the client cannot know."""
    delay_s: float = 0.0


class Relay:
    """One relay. Start it, use its `url`, stop it; or use it as an async context manager."""

    def __init__(
        self,
        builder: Builder,
        *,
        is_strict: bool = False,
        is_signature_required: bool = True,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self.builder = builder
        self.faults: deque[Fault] = deque()
        self.requests: dict[str, int] = {}
        """How often each method was answered."""
        self._is_strict = is_strict
        self._is_signature_required = is_signature_required
        self._clock_us = clock_us
        self._last_sequence = 0
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, port: int = 0) -> str:
        """Listen on loopback and return the URL; port 0 takes a free one. SetupError if the port is taken."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/bundles", self._page)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        self.port = await open_port(self._runner, port, option="--relay-port")
        return self.url

    async def stop(self) -> None:
        """Close every connection; safe to repeat."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Relay:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=status_page(self.builder.bundles.all_statuses()), content_type="text/html")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else None
        if fault is None or fault.is_processed:
            answer = await self._answer(request)
        if fault is not None:
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            if fault.answer is None:
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionResetError
            answer = fault.answer
        return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type})

    async def _answer(self, request: web.Request) -> Answer:
        if request.method != "POST":
            return answers.wrong_method()
        if request.headers.get("Content-Type") != answers.JSON:
            return answers.wrong_content_type()
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return Refusal("request body too large", code=answers.INVALID_REQUEST).answer(None)
        return await self.handle(body, request.headers.get(HEADER))

    async def handle(self, body: bytes, signature: str | None) -> Answer:
        """Answer one request body with its signature header."""
        try:
            signer = self._signer(signature, body)
            call = _decode_call(body)
        except Refusal as refusal:
            return refusal.answer(None)
        request_id, method = call.get("id"), call["method"]
        try:
            result = await self._dispatch(method, call.get("params", []), signer)
        except Refusal as refusal:
            return refusal.answer(request_id)
        except Rejected as error:
            return Refusal(error.message).answer(request_id)
        except AgentError:
            return Refusal("internal server error").answer(request_id)
        self.requests[method] = self.requests.get(method, 0) + 1
        return answers.success(request_id, result)

    def _signer(self, header: str | None, body: bytes) -> Address | None:
        if not header:
            if self._is_signature_required and b'"devnet_' not in body:
                raise Refusal("signature is required", code=answers.INVALID_REQUEST)
            return None
        try:
            return verify_signature(header, body)
        except SignatureRefused as error:
            raise Refusal(f"invalid signature provided: {error}", code=answers.INVALID_REQUEST) from None

    async def _dispatch(self, method: str, params: Any, signer: Address | None) -> Any:
        if method in REMOVED_METHODS:
            raise Refusal(f"{method} is deprecated", is_bare=True, status=403)
        methods: dict[str, Callable[[Any, Address | None], Awaitable[Any]]] = {
            "eth_sendBundle": self._send_bundle,
            "eth_callBundle": self._call_bundle,
            "eth_cancelBundle": self._cancel_bundle,
            "eth_sendPrivateTransaction": self._send_private,
            "eth_sendPrivateRawTransaction": self._send_private_raw,
            "eth_cancelPrivateTransaction": self._cancel_private,
            "devnet_bundleStatus": self._status,
        }
        handler = methods.get(method)
        if handler is None:
            raise Refusal("method not found", code=answers.METHOD_NOT_FOUND)
        if signer is None and self._is_signature_required and method != "devnet_bundleStatus":
            raise Refusal("signature is required", code=answers.INVALID_REQUEST)
        return await handler(params, signer)

    async def _send_bundle(self, params: Any, signer: Address | None) -> Any:
        decoded = requests.decode_send_bundle(params, is_strict=self._is_strict)
        pool = self.builder.bundles
        if isinstance(decoded, requests.Cancellation):
            pool.cancel(decoded.replacement_id, signer, sequence=self._sequence(decoded.sequence))
            return {"bundleHash": "0x" + "00" * 32}
        bundle = msgspec.structs.replace(decoded.bundle, signer=signer)
        next_block = (await self.builder.upcoming()).number
        if bundle.block_number is None:
            bundle = msgspec.structs.replace(bundle, block_number=next_block)
        if bundle.replacement_id is not None:
            bundle = msgspec.structs.replace(bundle, sequence=self._sequence(bundle.sequence))
        pool.insert(bundle)
        if bundle.block_number is not None and bundle.block_number < next_block:
            detail = f"block {bundle.block_number} is past, {next_block} is next"
            pool.record(bundle, block_number=next_block - 1, reason=Reason.EXPIRED, detail=detail)
        result = {"bundleHash": to_data(bundle.hash)}
        return {**result, "smart": "true"} if decoded.is_multiplexed else result

    async def _cancel_bundle(self, params: Any, signer: Address | None) -> Any:
        cancellation = requests.decode_cancel_bundle(params, is_strict=self._is_strict)
        held = [
            to_data(bundle.hash)
            for bundle in self.builder.bundles
            if (bundle.replacement_id, bundle.signer) == (cancellation.replacement_id, signer)
        ]
        self.builder.bundles.cancel(cancellation.replacement_id, signer, sequence=CANCEL_FOR_GOOD)
        return held

    async def _send_private(self, params: Any, signer: Address | None) -> Any:
        next_block = (await self.builder.upcoming()).number
        bundle = requests.decode_private_transaction(params, next_block=next_block, is_strict=self._is_strict)
        return self._hold_private(bundle, signer)

    async def _send_private_raw(self, params: Any, signer: Address | None) -> Any:
        next_block = (await self.builder.upcoming()).number
        return self._hold_private(requests.decode_private_raw_transaction(params, next_block=next_block), signer)

    def _hold_private(self, bundle: Bundle, signer: Address | None) -> str:
        self.builder.bundles.insert(msgspec.structs.replace(bundle, signer=signer))
        return to_data(bundle.transactions[0].hash)

    async def _cancel_private(self, params: Any, signer: Address | None) -> Any:
        return self.builder.bundles.cancel_private(requests.decode_cancel_private(params), signer)

    async def _call_bundle(self, params: Any, signer: Address | None) -> Any:
        asked = requests.decode_call_bundle(params, is_strict=self._is_strict)
        state = asked.state_block
        is_head = isinstance(state, str)
        env = await self.builder.upcoming() if isinstance(state, str) else await self.builder.env_after(state)
        state_block = env.number - 1
        env = _overridden(env, asked)
        results = await self.builder.simulate(asked.transactions, env, state_block=None if is_head else state_block)
        fees = sum(result.priority_fees_wei for result in results)
        difference = sum(result.coinbase_difference_wei for result in results)
        gas = sum(result.gas_used for result in results)
        bundle = Bundle(transactions=asked.transactions, block_number=None)
        return {
            "bundleGasPrice": str(difference // gas if gas else 0),
            "bundleHash": to_data(bundle.hash),
            "coinbaseDiff": str(difference),
            "ethSentToCoinbase": str(difference - fees),
            "gasFees": str(fees),
            "results": [_simulated_object(result) for result in results],
            "stateBlockNumber": state_block,
            "totalGasUsed": gas,
        }

    async def _status(self, params: Any, signer: Address | None) -> Any:
        keys = params if isinstance(params, list) else []
        key = keys[0] if len(keys) == 1 else None
        if isinstance(key, dict):
            key = next(iter(key.values()), None)
        if not isinstance(key, str):
            raise Refusal("expected a bundle hash, transaction hash or id", code=answers.INVALID_PARAMS)
        try:
            wanted: Any = to_hash(key)
        except ValueError:
            wanted = key
        return [status_object(status) for status in self.builder.bundles.statuses(wanted)]

    def _sequence(self, given: int | None) -> int:
        """The client's own, or the time of receipt in microseconds, strictly rising."""
        if given is not None:
            return given
        self._last_sequence = max(self._clock_us(), self._last_sequence + 1)
        return self._last_sequence


def _decode_call(body: bytes) -> dict[str, Any]:
    try:
        call = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Refusal(f"failed to parse request: {error}"[:200], code=answers.PARSE_ERROR) from None
    if not isinstance(call, dict):
        raise Refusal("failed to parse request: batches are not supported", code=answers.PARSE_ERROR)
    if call.get("jsonrpc") != "2.0":
        raise Refusal("invalid jsonrpc version", code=answers.INVALID_REQUEST)
    if not isinstance(call.get("method"), str):
        raise Refusal("method is required", code=answers.INVALID_REQUEST)
    if isinstance(call.get("id"), (dict, list, bool)):
        raise Refusal("invalid id type", code=answers.INVALID_REQUEST)
    return call


def _overridden(env: BlockEnv, asked: requests.SimulationRequest) -> BlockEnv:
    return BlockEnv(
        number=asked.block_number,
        timestamp=asked.timestamp or env.timestamp,
        base_fee_wei=env.base_fee_wei if asked.base_fee_wei is None else asked.base_fee_wei,
        fee_recipient=asked.coinbase or env.fee_recipient,
        gas_limit=asked.gas_limit or env.gas_limit,
        prev_randao=env.prev_randao,
    )


def _simulated_object(result: SimulatedTransaction) -> dict[str, Any]:
    transaction = result.transaction
    shown = {
        "coinbaseDiff": str(result.coinbase_difference_wei),
        "ethSentToCoinbase": str(result.sent_to_coinbase_wei),
        "fromAddress": address_text(transaction.sender),
        "gasFees": str(result.priority_fees_wei),
        "gasPrice": str(result.coinbase_difference_wei // result.gas_used if result.gas_used else 0),
        "gasUsed": result.gas_used,
        "toAddress": "0x" if transaction.to is None else address_text(transaction.to),
        "txHash": to_data(transaction.hash),
    }
    if result.is_success:
        shown["value"] = to_data(result.output)
    else:
        shown["error"] = result.error
        if result.output:
            shown["revert"] = _revert_text(result.output)
    return shown


def _revert_text(output: bytes) -> str:
    """The message of `Error(string)`, else the bytes as hex."""
    if output[:4] == b"\x08\xc3\x79\xa0" and len(output) >= 68:
        length = int.from_bytes(output[36:68], "big")
        return output[68 : 68 + length].decode("utf-8", "replace")
    return to_data(output)
