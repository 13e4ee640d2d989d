"""A venue for the guard's tests: keys, epochs, orders and a ledger with the times of everything, on its own clock.

It is not the simulated venue: it knows nothing but what stopping needs, and can misbehave in the ways that matter.
Orders come by REST; a login raises the epoch, and an order of an older epoch is refused.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

AGENT_KEY_ID, AGENT_KEY = "key_agent", "pf_agent_secret"
GUARD_KEY_ID, GUARD_KEY = "key_guard", "pf_guard_secret"
FOREIGN = "not-ours"
SCOPES = {AGENT_KEY: {"trade", "read", "cancel"}, GUARD_KEY: {"read", "cancel", "revoke"}}


class Entry(NamedTuple):
    """One line of the ledger."""

    at_ns: int
    what: str
    who: str
    detail: str


class VenueDouble:
    """Serves on loopback until `stop`. The knobs may be turned while it serves."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.ledger: list[Entry] = []
        self.keys: dict[str, float | None] = {AGENT_KEY: None, GUARD_KEY: None}
        """When each key dies; None while it lives for ever."""
        self.key_ids = {AGENT_KEY_ID: AGENT_KEY, GUARD_KEY_ID: GUARD_KEY}
        self.epoch = 0
        self.orders: dict[str, dict[str, Any]] = {}
        self.positions: dict[str, str] = {}
        self.balance = "100000"
        self.exec_seq = 0
        self.executions: list[dict[str, Any]] = []
        self.forgotten_seq = 0
        """Executions up to here are not kept any more."""
        self.deadline_ns: int | None = None
        self.deleted_keys_live_s = 0.0
        self.cancel_all_leaves = 0
        """How many orders a cancel-all leaves open although it answers that all is done."""
        self.cancel_all_answers_without_cancelling = 0
        """How many cancel-alls are answered and not done at all."""
        self.says_complete = True
        self.is_deaf = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def times(self, what: str, since_ns: int = 0) -> list[int]:
        """When that happened, after an instant."""
        with self.lock:
            return [entry.at_ns for entry in self.ledger if entry.what == what and entry.at_ns >= since_ns]

    def open_ids(self) -> list[str]:
        with self.lock:
            return list(self.orders)

    def note(self, what: str, who: str = "", detail: str = "") -> None:
        self.ledger.append(Entry(time.monotonic_ns(), what, who, detail))

    def execution(self, kind: str, **fields: Any) -> None:
        self.exec_seq += 1
        at_us = time.time_ns() // 1000
        self.executions.append({"type": kind, "exec_seq": self.exec_seq, "exchange_ts": at_us, **fields})

    def may(self, key: str, scope: str) -> int:
        """0, or the HTTP status of the refusal."""
        dies_at = self.keys.get(key, 0.0)
        if dies_at is not None and time.monotonic() >= dies_at:
            return 401
        return 0 if scope in SCOPES[key] else 403

    def answer(self, method: str, path: str, query: dict[str, str], key: str, body: dict[str, Any]) -> tuple[int, Any]:
        with self.lock:
            return self._answer(method, path, query, key, body)

    def _answer(self, method: str, path: str, query: dict[str, str], key: str, body: dict[str, Any]) -> tuple[int, Any]:
        needs = {"POST /v1/orders": "trade", "POST /v1/login": "trade", "DELETE /v1/orders": "cancel"}
        scope = needs.get(f"{method} {path}", "read")
        if path.startswith("/v1/keys/"):
            scope = "revoke"
        elif path == "/v1/deadman":
            scope = "cancel"
        elif path == "/v1/keys":
            scope = "read"
        refusal = self.may(key, scope)
        if refusal:
            self.note(f"refused_{refusal}", key, f"{method} {path}")
            return refusal, {"error": "KEY_REVOKED" if refusal == 401 else "KEY_SCOPE"}
        match method, path.split("/")[2:]:
            case "POST", ["login"]:
                self.epoch += 1
                return 200, {"session_epoch": self.epoch}
            case "POST", ["orders"]:
                return self._place(key, body)
            case "GET", ["orders"]:
                rows = list(self.orders.values())
                return 200, {"orders": rows, "complete": self.says_complete, "as_of_exec_seq": self.exec_seq}
            case "DELETE", ["orders"]:
                return self._cancel_all(key, query, body)
            case "DELETE", ["keys", key_id]:
                if key_id not in self.key_ids:
                    return 404, {"error": "not_found"}
                self.keys[self.key_ids.pop(key_id)] = time.monotonic() + self.deleted_keys_live_s
                self.note("key_deleted", key, key_id)
                return 200, {"deleted": True}
            case "GET", ["keys"]:
                return 200, {"keys": [{"id": key_id} for key_id in self.key_ids]}
            case "GET", ["positions"]:
                return 200, {"positions": [{"symbol": name, "qty": qty} for name, qty in self.positions.items()]}
            case "GET", ["balances"]:
                return 200, {"balances": [{"ccy": "USDC", "total": self.balance, "available": self.balance}]}
            case "GET", ["executions"]:
                after = int(query.get("after", "0"))
                rows = [row for row in self.executions if row["exec_seq"] > after][:1000]
                return 200, {
                    "executions": rows,
                    "to_exec_seq": rows[-1]["exec_seq"] if rows else after,
                    "last_exec_seq": self.exec_seq,
                    "complete": after >= self.forgotten_seq,
                }
            case "GET", ["markets", _, "orderbook"]:
                return 200, {"bids": [["99.5", "10"]], "asks": [["100.5", "10"]]}
            case "POST", ["deadman"]:
                timeout_ms = int(body["timeout_ms"])
                self.deadline_ns = time.monotonic_ns() + timeout_ms * 1_000_000 if timeout_ms else None
                self.note("deadman", key, str(timeout_ms))
                return 200, {"type": "deadman_ack"}
        return 404, {"error": "not_found"}

    def _place(self, key: str, body: dict[str, Any]) -> tuple[int, Any]:
        if body["session_epoch"] != self.epoch:
            self.note("stale", key, body["client_order_id"])
            return 409, {"error": "STALE_EPOCH"}
        name = body["client_order_id"]
        self.note("accepted", key, name)
        self.execution("order_ack", client_order_id=name)
        self.orders[name] = {
            "client_order_id": name,
            "symbol": body.get("symbol", "BTC-USDC"),
            "side": body.get("side", "buy"),
            "quantity": body.get("quantity", "0.001"),
            "price": "100",
            "cum_qty": "0",
        }
        if len(self.orders) > 50:
            del self.orders[next(other for other in self.orders if other != FOREIGN)]
        return 200, {"type": "order_ack", "client_order_id": name, "exec_seq": self.exec_seq}

    def _cancel_all(self, key: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        if self.cancel_all_answers_without_cancelling:
            self.cancel_all_answers_without_cancelling -= 1
            return 200, {"type": "cancel_all_done"}
        if "account" in (query.get("fence"), body.get("fence")):
            self.epoch += 1
        kept = list(self.orders.items())[: self.cancel_all_leaves]
        for name in [name for name in self.orders if name not in dict(kept)]:
            del self.orders[name]
            self.execution("order_canceled", client_order_id=name)
        self.note("cancel_all", key, body.get("symbol", ""))
        self.cancel_all_leaves = 0 if body.get("symbol") else self.cancel_all_leaves
        return 200, {"type": "cancel_all_done"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        venue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def do_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                if venue.is_deaf:
                    time.sleep(5)
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                key = self.headers.get("X-API-Key", "")
                status, content = venue.answer(self.command, parts.path, query, key, json.loads(raw or b"{}"))
                answer = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_DELETE = do_any

            def log_message(self, *_: object) -> None:
                pass

        return Handler
