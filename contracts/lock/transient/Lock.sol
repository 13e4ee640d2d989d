// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Lock
/// @notice The one word that says whose callback is expected now; this build keeps it in transient storage (EIP-1153).
/// @dev Values: IDLE, or an expectation made by `PlanLib.expectation`, which is above IDLE.
/// The storage build of the same library lies in ../storage; a build links exactly one of them.
library Lock {
    /// @dev Nobody is expected: what transient storage holds at the start of every transaction.
    uint256 internal constant IDLE = 0;

    function read() internal view returns (uint256 word) {
        assembly ("memory-safe") {
            word := tload(0)
        }
    }

    function write(uint256 word) internal {
        assembly ("memory-safe") {
            tstore(0, word)
        }
    }
}
