// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Token} from "./Tokens.sol";

/// @notice A token that misbehaves in one chosen way; all of them sit on the owner's list in the tests.
contract HostileToken is Token {
    enum Mode {
        Honest,
        AnswersFalse,
        AnswersNothing,
        AnswersTwo,
        Reverts,
        Taxes, // 1 % of each transfer is lost
        TakesMore, // the sender loses 1 % on top
        Rebases, // the executor's balance halves on each transfer of it
        LiesAboutBalance, // more than there is, from the second question on
        BalanceReverts,
        BalanceAnswersNothing,
        LongAnswer, // 100 kB
        Reenters,
        RevertsWithoutReason
    }

    Mode public mode;
    address public victim;
    bytes public reentry;
    uint256 public reentries;
    uint256 private questions;

    function behave(Mode mode_, address victim_, bytes calldata reentry_) external {
        mode = mode_;
        victim = victim_;
        reentry = reentry_;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (msg.sender != victim) return super.transfer(to, amount);
        if (mode == Mode.AnswersFalse) return false;
        if (mode == Mode.Reverts) revert("no");
        if (mode == Mode.RevertsWithoutReason) {
            assembly {
                revert(0, 0)
            }
        }
        if (mode == Mode.Reenters) {
            (bool isDone,) = victim.call(reentry);
            if (isDone) reentries++;
        }
        super.transfer(to, amount);
        if (mode == Mode.Taxes) balanceOf[to] -= amount / 100;
        if (mode == Mode.TakesMore) balanceOf[msg.sender] -= amount / 100;
        if (mode == Mode.Rebases) balanceOf[msg.sender] /= 2;
        if (mode == Mode.AnswersNothing) {
            assembly {
                return(0, 0)
            }
        }
        if (mode == Mode.AnswersTwo) {
            assembly {
                mstore(0, 2)
                return(0, 32)
            }
        }
        if (mode == Mode.LongAnswer) {
            assembly {
                mstore(0, 1)
                return(0, 100000)
            }
        }
        return true;
    }
}

/// @notice A token whose `balanceOf` is hostile, towards everyone who asks.
contract LyingToken {
    enum Mode {
        Reverts,
        AnswersNothing,
        AnswersShort,
        GrowsByItself
    }

    Mode public immutable MODE;
    uint256 private asked;

    constructor(Mode mode_) {
        MODE = mode_;
    }

    function balanceOf(address) external view returns (uint256) {
        if (MODE == Mode.Reverts) revert("no");
        if (MODE == Mode.AnswersNothing) {
            assembly {
                return(0, 0)
            }
        }
        if (MODE == Mode.AnswersShort) {
            assembly {
                mstore(0, not(0))
                return(0, 31)
            }
        }
        // Says more the more gas has been used.
        return type(uint128).max - gasleft();
    }

    function transfer(address, uint256) external pure returns (bool) {
        return true;
    }
}
