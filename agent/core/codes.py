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
    Code.RATE: "The number of bundles for this block is at its limit.",
}

assert set(EXPLANATIONS) == set(Code), "every code is explained"
