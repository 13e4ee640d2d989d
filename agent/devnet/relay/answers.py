"""The shapes of a relay's answers, as they are seen in the wild: HTTP status, content type, body."""

from __future__ import annotations

from typing import Any

import msgspec

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
APPLICATION_ERROR = -32000


class Answer(msgspec.Struct, frozen=True):
    """One HTTP response."""

    status: int
    content_type: str
    body: bytes


class Refusal(Exception):
    """A request that is answered with an error; carries the answer's shape."""

    def __init__(
        self, message: str, *, code: int = APPLICATION_ERROR, is_bare: bool = False, status: int = 200
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.is_bare = is_bare
        """Legacy relay methods answer `{"error": "text"}` with 400 or 403, without an envelope."""
        self.status = status

    def answer(self, request_id: Any) -> Answer:
        """The bytes of this refusal."""
        if self.is_bare:
            return Answer(self.status, JSON, msgspec.json.encode({"error": self.message}))
        error = {"code": self.code, "message": self.message}
        return Answer(self.status, JSON, msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error}))


def success(request_id: Any, result: Any) -> Answer:
    """A JSON-RPC result."""
    return Answer(200, JSON, msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "result": result}))


def undecodable() -> Refusal:
    """The relay hides what is wrong with the transactions."""
    return Refusal("unable to decode txs", is_bare=True, status=400)


def wrong_content_type() -> Answer:
    return Answer(415, TEXT, b"header Content-Type must be application/json\n")


def wrong_method() -> Answer:
    return Answer(405, TEXT, b"only POST method is allowed\n")
