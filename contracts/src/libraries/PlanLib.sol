// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Where a plan begins in the calldata of the current call.
type Plan is uint256;

/// @title PlanLib
/// @notice Reads a packed plan straight from calldata. `agent/strategies/arb/plan.py` writes it.
/// @dev Layout, big-endian, no padding:
///
///     0   1  number of legs n
///     1   1  index f of the leg that lends: its output is used before its input is paid
///     2   1  flags: bit 0 a parent hash follows
///     3   2  payment to the fee recipient, 1/10,000 of the gross profit
///     5   5  last block in which the plan may run
///    10  20  start token
///    30  16  floor: least profit after payment, in units of the start token
///    46  37  per leg:  1 flags: bit 0 token0 goes in, bit 1 V3-style, bit 2 proved by its factory instead of listed
///                     20 pool
///                     16 V2-style: amount out; V3-style: amount in
///        16  only if leg 0 is V2-style: its amount in
///        20  only if leg f is V2-style and not the last: the token it lends
///        32  only with flag bit 0: the parent's hash
///
/// The same bytes travel through a pool to its callback, so every reader works on any calldata offset.
library PlanLib {
    uint256 private constant LEGS_AT = 46;
    uint256 private constant LEG_SIZE = 37;

    uint256 internal constant ZERO_FOR_ONE = 1;
    uint256 internal constant V3_STYLE = 2;
    uint256 internal constant BY_FACTORY = 4;

    /// @dev Bits of an expectation that are not hash: the leg's index above its style; 2 keeps it above Lock.RUNNING.
    uint256 private constant EXPECTATION_LABEL = 0xffff;

    function word(Plan plan, uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(add(plan, offset))
        }
    }

    function legCount(Plan plan) internal pure returns (uint256) {
        return word(plan, 0) >> 248;
    }

    function lender(Plan plan) internal pure returns (uint256) {
        return (word(plan, 0) >> 240) & 0xff;
    }

    function hasParentHash(Plan plan) internal pure returns (bool) {
        return (word(plan, 0) >> 232) & 1 != 0;
    }

    function paymentBps(Plan plan) internal pure returns (uint256) {
        return (word(plan, 0) >> 216) & 0xffff;
    }

    function lastBlock(Plan plan) internal pure returns (uint256) {
        return (word(plan, 0) >> 176) & 0xffffffffff;
    }

    function startToken(Plan plan) internal pure returns (address) {
        return address(uint160(word(plan, 0) >> 16));
    }

    function floorAmount(Plan plan) internal pure returns (uint256) {
        return word(plan, 30) >> 128;
    }

    function flags(Plan plan, uint256 leg) internal pure returns (uint256) {
        return word(plan, LEGS_AT + leg * LEG_SIZE) >> 248;
    }

    function isV3(Plan plan, uint256 leg) internal pure returns (bool) {
        return flags(plan, leg) & V3_STYLE != 0;
    }

    function pool(Plan plan, uint256 leg) internal pure returns (address) {
        return address(uint160(word(plan, LEGS_AT + leg * LEG_SIZE) >> 88));
    }

    /// @notice V2-style: the amount that leaves the pool. V3-style: the amount that enters it.
    function amount(Plan plan, uint256 leg) internal pure returns (uint256) {
        return word(plan, LEGS_AT + leg * LEG_SIZE + 21) >> 128;
    }

    /// @notice What leg 0 takes of the start token.
    function amountIn(Plan plan) internal pure returns (uint256) {
        return isV3(plan, 0) ? amount(plan, 0) : word(plan, legsEnd(plan)) >> 128;
    }

    /// @notice True if a V2-style pool lends before the end: what it lends passes through this contract.
    function lendsMiddleToken(Plan plan) internal pure returns (bool) {
        uint256 f = lender(plan);
        return f + 1 < legCount(plan) && !isV3(plan, f);
    }

    /// @notice The token that leg f lends; only where `lendsMiddleToken`.
    function middleToken(Plan plan) internal pure returns (address) {
        return address(uint160(word(plan, legsEnd(plan) + (isV3(plan, 0) ? 0 : 16)) >> 96));
    }

    /// @notice Only where `hasParentHash`: the last 32 bytes of a plan of `length` bytes.
    function parentHash(Plan plan, uint256 length) internal pure returns (bytes32) {
        return bytes32(word(plan, length - 32));
    }

    /// @notice Bytes of the plan, from what its head says.
    function size(Plan plan) internal pure returns (uint256 length) {
        length = legsEnd(plan);
        if (!isV3(plan, 0)) length += 16;
        if (lendsMiddleToken(plan)) length += 20;
        if (hasParentHash(plan)) length += 32;
    }

    function legsEnd(Plan plan) private pure returns (uint256) {
        return LEGS_AT + legCount(plan) * LEG_SIZE;
    }

    /// @notice The word that stands for "leg `leg` of these bytes, called back by `pool_`, in that leg's style".
    /// @dev `inMemory` points to the plan's bytes in memory with 20 spare bytes behind them, which are overwritten.
    /// The upper 240 bits are a hash, so a pool that hands back other bytes, or is another contract, never fits.
    function expectation(uint256 inMemory, uint256 length, address pool_, uint256 leg, bool isV3Style)
        internal
        pure
        returns (uint256 expected)
    {
        assembly ("memory-safe") {
            mstore(add(inMemory, length), shl(96, pool_))
            expected := keccak256(inMemory, add(length, 20))
            expected := or(and(expected, not(EXPECTATION_LABEL)), or(shl(8, leg), or(2, isV3Style)))
        }
    }

    /// @notice Leg and style of an expectation.
    function expectedLeg(uint256 expected) internal pure returns (uint256 leg, bool isV3Style) {
        return ((expected >> 8) & 0xff, expected & 1 != 0);
    }
}
