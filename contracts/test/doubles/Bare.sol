// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice The yardstick for gas: two V2 swaps with capital of its own, no caller check, no list, no lock, no profit
/// check, nothing paid out. Calldata: token, pool, amount0Out, amount1Out, pool, amount0Out, amount1Out, amount in;
/// addresses 20 bytes, amounts 16.
contract Bare {
    fallback() external {
        assembly {
            let first := shr(96, calldataload(20))
            let second := shr(96, calldataload(72))
            mstore(0, shl(224, 0xa9059cbb))
            mstore(4, first)
            mstore(36, shr(128, calldataload(124)))
            pop(call(gas(), shr(96, calldataload(0)), 0, 0, 68, 0, 0))
            mstore(0, shl(224, 0x022c0d9f))
            mstore(4, shr(128, calldataload(40)))
            mstore(36, shr(128, calldataload(56)))
            mstore(68, second)
            mstore(100, 128)
            mstore(132, 0)
            pop(call(gas(), first, 0, 0, 164, 0, 0))
            mstore(4, shr(128, calldataload(92)))
            mstore(36, shr(128, calldataload(108)))
            mstore(68, address())
            pop(call(gas(), second, 0, 0, 164, 0, 0))
        }
    }
}
