"""JSON-RPC 2.0 without a transport: requests to bytes, bytes to answers.

Source of truth: https://www.jsonrpc.org/specification. A batch may be answered in any order, with members
missing, or by one error object for the whole; each of these is told apart here, so that no transport has to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from agent.errors import ProtocolError

Request: TypeAlias = tuple[str, Sequence[Any]]
"""Method and parameters."""

MAX_MESSAGE_CHARACTERS = 400
"""Text of a peer is cut to this before it goes into an error: a revert may carry kilobytes."""

_WRITES = ("eth_send", "eth_submit", "personal_", "mev_send", "admin_", "miner_")
_READS = ("eth_", "debug_", "trace_", "txpool_", "net_", "web3_", "rpc_", "ots_")


class RpcError(ProtocolError):
    """The node's answer to one request is an error object; `rpc_code`, the text and `data` are the node's own."""

    code = "E_RPC"

    def __init__(self, message: str, *, rpc_code: int, data: Any = None, peer: str = "", method: str = "") -> None:
        super().__init__(message[:MAX_MESSAGE_CHARACTERS], peer=peer, method=method)
        self.rpc_code = rpc_code
        self.data = data
        self.text = message
        """The whole text, uncut: the name of a missing slot may stand at its end."""


class _ErrorObject(msgspec.Struct, frozen=True):
    code: int | None = None
    message: str | None = None
    data: Any = None


class _Response(msgspec.Struct, frozen=True):
    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _ErrorObject | None = None


class Notification(msgspec.Struct, frozen=True, gc=False):
    """The part of an `eth_subscription` message that says whose it is; the payload stays bytes."""

    subscription: str
    result: msgspec.Raw


class _Incoming(msgspec.Struct, frozen=True):
    """Whatever may arrive on a connection that also carries subscriptions."""

    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _ErrorObject | None = None
    method: str | None = None
    params: Notification | None = None


_encoder = msgspec.json.Encoder()
_one = msgspec.json.Decoder(_Response)
_many = msgspec.json.Decoder(list[_Response])
_incoming = msgspec.json.Decoder(_Incoming)
_any = msgspec.json.Decoder()


def is_read(method: str) -> bool:
    """Whether repeating the request changes nothing, so that a lost reply may be asked for again."""
    return method.startswith(_READS) and not method.startswith(_WRITES)


def encode_request(request_id: int, method: str, params: Sequence[Any]) -> bytes:
    """One request object."""
    return _encoder.encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)})


def join_batch(members: Sequence[bytes]) -> bytes:
    """A batch of requests already encoded."""
    return b"[" + b",".join(members) + b"]"


def decode_result(
    raw: msgspec.Raw | bytes, *, peer: str, method: str, decoder: msgspec.json.Decoder[Any] = _any
) -> Any:
    """The value of a `result` member, as `decoder` types it; an answer of another shape is a ProtocolError."""
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError(
            f"the node's answer does not have the shape of this method: {error}",
            peer=peer,
            method=method,
            hint="use another node, or one that follows the execution API",
        ) from error


def decode_one(body: bytes, request_id: int, *, peer: str, method: str) -> msgspec.Raw:
    """The result of the single request `request_id`; raises RpcError where the node says error."""
    try:
        response = _one.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed(body, peer=peer, method=method) from error
    # An error for a request that could not be parsed carries id null.
    if response.id != request_id and not (response.id is None and response.error is not None):
        raise ProtocolError(
            f"the answer belongs to request {response.id!r}, not {request_id}", peer=peer, method=method
        )
    result = _result_of(response, peer=peer, method=method)
    if isinstance(result, RpcError):
        raise result
    return result


def decode_batch(body: bytes, methods: dict[int, str], *, peer: str) -> dict[int, msgspec.Raw | RpcError] | RpcError:
    """The answers by id (missing ids are simply absent), or the one error with which the node refused the batch."""
    what = f"batch of {len(methods)}"
    try:
        if body.lstrip()[:1] == b"[":
            responses = _many.decode(body)
        else:
            refused = _result_of(_one.decode(body), peer=peer, method=what)
            if isinstance(refused, RpcError):
                return refused
            raise ProtocolError("one object answers a whole batch", peer=peer, method=what)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed(body, peer=peer, method=what) from error
    answers: dict[int, msgspec.Raw | RpcError] = {}
    for response in responses:
        if not isinstance(response.id, int) or response.id not in methods:
            if response.id is None and response.error is not None:
                continue  # the node could not read a member; that member stays absent
            raise ProtocolError(f"an answer to {response.id!r}, which was not asked", peer=peer, method=what)
        if response.id in answers:
            raise ProtocolError(f"two answers to request {response.id}", peer=peer, method=what)
        answers[response.id] = _result_of(response, peer=peer, method=methods[response.id])
    return answers


def decode_incoming(body: bytes, *, peer: str) -> Notification | tuple[int | str | None, bytes]:
    """A notification, or (id, the message itself) of an answer to a single request."""
    try:
        message = _incoming.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed(body, peer=peer, method="subscription") from error
    if message.method == "eth_subscription" and message.params is not None:
        return message.params
    return message.id, body


def first_id_of_batch(body: bytes, *, peer: str) -> int | None:
    """The id of any member of a batch answer: enough to find the batch it belongs to."""
    try:
        responses = _many.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed(body, peer=peer, method="batch") from error
    return next((response.id for response in responses if isinstance(response.id, int)), None)


def _result_of(response: _Response, *, peer: str, method: str) -> msgspec.Raw | RpcError:
    if response.error is not None:
        return RpcError(
            response.error.message or "error without text",
            rpc_code=response.error.code or 0,
            data=response.error.data,
            peer=peer,
            method=method,
        )
    if response.result is msgspec.UNSET:
        raise ProtocolError("the answer holds neither result nor error", peer=peer, method=method)
    return response.result


def _malformed(body: bytes, *, peer: str, method: str) -> ProtocolError:
    if not body.strip():
        return ProtocolError(
            "the node answered nothing", peer=peer, method=method, hint="is this URL a JSON-RPC endpoint?"
        )
    start = body[:60].decode("utf-8", "replace")
    return ProtocolError(
        f"the node's answer is not JSON-RPC; it begins with {start!r}",
        peer=peer,
        method=method,
        hint="is this URL a JSON-RPC endpoint?",
    )
