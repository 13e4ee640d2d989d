"""What a relay's answer means: a class, an outcome, and whether the same bytes may go out again.

The body decides before the HTTP status: relays answer 200 with an error, 200 with a web page, 403 with a bare
text, and success without an envelope. Texts come from the peer: they are compared with the few phrases that
servers are known to use, choose between classes of this closed list, and anything else stays *unknown*. No
class ever widens the audience: the most a class allows is the same bytes to the same endpoint.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import orjson

from agent.eth.hexes import to_hash
from agent.eth.units import Hash32
from agent.venues.onchain.outcomes import TRAITS, Outcome

TEXT_LIMIT = 200
"""Characters of a peer's text that are kept; it is shown fenced and never parsed further."""


class ReplyClass(StrEnum):
    """What kind of answer it is."""

    SUCCESS = "success"
    INVALID_REQUEST = "invalid_request"
    AUTH = "auth"
    UNSUPPORTED_METHOD = "unsupported_method"
    REMOVED_METHOD = "removed_method"
    RATE_LIMITED = "rate_limited"
    NONCE = "nonce"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown_outcome"


class Resend(StrEnum):
    """Whether the very same body may be sent again to the very same endpoint."""

    NEVER = "never"
    LATER = "later"
    SAME_ID_ONLY = "same_id_only"
    """It may have been accepted: only with its replacement id, so that at most one can land."""


class RawReply(msgspec.Struct, frozen=True, gc=False):
    """An HTTP answer as it came, cut at the size cap of the transport."""

    status: int
    content_type: str
    body: bytes


class Lost(msgspec.Struct, frozen=True, gc=False):
    """No complete answer came: a time-out, a cut connection, a reply that is no HTTP."""

    reason: str
    was_written: bool
    """False: not one byte of the request left this machine, so the peer cannot have it."""


class Reply(msgspec.Struct, frozen=True):
    """An answer, classified."""

    reply_class: ReplyClass
    resend: Resend
    outcome: Outcome
    bundle_hash: Hash32 | None = None
    """As this endpoint names it; hashes of different endpoints are never compared."""
    text: str = ""
    result: Any = None
    """The decoded result of a success."""
    was_written: bool = True

    @property
    def is_absent(self) -> bool:
        """The endpoint certainly holds nothing of it. Only then may the nonce be used for something else."""
        return not self.was_written or TRAITS[self.outcome].is_final


_RESEND = {
    ReplyClass.SUCCESS: Resend.NEVER,
    ReplyClass.INVALID_REQUEST: Resend.NEVER,
    ReplyClass.AUTH: Resend.NEVER,
    ReplyClass.UNSUPPORTED_METHOD: Resend.NEVER,
    ReplyClass.REMOVED_METHOD: Resend.NEVER,
    ReplyClass.NONCE: Resend.NEVER,
    ReplyClass.RATE_LIMITED: Resend.LATER,
    ReplyClass.UNAVAILABLE: Resend.LATER,
    ReplyClass.UNKNOWN: Resend.SAME_ID_ONLY,
}
_OUTCOME = {
    ReplyClass.INVALID_REQUEST: Outcome.REFUSED_INVALID,
    ReplyClass.AUTH: Outcome.REFUSED_AUTH,
    ReplyClass.UNSUPPORTED_METHOD: Outcome.REFUSED_METHOD,
    ReplyClass.REMOVED_METHOD: Outcome.REFUSED_METHOD,
    ReplyClass.NONCE: Outcome.SIM_INVALID_TX,
    ReplyClass.RATE_LIMITED: Outcome.REFUSED_RATE,
    # Down as it says it is, somebody behind it may have the request: never counted as refused.
    ReplyClass.UNAVAILABLE: Outcome.UNKNOWN,
    ReplyClass.UNKNOWN: Outcome.UNKNOWN,
}

_BY_CODE = {
    -32700: ReplyClass.INVALID_REQUEST,
    -32600: ReplyClass.INVALID_REQUEST,
    -32601: ReplyClass.UNSUPPORTED_METHOD,
    -32602: ReplyClass.INVALID_REQUEST,
    -32025: ReplyClass.AUTH,
}
_PHRASES: tuple[tuple[str, ReplyClass], ...] = (
    # FlowProxy uses -32603 for a bad signature, a rate limit and a full disk: the number says nothing.
    ("rate limit", ReplyClass.RATE_LIMITED),
    ("too many requests", ReplyClass.RATE_LIMITED),
    ("signature", ReplyClass.AUTH),
    ("deprecated", ReplyClass.REMOVED_METHOD),
    ("disk full", ReplyClass.UNAVAILABLE),
    ("could not decode body to rpc response", ReplyClass.UNAVAILABLE),
    ("internal server error", ReplyClass.UNKNOWN),
    ("nonce too low", ReplyClass.NONCE),
    ("nonce too high", ReplyClass.NONCE),
    ("err: ", ReplyClass.INVALID_REQUEST),
    ("unable to decode", ReplyClass.INVALID_REQUEST),
    ("too many txs", ReplyClass.INVALID_REQUEST),
)


