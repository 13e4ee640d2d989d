"""The venue's frames as events, for scripted life cycles. A protocol class may take this file's place:
`event_of(frame, asked, epoch)` is all that the scripts need of it.
"""

from __future__ import annotations

from typing import Any

from agent.core.events.orders import (
    Amended,
    AmendReject,
    Asked,
    Canceled,
    CancelReject,
    FenceDone,
    Fill,
    OpenOrder,
    OpenOrders,
    OrderAck,
    OrderEvent,
    OrderStatus,
    Reject,
    ReplayDone,
    SessionDown,
    TradeBusted,
)
from agent.core.instruments import Side

SYMBOL = "BTC-USDC"


def lots(text: str) -> int:
    """Of a lot of 0.001."""
    whole, _, part = text.partition(".")
    assert len(part) == 3
    return int(whole + part)


def ticks(text: str) -> int:
    """Of a tick of 0.1."""
    whole, _, part = text.partition(".")
    assert len(part) == 1
    return int(whole + part)


def event_of(frame: dict[str, Any], asked: Asked | None, epoch: int) -> OrderEvent:
    return _READERS[frame["type"]](frame, asked, epoch)


def _ids(frame: dict[str, Any]) -> dict[str, Any]:
    return {"client_order_id": frame["client_order_id"], "order_id": frame.get("order_id", "")}


def _ack(frame: dict[str, Any], asked: Asked | None, epoch: int) -> OrderAck:
    return OrderAck(
        **_ids(frame),
        exec_seq=frame["exec_seq"],
        status=frame["status"],
        cum_lots=lots(frame["cum_qty"]),
        is_duplicate=frame["duplicate"],
        is_replayed=frame.get("replayed", False),
        epoch=epoch,
    )


def _fill(frame: dict[str, Any], asked: Asked | None, epoch: int) -> Fill:
    return Fill(
        **_ids(frame),
        exec_seq=frame["exec_seq"],
        symbol=frame["symbol"],
        trade_id=frame["trade_id"],
        side=Side(frame["side"]),
        lots=lots(frame["qty"]),
        price_ticks=ticks(frame["price"]),
        is_maker=frame["liquidity"] == "maker",
        fee=0,
        fee_currency=frame["fee_ccy"],
        cum_lots=lots(frame["cum_qty"]),
        leaves_lots=lots(frame["leaves_qty"]),
        is_replayed=frame["replayed"],
        epoch=epoch,
    )


def _reject(frame: dict[str, Any], asked: Asked | None, epoch: int) -> Reject:
    return Reject(
        client_order_id=frame["client_order_id"], code=frame["code"], exec_seq=frame.get("exec_seq"), epoch=epoch
    )


def _canceled(frame: dict[str, Any], asked: Asked | None, epoch: int) -> Canceled:
    return Canceled(
        **_ids(frame),
        exec_seq=frame["exec_seq"],
        cum_lots=lots(frame["cum_qty"]),
        reason=frame["reason"],
        is_replayed=frame.get("replayed", False),
        epoch=epoch,
    )


def _cancel_reject(frame: dict[str, Any], asked: Asked | None, epoch: int) -> CancelReject:
    return CancelReject(
        client_order_id=frame["client_order_id"],
        code=frame["code"],
        retry_after_ms=frame.get("retry_after_ms"),
        epoch=epoch,
    )


def _amended(frame: dict[str, Any], asked: Asked | None, epoch: int) -> Amended:
    total_lots, cum_lots = lots(frame["quantity"]), lots(frame["cum_qty"])
    return Amended(
        **_ids(frame),
        exec_seq=frame["exec_seq"],
        total_lots=total_lots,
        price_ticks=ticks(frame["price"]),
        cum_lots=cum_lots,
        leaves_lots=max(0, total_lots - cum_lots),
        epoch=epoch,
    )


def _amend_reject(frame: dict[str, Any], asked: Asked | None, epoch: int) -> AmendReject:
    return AmendReject(client_order_id=frame["client_order_id"], code=frame["code"], epoch=epoch)


def _status(frame: dict[str, Any], asked: Asked | None, epoch: int) -> OrderStatus:
    assert asked is not None
    return OrderStatus(
        **_ids(frame),
        status=frame["status"],
        as_of_exec_seq=frame["as_of_exec_seq"],
        total_lots=lots(frame["quantity"]) if "quantity" in frame else None,
        price_ticks=ticks(frame["price"]) if "price" in frame else None,
        cum_lots=lots(frame["cum_qty"]) if "cum_qty" in frame else None,
        never_seen=frame.get("never_seen", False),
        asked=asked,
        epoch=epoch,
    )


def _open_orders(frame: dict[str, Any], asked: Asked | None, epoch: int) -> OpenOrders:
    assert asked is not None
    rows = tuple(
        OpenOrder(
            **_ids(row),
            symbol=SYMBOL,
            side=Side.BUY,
            total_lots=lots(row["quantity"]),
            price_ticks=ticks(row["price"]),
            cum_lots=lots(row["cum_qty"]),
        )
        for row in frame["orders"]
    )
    return OpenOrders(
        as_of_exec_seq=frame["as_of_exec_seq"], is_complete=frame["complete"], orders=rows, asked=asked, epoch=epoch
    )


def _fence(frame: dict[str, Any], asked: Asked | None, epoch: int) -> FenceDone:
    return FenceDone(
        request_id=frame["req_id"],
        scope="account",
        canceled=tuple(frame["canceled"]),
        exec_seq=frame["exec_seq"],
        epoch=epoch,
    )


def _bust(frame: dict[str, Any], asked: Asked | None, epoch: int) -> TradeBusted:
    return TradeBusted(exec_seq=frame["exec_seq"], trade_id=frame["trade_id"], lots=lots(frame["qty"]), epoch=epoch)


def _replay_done(frame: dict[str, Any], asked: Asked | None, epoch: int) -> ReplayDone:
    return ReplayDone(frame["to_exec_seq"], epoch)


def _epoch_ended(frame: dict[str, Any], asked: Asked | None, epoch: int) -> SessionDown:
    return SessionDown(reason=frame["reason"], is_terminal=frame["reason"] != "fence")


_READERS = {
    "order_ack": _ack,
    "fill": _fill,
    "reject": _reject,
    "order_canceled": _canceled,
    "cancel_reject": _cancel_reject,
    "order_amended": _amended,
    "amend_reject": _amend_reject,
    "order_state": _status,
    "open_orders": _open_orders,
    "cancel_all_done": _fence,
    "trade_bust": _bust,
    "trade_correct": _bust,
    "replay_done": _replay_done,
    "epoch_ended": _epoch_ended,
}
