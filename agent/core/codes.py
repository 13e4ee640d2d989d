"""Every reason for which the agent does not act, one code each; the reference page is made from this table.

`D_` is a drop: a decision that the opportunity is not for us. `R_` is a refusal by a limit of the risk core.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """A stable word; `EXPLANATIONS` says what it means and what to do."""

    HALTED = "R_HALTED"
    STALE_STATE = "D_STALE_STATE"
    NOT_IMPROVED = "D_NOT_IMPROVED"
    NO_PROFIT = "D_NO_PROFIT"
    NO_PRICE = "D_NO_PRICE"
    UNKNOWN_STATE = "D_UNKNOWN_STATE"
    SIM_REFUSED = "D_SIM_REFUSED"
    REVERTS = "D_REVERTS"
    TOKEN_TAXED = "D_TOKEN_TAXED"
    POOL_UNPROVED = "D_POOL_UNPROVED"
    SIM_MISMATCH = "D_SIM_MISMATCH"
    POOL_QUARANTINED = "D_POOL_QUARANTINED"
    BELOW_GAS = "D_BELOW_GAS"
    BELOW_MIN_NET = "D_BELOW_MIN_NET"
    DUPLICATE = "D_DUPLICATE"
    TABLE_FULL = "D_TABLE_FULL"
    CONFLICT = "D_CONFLICT"
    NOT_SELECTED = "D_NOT_SELECTED"
    NO_KEY = "D_NO_KEY"
    TARGET_GONE = "D_TARGET_GONE"
    RELAY_DISAGREES = "D_RELAY_DISAGREES"
    NOTHING_SENT = "D_NOTHING_SENT"
    GAS_BUDGET = "R_GAS_BUDGET"
    EXPOSURE = "R_EXPOSURE"
    RATE = "R_RATE"
    KILLED = "R_KILLED"
    GUARD_LOST = "R_GUARD_LOST"
    PAUSED = "R_PAUSED"
    REDUCE_ONLY = "R_REDUCE_ONLY"
    LIMIT_ONLY = "R_LIMIT_ONLY"
    NOT_LIVE = "R_NOT_LIVE"
    STALE_EPOCH = "R_STALE_EPOCH"
    VENUE_UNACKED = "R_VENUE_UNACKED"
    JOURNAL_UNHEALTHY = "R_JOURNAL_UNHEALTHY"
    UNKNOWN_INSTRUMENT = "R_UNKNOWN_INSTRUMENT"
    NOT_TRADING = "R_NOT_TRADING"
    NOT_WHITELISTED = "R_NOT_WHITELISTED"
    SYMBOL_FENCED = "R_SYMBOL_FENCED"
    BAD_FIELD = "R_BAD_FIELD"
    BAD_TICK = "R_BAD_TICK"
    BAD_LOT = "R_BAD_LOT"
    QTY_RANGE = "R_QTY_RANGE"
    MIN_NOTIONAL = "R_MIN_NOTIONAL"
    STALE_DATA = "R_STALE_DATA"
    CROSSED_BOOK = "R_CROSSED_BOOK"
    EXPIRED = "R_EXPIRED"
    DECISION_STALE = "R_DECISION_STALE"
    DUPLICATE_INTENT = "R_DUPLICATE_INTENT"
    PRICE_COLLAR = "R_PRICE_COLLAR"
    MAX_ORDER_QTY = "R_MAX_ORDER_QTY"
    MAX_ORDER_NOTIONAL = "R_MAX_ORDER_NOTIONAL"
    WOULD_CROSS = "R_WOULD_CROSS"
    SELF_TRADE = "R_SELF_TRADE"
    MAX_POSITION = "R_MAX_POSITION"
    MAX_GROSS = "R_MAX_GROSS"
    MAX_NET = "R_MAX_NET"
    INSUFFICIENT_FUNDS = "R_INSUFFICIENT_FUNDS"
    LOSS_BUDGET = "R_LOSS_BUDGET"
    MAX_OPEN_ORDERS = "R_MAX_OPEN_ORDERS"
    MAX_DAILY_NOTIONAL = "R_MAX_DAILY_NOTIONAL"
    MAX_DAILY_ORDERS = "R_MAX_DAILY_ORDERS"
    REPEAT_THROTTLE = "R_REPEAT_THROTTLE"
    QUEUE_TTL = "R_QUEUE_TTL"
    QUEUE_FULL = "R_QUEUE_FULL"
    TOUCH_MOVED = "R_TOUCH_MOVED"
    SIGNAL_MALFORMED = "R_SIGNAL_MALFORMED"
    SIGNAL_NOT_AUTHENTIC = "R_SIGNAL_NOT_AUTHENTIC"
    SIGNAL_REPLAYED = "R_SIGNAL_REPLAYED"
    SIGNAL_TOO_LONG = "R_SIGNAL_TOO_LONG"
    SIGNAL_INPUT_OLD = "R_SIGNAL_INPUT_OLD"
    SIGNAL_BUDGET = "R_SIGNAL_BUDGET"
    SIGNALS_FULL = "R_SIGNALS_FULL"
    SIGNAL_GIVEN_UP = "R_SIGNAL_GIVEN_UP"
    SIGNAL_WITHDRAWN = "R_SIGNAL_WITHDRAWN"
    ADOPT_TOGETHER = "R_ADOPT_TOGETHER"
    NOTHING_TO_ADOPT = "R_NOTHING_TO_ADOPT"
    HEAD_OLD = "R_HEAD_OLD"
    WRONG_CHAIN = "R_WRONG_CHAIN"
    EXECUTOR_CHANGED = "R_EXECUTOR_CHANGED"
    NODE_SYNCING = "R_NODE_SYNCING"
    NONCE_DISAGREES = "R_NONCE_DISAGREES"
    CALLDATA_DIFFERS = "R_CALLDATA_DIFFERS"
    TARGET_PASSED = "R_TARGET_PASSED"
    CUTOFF_PASSED = "R_CUTOFF_PASSED"
    DUPLICATE_BUNDLE = "R_DUPLICATE_BUNDLE"
    BASE_FEE_BOUND = "R_BASE_FEE_BOUND"
    NO_INVENTORY = "R_NO_INVENTORY"
    LAST_GUARD = "R_LAST_GUARD"


EXPLANATIONS: dict[Code, str] = {
    Code.HALTED: "The agent is halted; only a person at a terminal resets it.",
    Code.STALE_STATE: "The state the figure belongs to is not the head any more; it is searched again on the new one.",
    Code.NOT_IMPROVED: "The target did not improve the cycle: what stood open before it is a head, not a backrun.",
    Code.NO_PROFIT: "The quotes give no profit at any size.",
    Code.NO_PRICE: "No pool gives a price of the start token in ETH, so profit cannot be weighed against gas.",
    Code.UNKNOWN_STATE: "The simulation needs state that the node does not know; the missing slots are listed.",
    Code.SIM_REFUSED: "The node would not execute the sequence (nonce, funds or fee); its word is in the reason.",
    Code.REVERTS: "Execution reverts although the quotes promise profit.",
    Code.TOKEN_TAXED: "A token on the route delivers another amount than is sent; it is refused.",
    Code.POOL_UNPROVED: "A pool of no known factory pays another amount than its getters promise; it is left out.",
    Code.SIM_MISMATCH: "Execution pays another amount than the quote: a defect of a quote; the pools are quarantined.",
    Code.POOL_QUARANTINED: "A pool on the route was quarantined after a mismatch.",
    Code.BELOW_GAS: "The gross profit does not cover gas at the base fee.",
    Code.BELOW_MIN_NET: "What is left after gas and bid is under the configured minimum.",
    Code.DUPLICATE: "The same cycle at the same moment was decided already.",
    Code.TABLE_FULL: "So many opportunities of this head are open that no more are remembered; the next head empties it.",
    Code.CONFLICT: "It shares a pool with one that pays more in the same block.",
    Code.NOT_SELECTED: "Another opportunity was asked for by name.",
    Code.NO_KEY: "Every operator key already carries a bundle for this block.",
    Code.TARGET_GONE: "The transaction it would run behind was replaced or dropped.",
    Code.RELAY_DISAGREES: "The relay's own simulation gives another result than ours; nothing was sent.",
    Code.NOTHING_SENT: "This mode sends nothing.",
    Code.GAS_BUDGET: "The day's gas budget would be passed.",
    Code.EXPOSURE: "Gas at risk over all live bundles would pass its limit.",
    Code.RATE: "The number of bundles for this block is at its limit, or no endpoint takes one more.",
    Code.KILLED: "The latch is set or the kill file lies there; a person resets it with the guard's tool.",
    Code.GUARD_LOST: "The guard's pulse is too old or its link is gone; for a short while only what reduces may go out.",
    Code.PAUSED: "A breaker paused trading for a while; only what reduces a position may go out.",
    Code.REDUCE_ONLY: "Only what reduces a position may go out, and this does not, though it may be marked so.",
    Code.LIMIT_ONLY: "Slippage was too high: only orders that may rest are let out until it is low again.",
    Code.NOT_LIVE: "The venue's session is not live: down, or not yet reconciled.",
    Code.STALE_EPOCH: "It was decided under a session that has ended since.",
    Code.VENUE_UNACKED: "The venue does not prove that it acknowledges orders, so none is sent.",
    Code.JOURNAL_UNHEALTHY: "The journal cannot take what the order needs: poisoned, without space, or not synced in time.",
    Code.UNKNOWN_INSTRUMENT: "The venue never defined this symbol.",
    Code.NOT_TRADING: "The venue does not take such orders of this instrument now.",
    Code.NOT_WHITELISTED: "The symbol is not among those that may be traded.",
    Code.SYMBOL_FENCED: "The fate of an earlier order of this symbol is unknown; it is settled first.",
    Code.BAD_FIELD: "A field has no value of its kind.",
    Code.BAD_TICK: "The price is no positive multiple of the tick.",
    Code.BAD_LOT: "The quantity is no positive multiple of the lot.",
    Code.QTY_RANGE: "The quantity is outside what the venue takes in one order.",
    Code.MIN_NOTIONAL: "The order's value is below the venue's minimum.",
    Code.STALE_DATA: "Book or mark is missing, discarded or too old to be decided on.",
    Code.CROSSED_BOOK: "The book's best bid is not below its best ask.",
    Code.EXPIRED: "The signal or the order's own time has ended.",
    Code.DECISION_STALE: "The decision is older than an order may be that acts on it.",
    Code.DUPLICATE_INTENT: "The same order was sent too many times within a moment.",
    Code.PRICE_COLLAR: "The price is too far from the middle, the last trade, the touch, or the venue's band.",
    Code.MAX_ORDER_QTY: "The quantity is above the limit of one order.",
    Code.MAX_ORDER_NOTIONAL: "The value is above the limit of one order.",
    Code.WOULD_CROSS: "A post-only order at this price would take.",
    Code.SELF_TRADE: "It could trade with an order of ours.",
    Code.MAX_POSITION: "If every order of this side filled, the position would be above its limit.",
    Code.MAX_GROSS: "The worst positions of all symbols together would be above their limit.",
    Code.MAX_NET: "If every order of one side filled, the net position over all symbols would be above its limit.",
    Code.INSUFFICIENT_FUNDS: "The balance does not cover it with fees and what is reserved already.",
    Code.LOSS_BUDGET: "The day's loss and what could be lost by a jump of prices would pass the day's limit.",
    Code.MAX_OPEN_ORDERS: "So many orders are open that no more are opened, for the symbol or in all.",
    Code.MAX_DAILY_NOTIONAL: "The value of all orders of the day would pass its limit.",
    Code.MAX_DAILY_ORDERS: "The number of orders of the day is at its limit.",
    Code.REPEAT_THROTTLE: "The strategy entered the same side again and again without a sign of life.",
    Code.QUEUE_TTL: "No token of the order rate came before the order's time in the queue ended.",
    Code.QUEUE_FULL: "The queue for tokens of the order rate is full.",
    Code.TOUCH_MOVED: "The touch it was priced against moved away while it waited for a token.",
    Code.SIGNAL_MALFORMED: "What came as a signal is none: not JSON, not of its shape, too long, or too much at once.",
    Code.SIGNAL_NOT_AUTHENTIC: "The producer's code over the signal does not hold, or the producer is not known.",
    Code.SIGNAL_REPLAYED: "A signal with this id came before.",
    Code.SIGNAL_TOO_LONG: "The signal would live longer than a signal may.",
    Code.SIGNAL_INPUT_OLD: "What the signal was computed from is too old, or not known.",
    Code.SIGNAL_BUDGET: "The producer's budget of signals or of value is spent.",
    Code.SIGNALS_FULL: "As many signals wait as are kept; the new one is refused, none is forgotten for it.",
    Code.SIGNAL_GIVEN_UP: "So many orders for this signal came to nothing that no more is tried.",
    Code.SIGNAL_WITHDRAWN: "Everything of its symbol was cancelled, the signal with it.",
    Code.ADOPT_TOGETHER: "Other symbols of the same currency differ as well, so that none can be adopted alone.",
    Code.NOTHING_TO_ADOPT: "Asked anew, the venue states what our books say: there is nothing to adopt.",
    Code.HEAD_OLD: "The newest head is older than a head should be: the feed or the chain stands still.",
    Code.WRONG_CHAIN: "The node answers for another chain than the configured one.",
    Code.EXECUTOR_CHANGED: "The code at the executor's address is not the one that was checked.",
    Code.NODE_SYNCING: "The node is not in step with the chain.",
    Code.NONCE_DISAGREES: "The node's count of our transactions is not our own.",
    Code.CALLDATA_DIFFERS: "What would be signed does not decode to the plan that was executed.",
    Code.TARGET_PASSED: "The block it aims at is here or behind.",
    Code.CUTOFF_PASSED: "It is too late in the slot for a bundle to be included.",
    Code.DUPLICATE_BUNDLE: "A live bundle already takes the same pools behind the same target.",
    Code.BASE_FEE_BOUND: "The base fee it was priced with is not the exact one of its target block, or above its fee cap.",
    Code.NO_INVENTORY: "An order with a direction needs inventory, which the executor must not hold.",
    Code.LAST_GUARD: "It exceeds a cap beside the key, which knows nothing of the core: the core should have refused it.",
}

assert set(EXPLANATIONS) == set(Code), "every code is explained"
