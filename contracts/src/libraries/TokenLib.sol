// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExecutor} from "../interfaces/IExecutor.sol";

/// @title TokenLib
/// @notice The two ERC-20 calls the executor makes, for tokens that answer `true`, nothing, `false` or nonsense.
/// @dev Never copies more than one word of an answer, so a token cannot make us pay for a long one.
library TokenLib {
    /// @notice Balance of `account`; reverts if the token does not answer with a word.
    function balanceOf(address token, address account) internal view returns (uint256 held) {
        bytes4 failed = IExecutor.TokenCallFailed.selector;
        assembly ("memory-safe") {
            mstore(0x00, shl(224, 0x70a08231)) // balanceOf(address)
            mstore(0x04, account)
            if iszero(and(gt(returndatasize(), 31), staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20))) {
                mstore(0x00, failed)
                mstore(0x04, token)
                revert(0x00, 0x24)
            }
            held := mload(0x00)
        }
    }

    /// @notice Sends `amount` to `to`; reverts if the token reverts or answers anything but `true` or nothing.
    /// @dev Only for tokens that were asked for a balance before: an address without code answers nothing, too.
    function transfer(address token, address to, uint256 amount) internal {
        bytes4 failed = IExecutor.TokenCallFailed.selector;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, shl(224, 0xa9059cbb)) // transfer(address,uint256)
            mstore(0x04, to)
            mstore(0x24, amount) // runs into the free memory pointer, put back below
            let isDone := call(gas(), token, 0, 0x00, 0x44, 0x00, 0x20)
            let isTrue := and(gt(returndatasize(), 31), eq(mload(0x00), 1))
            if iszero(and(isDone, or(isTrue, iszero(returndatasize())))) {
                mstore(0x00, failed)
                mstore(0x04, token)
                revert(0x00, 0x24)
            }
            mstore(0x40, free)
        }
    }
}
