"""What gas and blobs will cost: the exact next fee, and bounds for later blocks. Wei per gas.

Every division floors where the protocol's does; the order (multiply, divide by target, divide by the
denominator) is part of the rule. Sources: EIP-1559, EIP-4844, EIP-7918, OP stack specs (holocene and
jovian exec-engine).
"""

from __future__ import annotations

import msgspec

from agent.eth.forks import BLOB_SCHEDULES, BlobSchedule, Fork
from agent.eth.units import Gas, Wei

ELASTICITY = 2
MAX_CHANGE_DENOMINATOR = 8
GAS_LIMIT_BOUND_DIVISOR = 1024
"""A block's gas limit differs from its parent's by less than the parent's divided by this."""

GAS_PER_BLOB = 131_072
MIN_BLOB_BASE_FEE_WEI = 1
BLOB_BASE_COST = 8_192
"""EIP-7918: execution gas that a blob's fee must at least be worth."""


def next_base_fee(
    base_fee_wei: Wei,
    *,
    gas_used: Gas,
    gas_limit: Gas,
    elasticity: int = ELASTICITY,
    denominator: int = MAX_CHANGE_DENOMINATOR,
) -> Wei:
    """The base fee that the child of this block must carry.

    A rise is at least 1 wei. ValueError for gas used above the limit: such a header is none.
    """
    if not 0 <= gas_used <= gas_limit:
        raise ValueError(f"gas used {gas_used} is not in 0..{gas_limit}")
    return _moved(base_fee_wei, gas_used, gas_limit // elasticity, denominator)


def worst_base_fee(base_fee_wei: Wei, *, gas_limit: Gas, blocks: int) -> Wei:
    """The highest base fee possible after `blocks` full blocks of exactly this gas limit."""
    for _ in range(blocks):
        base_fee_wei = next_base_fee(base_fee_wei, gas_used=gas_limit, gas_limit=gas_limit)
    return base_fee_wei


def base_fee_bound(base_fee_wei: Wei, *, gas_limit: Gas, blocks: int) -> Wei:
    """A base fee that no `blocks` blocks can pass, whatever their gas limits, odd or even, do meanwhile.

    An odd limit puts the target half a gas lower, so a full block rises by more than an eighth; the smallest
    target that the limits may reach bounds that excess.
    """
    for _ in range(blocks):
        target = gas_limit // ELASTICITY
        base_fee_wei = Wei(base_fee_wei + max(base_fee_wei * (target + 1) // target // MAX_CHANGE_DENOMINATOR, 1))
        gas_limit = Gas(gas_limit - gas_limit // GAS_LIMIT_BOUND_DIVISOR)
    return base_fee_wei


def blob_base_fee(excess_blob_gas: int, schedule: BlobSchedule) -> Wei:
    """Wei per blob gas in a block with this excess (EIP-4844, fake_exponential)."""
    numerator, denominator = excess_blob_gas, schedule.update_fraction
    step, total, i = MIN_BLOB_BASE_FEE_WEI * denominator, 0, 1
    while step > 0:
        total += step
        step = step * numerator // (denominator * i)
        i += 1
    return Wei(total // denominator)


def next_excess_blob_gas(
    *, excess_blob_gas: int, blob_gas_used: int, parent_base_fee_wei: Wei, child_fork: Fork
) -> int:
    """Excess blob gas of the child of a block with these header fields.

    The schedule is that of the child's fork, also across a fork's boundary.
    """
    schedule = BLOB_SCHEDULES[child_fork]
    target = schedule.target * GAS_PER_BLOB
    if excess_blob_gas + blob_gas_used < target:
        return 0
    if child_fork >= Fork.OSAKA:
        blob_price = GAS_PER_BLOB * blob_base_fee(excess_blob_gas, schedule)
        if BLOB_BASE_COST * parent_base_fee_wei > blob_price:
            # EIP-7918: while execution is dearer than blobs, the excess only grows.
            return excess_blob_gas + blob_gas_used * (schedule.maximum - schedule.target) // schedule.maximum
    return excess_blob_gas + blob_gas_used - target


class OpFeeRule(msgspec.Struct, frozen=True, gc=False):
    """The fee rule that an OP-stack block's extraData sets for its child."""

    denominator: int
    elasticity: int
    min_base_fee_wei: int
    counts_da_footprint: bool
    """Since Jovian blobGasUsed carries the data footprint, and the larger of it and the gas used counts."""


def op_fee_rule(extra_data: bytes, *, default_denominator: int = 250, default_elasticity: int = 6) -> OpFeeRule:
    """Read the parent's extraData (Holocene: 9 bytes, Jovian: 17); zeros mean the chain's defaults.

    ValueError for any other form: an older block, or a rule of the future, must not be guessed.
    """
    version = {9: 0, 17: 1}.get(len(extra_data))
    if version is None or extra_data[0] != version:
        raise ValueError(
            f"extraData of {len(extra_data)} bytes is neither Holocene's nor Jovian's: 0x{extra_data[:20].hex()}"
        )
    denominator = int.from_bytes(extra_data[1:5], "big")
    elasticity = int.from_bytes(extra_data[5:9], "big")
    if (denominator == 0) != (elasticity == 0):
        raise ValueError(
            f"extraData sets denominator {denominator} and elasticity {elasticity}: both or neither may be 0"
        )
    return OpFeeRule(
        denominator=denominator or default_denominator,
        elasticity=elasticity or default_elasticity,
        min_base_fee_wei=int.from_bytes(extra_data[9:17], "big"),
        counts_da_footprint=version == 1,
    )


def op_next_base_fee(base_fee_wei: Wei, *, gas_used: Gas, gas_limit: Gas, da_footprint: int, rule: OpFeeRule) -> Wei:
    """The base fee of the child of an OP-stack block; `da_footprint` is the header's blobGasUsed."""
    counted = max(gas_used, da_footprint) if rule.counts_da_footprint else gas_used
    following = next_base_fee(
        base_fee_wei,
        gas_used=Gas(counted),
        gas_limit=gas_limit,
        elasticity=rule.elasticity,
        denominator=rule.denominator,
    )
    return Wei(max(following, rule.min_base_fee_wei))


def _moved(base_fee_wei: Wei, gas_used: int, target: int, denominator: int) -> Wei:
    if gas_used == target:
        return base_fee_wei
    if gas_used > target:
        return Wei(base_fee_wei + max(base_fee_wei * (gas_used - target) // target // denominator, 1))
    return Wei(base_fee_wei - base_fee_wei * (target - gas_used) // target // denominator)
