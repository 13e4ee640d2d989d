// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Lock
/// @notice The one word that says whose callback is expected now; this build keeps it in storage, for chains before Cancun.
/// @dev Values: IDLE, or an expectation made by `PlanLib.expectation`, which is above IDLE.
/// The transient build of the same library lies in ../transient; a build links exactly one of them.
library Lock {
    /// @dev Nobody is expected. Not zero, because a slot that goes from zero to something costs 17,000 gas more. A slot never
    /// written reads as 0 and counts as idle too.
    uint256 internal constant IDLE = 1;

    /// @dev keccak256("mev-agent.executor.lock"), far from the slots the compiler hands out.
    uint256 private constant SLOT = 0xd1c56f06200b13394af1f3b077e55f5eec93c2be187aa508623b698c0e232ae9;

    function read() internal view returns (uint256 word) {
        assembly ("memory-safe") {
            word := sload(SLOT)
        }
    }

    function write(uint256 word) internal {
        assembly ("memory-safe") {
            sstore(SLOT, word)
        }
    }
}