def classify(delivery: RawReply | Lost) -> Reply:
    """The meaning of what came back, or did not."""
    if isinstance(delivery, Lost):
        # Nothing written means nobody has it; anything else may have been accepted.
        if delivery.was_written:
            return _refusal(ReplyClass.UNKNOWN, delivery.reason)
        return msgspec.structs.replace(_refusal(ReplyClass.UNAVAILABLE, delivery.reason), was_written=False)
    decoded = _decode(delivery.body)
    if isinstance(decoded, dict):
        error = decoded.get("error")
        if error is not None:
            return _classify_error(delivery.status, error)
        if delivery.status < 300:
            return _classify_success(decoded)
    return _classify_status(delivery)


def _classify_success(decoded: dict[str, Any]) -> Reply:
    """Any of the forms in which services say yes; an object that says nothing is unknown."""
    if "result" in decoded:
        result = decoded["result"]
    elif "bundleHash" in decoded:  # documented without its envelope
        result = decoded
    else:
        return _refusal(ReplyClass.UNKNOWN, "an object without result or error")
    named = result.get("bundleHash") if isinstance(result, dict) else result
    found = _hash(named)
    outcome = Outcome.ACCEPTED if found is not None else Outcome.ACCEPTED_NO_RECEIPT
    return Reply(ReplyClass.SUCCESS, Resend.NEVER, outcome, found, "", result)


def _classify_error(status: int, error: object) -> Reply:
    code, text = None, error
    if isinstance(error, dict):
        code, text = error.get("code"), error.get("message")
    shown = str(text)
    lowered = shown[:1000].lower()
    if status == 429:
        return _refusal(ReplyClass.RATE_LIMITED, shown)
    if code == -32601:
        return _refusal(ReplyClass.UNSUPPORTED_METHOD, shown)
    for phrase, reply_class in _PHRASES:
        if phrase in lowered:
            return _refusal(reply_class, shown)
    if isinstance(code, int) and code in _BY_CODE:
        return _refusal(_BY_CODE[code], shown)
    return _refusal(_by_status(status), shown)


def _classify_status(reply: RawReply) -> Reply:
    """An answer whose body is no JSON object: a proxy's page, a bare text, nothing."""
    text = reply.body[: TEXT_LIMIT * 4].decode(errors="replace")
    is_page = text.lstrip()[:1] == "<" or "html" in reply.content_type
    if reply.status < 300 and is_page:
        return _refusal(ReplyClass.UNAVAILABLE, "a web page instead of an answer")
    if reply.status == 403 and not is_page:
        return _refusal(ReplyClass.REMOVED_METHOD, text)
    if reply.status in (403, 451):
        return Reply(
            ReplyClass.UNAVAILABLE, Resend.NEVER, Outcome.REFUSED_GEO, None, f"HTTP {reply.status} with a web page"
        )
    return _refusal(_by_status(reply.status), text or f"HTTP {reply.status} with an empty body")


def _by_status(status: int) -> ReplyClass:
    """What the status alone says: 4xx is a definite no, everything else leaves the outcome open."""
    if status == 429:
        return ReplyClass.RATE_LIMITED
    if status in (401, 403):
        return ReplyClass.AUTH
    if status in (404, 405):
        return ReplyClass.UNSUPPORTED_METHOD
    if 400 <= status < 500 and status != 408:
        return ReplyClass.INVALID_REQUEST
    if 300 <= status < 400 or status == 503:
        return ReplyClass.UNAVAILABLE
    return ReplyClass.UNKNOWN


def _refusal(reply_class: ReplyClass, text: str) -> Reply:
    return Reply(reply_class, _RESEND[reply_class], _OUTCOME[reply_class], None, _fenced(text))


def _fenced(text: str) -> str:
    """One line of printable text, cut: it came from the peer."""
    return "".join(char if char.isprintable() else " " for char in text[:TEXT_LIMIT]).strip()


def _decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _hash(value: object) -> Hash32 | None:
    if not isinstance(value, str):
        return None
    try:
        return to_hash(value)
    except ValueError:
        return None
