// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Where a plan begins in the calldata of the current call.
type Plan is uint256;

/// @notice The first word of a plan.
type Head is uint256;

/// @notice Where a leg begins in the calldata of the current call.
type Leg is uint256;

using PlanLib for Plan global;
using PlanLib for Head global;
using PlanLib for Leg global;

/// @title PlanLib
/// @notice Reads a packed plan straight from calldata. `agent/strategies/arb/plan.py` writes it.
/// @dev Layout, big-endian, no padding:
///
///     0   1  number of legs n
///     1   1  index f of the leg that lends: its output is used before its input is paid
///     2   1  flags: bit 0 a parent hash follows, bit 1 a V2-style leg before the last lends,
///            bit 2 the start token is not WETH
///     3   2  payment to the fee recipient, 1/10,000 of the gross profit
///     5   5  last block in which the plan may run
///    10  16  floor: least profit after payment, in units of the start token
///    26  37  per leg:  1 flags: bit 0 token0 goes in, bit 1 V3-style, bit 2 proved by its factory instead of listed
///                     20 pool
///                     16 V2-style: amount out; V3-style: amount in
///        16  only if leg 0 is V2-style: its amount in
///        20  only with flag bit 2: the start token
///        20  only with flag bit 1: the token that leg f lends
///        32  only with flag bit 0: the parent's hash
///
/// Bytes behind a plan are ignored, missing ones are zero: the operator who signs is who loses by it, and only gas.
/// The same bytes travel through a pool to its callback, so every reader works on any calldata offset.
/// Offsets are sums of a byte times 37 and constants, so none of the additions here can overflow.
library PlanLib {
    uint256 private constant LEGS_AT = 26;
    uint256 private constant LEG_SIZE = 37;
    uint256 private constant AMOUNT_AT = 21;

    /// @dev Bits of an expectation that are not hash: where the leg lies in the plan, then a 1 that keeps the word
    /// above Lock.IDLE, then the leg's style.
    uint256 private constant LABEL = 0xffff;

    function head(Plan plan) internal pure returns (Head) {
        return Head.wrap(word(Plan.unwrap(plan)));
    }

    function legCount(Head head_) internal pure returns (uint256) {
        return Head.unwrap(head_) >> 248;
    }

    function lender(Head head_) internal pure returns (uint256) {
        return (Head.unwrap(head_) >> 240) & 0xff;
    }

    /// @notice No flag is set: the start token is WETH, and no rarer field follows.
    function isPlain(Head head_) internal pure returns (bool) {
        return (Head.unwrap(head_) >> 232) & 0xff == 0;
    }

    function hasParentHash(Head head_) internal pure returns (bool) {
        return (Head.unwrap(head_) >> 232) & 1 != 0;
    }

    /// @notice True if a V2-style pool lends before the end: what it lends passes through the executor.
    function lendsMiddleToken(Head head_) internal pure returns (bool) {
        return (Head.unwrap(head_) >> 233) & 1 != 0;
    }

    function namesStartToken(Head head_) internal pure returns (bool) {
        return (Head.unwrap(head_) >> 234) & 1 != 0;
    }

    function paymentBps(Head head_) internal pure returns (uint256) {
        return (Head.unwrap(head_) >> 216) & 0xffff;
    }

    function lastBlock(Head head_) internal pure returns (uint256) {
        return (Head.unwrap(head_) >> 176) & 0xffffffffff;
    }

    function floorAmount(Head head_) internal pure returns (uint256) {
        return uint128(Head.unwrap(head_) >> 48);
    }

    /// @notice Only where `namesStartToken`.
    function namedStartToken(Plan plan, Head head_) internal pure returns (address) {
        return address(uint160(word(tail(plan, head_)) >> 96));
    }

    /// @notice The token that the lender lends; only where `lendsMiddleToken`.
    function middleToken(Plan plan, Head head_) internal pure returns (address) {
        unchecked {
            return address(uint160(word(tail(plan, head_) + (namesStartToken(head_) ? 20 : 0)) >> 96));
        }
    }

    /// @notice The last 32 bytes of a plan of `length` bytes; only where `hasParentHash`.
    function parentHash(Plan plan, uint256 length) internal pure returns (bytes32) {
        unchecked {
            return bytes32(word(Plan.unwrap(plan) + length - 32)); // too short a plan names a hash of no block
        }
    }

    function leg(Plan plan, uint256 index) internal pure returns (Leg) {
        unchecked {
            return Leg.wrap(Plan.unwrap(plan) + LEGS_AT + index * LEG_SIZE);
        }
    }

    /// @notice Leg 0.
    function first(Plan plan) internal pure returns (Leg) {
        unchecked {
            return Leg.wrap(Plan.unwrap(plan) + LEGS_AT);
        }
    }

    function next(Leg leg_) internal pure returns (Leg) {
        unchecked {
            return Leg.wrap(Leg.unwrap(leg_) + LEG_SIZE);
        }
    }

    function previous(Leg leg_) internal pure returns (Leg) {
        unchecked {
            return Leg.wrap(Leg.unwrap(leg_) - LEG_SIZE);
        }
    }

    function isBefore(Leg leg_, Leg other) internal pure returns (bool) {
        return Leg.unwrap(leg_) < Leg.unwrap(other);
    }

    function zeroForOne(Leg leg_) internal pure returns (bool) {
        return (word(Leg.unwrap(leg_)) >> 248) & 1 != 0;
    }

    function isV3(Leg leg_) internal pure returns (bool) {
        return (word(Leg.unwrap(leg_)) >> 249) & 1 != 0;
    }

    function isByFactory(Leg leg_) internal pure returns (bool) {
        return (word(Leg.unwrap(leg_)) >> 250) & 1 != 0;
    }

    /// @dev Masked by hand: the assembly that writes it into calldata relies on clean upper bits, which the compiler
    /// does not promise for a conversion.
    function pool(Leg leg_) internal pure returns (address pool_) {
        assembly ("memory-safe") {
            pool_ := and(shr(88, calldataload(leg_)), 0xffffffffffffffffffffffffffffffffffffffff)
        }
    }

    /// @notice V2-style: the amount that leaves the pool. V3-style: the amount that enters it.
    function amount(Leg leg_) internal pure returns (uint256) {
        unchecked {
            return word(Leg.unwrap(leg_) + AMOUNT_AT) >> 128;
        }
    }

    /// @notice What leg 0 takes of the start token.
    function amountIn(Plan plan, Head head_) internal pure returns (uint256) {
        Leg leg_ = first(plan);
        return isV3(leg_) ? amount(leg_) : word(Leg.unwrap(leg(plan, legCount(head_)))) >> 128;
    }

    /// @dev Where the optional fields begin, behind the amount in.
    function tail(Plan plan, Head head_) private pure returns (uint256) {
        unchecked {
            return Leg.unwrap(leg(plan, legCount(head_))) + (isV3(first(plan)) ? 0 : 16);
        }
    }

    function word(uint256 at) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(at)
        }
    }

    /// @notice The word that stands for "this leg of these bytes, called back by `pool_`, in the leg's style".
    /// @dev `inMemory` points to the plan's bytes in memory with 32 spare bytes behind them, which are overwritten.
    /// The upper 240 bits are a hash, so a pool that hands back other bytes, or is another contract, never fits.
    function expectation(uint256 inMemory, uint256 length, address pool_, uint256 label)
        internal
        pure
        returns (uint256 expected)
    {
        assembly ("memory-safe") {
            mstore(add(inMemory, length), shl(96, pool_))
            expected := or(and(keccak256(inMemory, add(length, 20)), not(LABEL)), label)
        }
    }

    /// @notice What an expectation says besides its hash: the leg by its place in the plan, and its style.
    function labelOf(Plan plan, Leg leg_, bool isV3Style) internal pure returns (uint256 label) {
        unchecked {
            label = (Leg.unwrap(leg_) - Plan.unwrap(plan)) << 2 | 2; // at most 9,461 · 4
        }
        assembly ("memory-safe") {
            label := or(label, isV3Style)
        }
    }

    function labelIn(uint256 expected) internal pure returns (uint256 label, bool isV3Style) {
        return (expected & LABEL, expected & 1 != 0);
    }

    /// @notice The leg that a label names.
    function labelled(Plan plan, uint256 label) internal pure returns (Leg) {
        unchecked {
            return Leg.wrap(Plan.unwrap(plan) + (label >> 2));
        }
    }
}
