"""The REST side: the same desks as the socket's, with HTTP's words for the outcome.

An answer of the desks is the body as it is; its kind decides the status. Every object carries `_info`, as the public
server's do, so that clients learn to ignore what they do not know; every answer carries the rate headers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from agent.devnet.purpleflea import door
from agent.devnet.purpleflea.door import TurnedAway
from agent.devnet.purpleflea.exchange import ACTIONS, Exchange
from agent.devnet.purpleflea.floor import Caller
from agent.devnet.purpleflea.keys import SCOPES, Key
from agent.devnet.purpleflea.reading import Refused, read_object, wall_ns
from agent.devnet.purpleflea.sessions import DEPTH_MAX
from agent.ports.network import HttpAnswer

INFO = {"service": "purpleflea-simulated", "protocol": door.PROTOCOL, "version": "3.0.0"}
MINUTE_NS = 60_000_000_000
PAGE_MAX = 1_000
STATUS_OF_CODE = {
    "KEY_SCOPE": 403, "RATE_LIMIT": 429, "UNKNOWN_ORDER": 404, "DUPLICATE_CLID_MISMATCH": 409, "STALE_EPOCH": 409,
    "TOO_LATE_TO_CANCEL": 409, "TOO_LATE": 409, "OVERLOADED": 503, "INTERNAL": 500, "TIMEOUT": 504,
    "HALTED": 409, "CANCEL_ONLY": 409, "DEADMAN_FIRED": 409,
}  # fmt: skip


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    ip: str


class Window:
    """Requests of one key or address in the present minute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, tuple[int, int]] = {}

    def take(self, who: str, mono_ns: int, wall_ns: int) -> tuple[bool, dict[str, str]]:
        """Whether there is room, and the headers that say so."""
        begun_ns, count = self._counts.get(who, (mono_ns, 0))
        if mono_ns - begun_ns >= MINUTE_NS:
            begun_ns, count = mono_ns, 0
        self._counts[who] = (begun_ns, count + 1)
        wait_ns = begun_ns + MINUTE_NS - mono_ns
        headers = {
            "X-RateLimit-Limit": str(self._limit),
            "X-RateLimit-Remaining": str(max(0, self._limit - count - 1)),
            "X-RateLimit-Reset": str(-(-(wall_ns + wait_ns) // 1_000_000_000)),
        }
        if count >= self._limit:
            headers["Retry-After"] = str(-(-wait_ns // 1_000_000_000))
            return False, headers
        return True, headers


class Rest:
    """Answers HTTP requests for one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._window = Window(exchange.floor.terms.reads_per_minute)
        self._open: dict[tuple[str, str], Callable[[HttpRequest], tuple[int, Any]]] = {
            ("GET", "/v1/time"): self._time,
            ("GET", "/v1/health"): lambda _: (200, {"status": "ok"}),
            ("GET", "/v1/instruments"): self._instruments,
            ("POST", "/v1/auth/register"): self._register,
            ("POST", "/faucet/register"): self._register,
            ("POST", "/faucet/claim"): self._claim,
            ("GET", "/faucet/stats"): lambda _: (200, exchange.faucet.stats()),
        }

    def respond(self, request: HttpRequest) -> HttpAnswer:
        """Answer one request; never raises for what a client sent."""
        floor = self.exchange.floor
        now = floor.now()
        who = door.secret_of(request.headers) or request.ip
        has_room, headers = self._window.take(who, now.mono_ns, now.wall_ns)
        replaced = floor.conduct.http(request.method, request.path)
        if replaced is not None:
            return replaced
        try:
            if not has_room and not self._cancels(request):
                raise TurnedAway(429, "rate_limited", "too many requests")
            status, body = self._route(request)
        except TurnedAway as turned:
            status, body = turned.status, {"error": turned.code, "message": turned.text}
        except Refused as refused:
            status, body = STATUS_OF_CODE.get(refused.code, 400), {"error": refused.code, "message": refused.text}
        if status == 429 and "Retry-After" not in headers:
            headers["Retry-After"] = str(max(1, -(-int(body.get("retry_after_ms") or 1_000) // 1_000)))
        if isinstance(body, dict):
            body = {**body, "_info": INFO}
        return HttpAnswer(status, {"Content-Type": "application/json", **headers}, msgspec.json.encode(body))

    @staticmethod
    def _cancels(request: HttpRequest) -> bool:
        """What stops an agent is never refused for its number."""
        return request.method == "DELETE" or request.path in ("/v1/deadman", "/v1/cod")

    def _route(self, request: HttpRequest) -> tuple[int, Any]:
        handler = self._open.get((request.method, request.path))
        if handler is not None:
            return handler(request)
        found = re.fullmatch(r"/v1/markets/([^/]+)/orderbook", request.path)
        if found and request.method == "GET":
            return self._book(found.group(1), request)
        key = self.exchange.admit(request.headers, request.ip)
        if request.path == "/v1/keys" or request.path.startswith("/v1/keys/"):
            return self._keys(request, key)
        return self._private(request, key)

    def _private(self, request: HttpRequest, key: Key) -> tuple[int, Any]:
        method, path = request.method, request.path
        body = read_object(request.body) if request.body else {}
        order = re.fullmatch(r"/v1/orders/([^/]+)", path)
        if path == "/v1/orders":
            if method == "POST":
                self._check_idempotency(request, body)
                return self._ask("place_order", key, body)
            if method == "GET":
                if request.query.get("status", "open") != "open":
                    raise TurnedAway(400, "bad_request", "status=open is what can be asked")
                return self._ask("open_orders", key, {**request.query}, needs=("read", "trade"))
            if method == "DELETE":
                return self._ask("cancel_all", key, {"fence": "account", **body})
        elif order is not None:
            ids = {"client_order_id": order.group(1)}
            if method == "GET":
                return self._ask("order_status", key, ids, needs=("read", "trade"))
            if method == "DELETE":
                return self._ask("cancel_order", key, ids)
            if method == "PATCH":
                return self._ask("amend_order", key, {**body, **ids})
        elif (method, path) == ("GET", "/v1/executions"):
            return self._executions(request, key)
        elif method == "GET" and path in ("/v1/positions", "/v1/balances"):
            status, frame = self._ask("account", key, {}, needs=("read", "trade"))
            name = path.removeprefix("/v1/")
            return (
                (status, {name: frame[name], "as_of_exec_seq": frame["as_of_exec_seq"]})
                if name in frame
                else (status, frame)
            )
        elif (method, path) == ("POST", "/v1/deadman"):
            return self._ask("deadman", key, body)
        elif (method, path) == ("POST", "/v1/cod"):
            return self._ask("set_cod", key, body)
        raise TurnedAway(404, "not_found", "no such route")

    def _ask(self, action: str, key: Key, frame: dict[str, Any], *, needs: tuple[str, ...] = ()) -> tuple[int, Any]:
        """Let a desk handle it and give back its first answer."""
        if needs and not key.may(*needs):
            raise TurnedAway(403, "KEY_SCOPE", "the key may not do this")
        floor = self.exchange.floor
        caller = Caller(floor, floor.members[key.account], key, session=None, req_id=frame.get("req_id"))
        floor.conduct.handle(caller, action, frame, ACTIONS[action])
        if not caller.answers:
            raise TurnedAway(504, "TIMEOUT", "no answer: the outcome is unknown")
        answer = caller.answers[0]
        if "code" not in answer:
            return 200, answer
        status = STATUS_OF_CODE.get(answer["code"], 400)
        return status, {**answer, "error": answer["code"], "message": answer.get("text", "")}

    @staticmethod
    def _check_idempotency(request: HttpRequest, body: dict[str, Any]) -> None:
        name = request.headers.get("idempotency-key")
        if name is not None and name != body.get("client_order_id"):
            raise TurnedAway(400, "MALFORMED", "Idempotency-Key is the client_order_id")

    def _executions(self, request: HttpRequest, key: Key) -> tuple[int, Any]:
        if not key.may("read", "trade"):
            raise TurnedAway(403, "KEY_SCOPE", "the key may not do this")
        after = _number(request.query, "after", 0)
        limit = min(_number(request.query, "limit", PAGE_MAX), PAGE_MAX)
        executions = self.exchange.floor.engine.executions[key.account]
        rows: list[dict[str, Any]] = []
        for frame in executions.since(after + 1):
            if len(rows) == limit:
                break
            rows.append(frame)
        return 200, {
            "executions": rows,
            "to_exec_seq": rows[-1]["exec_seq"] if rows else after,
            "last_exec_seq": executions.last_seq,
            "complete": after + 1 >= executions.first_kept,
        }

    def _keys(self, request: HttpRequest, key: Key) -> tuple[int, Any]:
        floor = self.exchange.floor
        found = re.fullmatch(r"/v1/keys(?:/([^/]+))?(/rotate)?", request.path)
        if found is None:
            raise TurnedAway(404, "not_found", "no such route")
        name, is_rotation = found.group(1), found.group(2) is not None
        if request.method == "DELETE" and name and not is_rotation:
            target = self._own_key(key, name)
            if not (door.may_manage(key) or key.may("revoke")):
                raise TurnedAway(403, "KEY_SCOPE", "needs revoke")
            if not target.is_deleted:
                door.delete_key(floor, target)
            return 200, {"id": target.key_id, "deleted": True}
        if request.method == "GET" and not name:
            if not (door.may_manage(key) or key.may("revoke", "read")):
                raise TurnedAway(403, "KEY_SCOPE", "needs the owner's login, read or revoke")
            return 200, {"keys": [_key_row(each) for each in floor.keys.of(key.account)]}
        if request.method != "POST":
            raise TurnedAway(404, "not_found", "no such route")
        if not door.may_manage(key):
            raise TurnedAway(403, "KEY_SCOPE", "only the owner's login makes keys")
        if name and is_rotation:
            target = self._own_key(key, name)
            return 200, {**_key_row(target), "secret": floor.keys.rotate(target, floor.clock.monotonic_ns())}
        if name:
            raise TurnedAway(404, "not_found", "no such route")
        body = read_object(request.body or b"{}")
        scopes, ips = body.get("scopes"), body.get("ip_allow", [])
        if not isinstance(scopes, list) or not scopes or not SCOPES.issuperset(scopes) or not isinstance(ips, list):
            raise TurnedAway(400, "bad_request", "scopes: of " + ", ".join(sorted(SCOPES)))
        made, secret = self.exchange.create_key(
            floor.members[key.account],
            str(body.get("label", ""))[:64],
            tuple(scopes),
            ip_allow=tuple(map(str, ips)),
            expires_ns=wall_ns(body, "expires_ns"),
        )
        return 201, {**_key_row(made), "secret": secret}

    def _own_key(self, key: Key, name: str) -> Key:
        target = self.exchange.floor.keys.keys.get(name)
        if target is None or target.account != key.account:
            raise TurnedAway(404, "not_found", "no such key")
        return target

    def _time(self, _: HttpRequest) -> tuple[int, Any]:
        now_ns = self.exchange.floor.now().wall_ns
        return 200, {"server_ts_ns": now_ns, "server_time_ms": now_ns // 1_000_000}

    def _instruments(self, _: HttpRequest) -> tuple[int, Any]:
        engine = self.exchange.floor.engine
        return 200, {"instruments": [each.frame(engine.status[each.symbol]) for each in engine.markets.values()]}

    def _book(self, symbol: str, request: HttpRequest) -> tuple[int, Any]:
        floor = self.exchange.floor
        if symbol not in floor.engine.markets:
            raise TurnedAway(404, "UNKNOWN_SYMBOL", "no such market")
        depth = max(1, min(_number(request.query, "depth", DEPTH_MAX), DEPTH_MAX))
        floor.engine.begin(floor.now())
        floor.flush()
        return 200, floor.market_data.rest_book(symbol, depth)

    def _register(self, request: HttpRequest) -> tuple[int, Any]:
        body = read_object(request.body or b"{}")
        if "hl_signing_key" in body:
            raise TurnedAway(400, "signing_key_refused", "this venue never takes a signing key")
        member, key, secret = self.exchange.register()
        return 201, {
            "agent_id": member.account.account_id,
            "api_key": secret,
            "key_id": key.key_id,
            "scopes": sorted(key.scopes),
            "tier": "free",
            "deposit_address": None,
        }

    def _claim(self, request: HttpRequest) -> tuple[int, Any]:
        body = read_object(request.body or b"{}")
        return 200, self.exchange.faucet.claim(body.get("agent_casino_id", body.get("agent_id")), request.ip)


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise TurnedAway(400, "bad_request", f"{name}: a whole number")
    return int(text)


def _key_row(key: Key) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "label": key.label,
        "scopes": sorted(key.scopes),
        "ip_allow": list(key.ip_allow),
        "expires_ns": key.expires_ns,
        "created_ns": key.created_ns,
    }
