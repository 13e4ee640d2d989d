"""A node that has not seen the last blocks yet: requests and answers rewritten as it would give them.

Pure. `shown` is the number of the last block that the lagging node knows.
"""

from __future__ import annotations

from typing import Any

from agent.eth.hexes import from_quantity, to_quantity

_MOVING_TAGS = ("latest", "pending")


class Unforwarded:
    """An answer that the proxy gives itself."""

    __slots__ = ("result",)

    def __init__(self, result: object) -> None:
        self.result = result


def lagging_request(method: str, params: list[Any], shown: int) -> list[Any] | Unforwarded:
    """The parameters to ask the real node with, or the answer where the lagging node has nothing."""
    if method == "eth_blockNumber":
        return Unforwarded(to_quantity(shown))
    if method in ("eth_getBlockByNumber", "eth_getBlockReceipts") and params and _number(params[0]) > shown:
        return Unforwarded(None)
    return [_shift(param, shown) for param in params]


def lagging_answer(method: str, answer: dict[str, Any], shown: int) -> dict[str, Any]:
    """The answer without what belongs to later blocks: null for a block, geth's error for logs by hash."""
    result = answer.get("result")
    if isinstance(result, dict) and (
        _number(result.get("number")) > shown or _number(result.get("blockNumber")) > shown
    ):
        return {**answer, "result": None}
    if isinstance(result, list) and any(
        isinstance(item, dict) and _number(item.get("blockNumber")) > shown for item in result
    ):
        if method == "eth_getLogs":
            rest = {key: value for key, value in answer.items() if key != "result"}
            return {**rest, "error": {"code": -32000, "message": "unknown block"}}
        return {**answer, "result": None}
    return answer


def _shift(param: Any, shown: int) -> Any:
    if isinstance(param, str) and param in _MOVING_TAGS:
        return to_quantity(shown)
    if isinstance(param, dict) and ("fromBlock" in param or "toBlock" in param):
        moved = {key: _shift(value, shown) for key, value in param.items()}
        if "toBlock" not in moved or _number(moved["toBlock"]) > shown:
            moved["toBlock"] = to_quantity(shown)
        return moved
    return param


def _number(value: Any) -> int:
    """The block number in a quantity; -1 where there is none (tags, hashes, absent)."""
    if not isinstance(value, str) or len(value) > 18:
        return -1
    try:
        return from_quantity(value)
    except ValueError:
        return -1
