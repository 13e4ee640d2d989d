"""Every knob: what it does, and what can be set about it. The reference page is held to this table."""

from __future__ import annotations

from typing import NamedTuple


class Knob(NamedTuple):
    """One way of misbehaving. `modes` are the values of the parameter `mode`, the first being the default."""

    says: str
    parameters: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()


KNOBS: dict[str, Knob] = {
    "F1": Knob("delays frames, or with direction `in` requests", ("ms", "median_ms", "sigma", "direction")),
    "F2": Knob("lets up to n later frames overtake a frame", ("n",)),
    "F3": Knob("sends a frame more than once", ("copies",)),
    "F4": Knob("drops a frame; the link stays well"),
    "F5": Knob("drops a fill (one, where no count is set)"),
    "F6": Knob("drops an ack; the order lives"),
    "F7": Knob(
        "the ack comes after the first fill, in mode `numbered` also by its exec_seq", ("mode",), ("frame", "numbered")
    ),
    "F8": Knob("a cancelled order is filled after its cancellation was told", ("lots", "owed")),
    "F9": Knob("an order fills just before its cancel arrives, which is refused"),
    "F10": Knob(
        "an order fills while its amend is on the way: in part, or wholly", ("mode", "lots"), ("amended", "rejected")
    ),
    "F11": Knob("answers a place with INTERNAL or another code; the order lives or not", ("live", "code")),
    "F12": Knob("says not_found of an order that lives, for so long after it was taken", ("for_s", "never_seen")),
    "F13": Knob("an open-orders answer that is empty, or not complete", ("mode",), ("empty", "incomplete")),
    "F14": Knob("no answer to a status request (by REST a 504 after a wait)", ("ms",)),
    "F15": Knob("a fill of an id that was never sent", ("symbol", "side", "qty", "price", "client_order_id")),
    "F16": Knob("a fill with a wrong quantity, side or sign of the fee", ("mode", "factor"), ("qty", "side", "fee")),
    "F17": Knob("busts the trade of a fill after a while", ("after_s",)),
    "F18": Knob("trades are cut into small ones", ("lots",)),
    "F19": Knob("cuts the connection after a place was taken, before its ack"),
    "F20": Knob("cuts the connection instead of sending a fill"),
    "F21": Knob("the socket reads nothing and sends nothing", ("for_s",)),
    "F22": Knob("the socket sends nothing while frames pile up", ("for_s",)),
    "F23": Knob("takes a connection and closes it at once", ("code",)),
    "F24": Knob(
        "refuses a handshake, or deletes the key of a running session", ("mode", "status"), ("handshake", "revoke")
    ),
    "F25": Knob("somebody else logs in with the account's trade key"),
    "F26": Knob("the server restarts, and forgets the last so many milliseconds", ("lose_ms", "down_ms")),
    "F27": Knob("book_seq starts anew without a snapshot"),
    "F28": Knob("a book that cannot be right", ("mode",), ("gap", "crossed", "checksum", "ghost")),
    "F29": Knob("a tick of an unknown symbol, or in another unit of time", ("mode",), ("symbol", "unit")),
    "F30": Knob("the server's clock is off, drifts, or steps", ("offset_ms", "drift_ppm")),
    "F31": Knob(
        "bytes that are no frame of the contract",
        ("mode",),
        ("json", "nan", "numbers", "huge", "deep", "oversize", "duplicate", "utf8"),
    ),
    "F32": Knob(
        "refuses by rate, with right headers, none, or wrong ones",
        ("mode", "retry_after_ms"),
        ("headers", "none", "wrong"),
    ),
    "F33": Knob("cancel-on-disconnect acts late, or without `ms` never", ("ms",)),
    "F34": Knob("the dead-man timer fires early by `ms`, or without it never", ("ms",)),
    "F35": Knob("cancel-all says done and leaves orders", ("leaves",)),
    "F36": Knob(
        "closes with a code, drains, goes into maintenance, or sends hostile text",
        ("mode", "code", "ms", "text"),
        ("close", "drain", "maintenance", "text"),
    ),
    "deleted_key_lives": Knob("a deleted key works on for a while, its sockets and orders too", ("for_s",)),
}
