// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExecutor} from "../interfaces/IExecutor.sol";

/// @title TokenLib
/// @notice The two ERC-20 calls the executor makes, for tokens that answer `true`, nothing, `false` or nonsense.
/// @dev Never copies more than one word of an answer, so a token cannot make us pay for a long one.
library TokenLib {
    /// @notice Balance of `account`; reverts if the token does not answer with a word.
    function balanceOf(address token, address account) internal view returns (uint256 held) {
        bool isAnswered;
        assembly ("memory-safe") {
            mstore(0x00, shl(224, 0x70a08231)) // balanceOf(address)
            mstore(0x04, account)
            isAnswered := and(gt(returndatasize(), 31), staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20))
            held := mload(0x00)
        }
        if (!isAnswered) revert IExecutor.TokenCallFailed(token);
    }

    /// @notice Sends `amount` to `to`; reverts if the token reverts, answers anything but `true` or nothing, or has no code.
    function transfer(address token, address to, uint256 amount) internal {
        bool isDone;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, shl(224, 0xa9059cbb)) // transfer(address,uint256)
            mstore(0x04, to)
            mstore(0x24, amount) // runs into the free memory pointer, put back below
            isDone := call(gas(), token, 0, 0x00, 0x44, 0x00, 0x20)
            switch returndatasize()
            case 0 { isDone := and(isDone, gt(extcodesize(token), 0)) }
            default { isDone := and(isDone, and(gt(returndatasize(), 31), eq(mload(0x00), 1))) }
            mstore(0x40, free)
        }
        if (!isDone) revert IExecutor.TokenCallFailed(token);
    }
}
