// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice A contract that answers every call: it serves a thief as pool, token or fee recipient. When called it may
/// first make one call of its own, with bytes chosen before, to the executor or anyone.
contract Chameleon {
    address public target;
    bytes public call_;
    uint256 public answer;
    bool private busy;
    uint256 public succeeded;

    function prepare(address target_, bytes calldata bytes_, uint256 answer_) external {
        target = target_;
        call_ = bytes_;
        answer = answer_;
    }

    receive() external payable {}

    fallback() external payable {
        if (!busy && target != address(0)) {
            busy = true;
            (bool isDone,) = target.call(call_);
            if (isDone) succeeded++;
            busy = false;
        }
        uint256 word = answer;
        assembly {
            mstore(0, word)
            return(0, 32)
        }
    }
}
