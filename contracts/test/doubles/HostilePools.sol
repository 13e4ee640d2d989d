// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

interface IPay {
    function transfer(address to, uint256 amount) external returns (bool);
}

/// @notice A pool of either style that misbehaves in one chosen way. It is on the owner's list in the tests, which is
/// the worst case: the law must hold even then.
contract HostilePool {
    enum Mode {
        Honest,
        PaysNothing,
        PaysLess,
        NeverCallsBack,
        CallsBackTwice,
        CallsBackWithOtherBytes,
        CallsBackByAccomplice,
        AsksForMore,
        AsksForOtherToken,
        Reenters, // calls `reentry` on the executor before it calls back
        ReentersAfter, // and after
        RevertsLong, // 100 kB of reason
        RevertsEmpty
    }

    Mode public mode;
    address public tokenOut;
    bytes4 public selector;
    bytes public reentry;
    Accomplice public accomplice = new Accomplice();
    uint256 public succeeded;

    function behave(Mode mode_, address tokenOut_, bytes4 selector_, bytes calldata reentry_) external {
        mode = mode_;
        tokenOut = tokenOut_;
        selector = selector_;
        reentry = reentry_;
    }

    /// @dev V2 style.
    function swap(uint256 out0, uint256 out1, address to, bytes calldata data) external {
        _pay(to, out0 + out1);
        if (data.length == 0) return;
        _callBack(
            to,
            abi.encodePacked(selector, abi.encode(msg.sender, out0, out1, data)),
            abi.encodePacked(selector, abi.encode(msg.sender, out0, out1, bytes.concat(data, hex"00"))),
            ""
        );
    }

    /// @dev V3 style: gives 1:1, for simplicity.
    function swap(address to, bool zeroForOne, int256 amount, uint160, bytes calldata data)
        external
        returns (int256, int256)
    {
        _pay(to, uint256(amount));
        (int256 d0, int256 d1) = zeroForOne ? (amount, -amount) : (-amount, amount);
        if (mode == Mode.AsksForMore) (d0, d1) = zeroForOne ? (d0 + 1, d1) : (d0, d1 + 1);
        if (mode == Mode.AsksForOtherToken) (d0, d1) = (d1, d0);
        _callBack(
            msg.sender,
            abi.encodePacked(selector, abi.encode(d0, d1, data)),
            abi.encodePacked(selector, abi.encode(d0, d1, bytes.concat(data, hex"00"))),
            ""
        );
        return (d0, d1);
    }

    function _pay(address to, uint256 amount) private {
        if (mode == Mode.PaysNothing) return;
        if (mode == Mode.PaysLess) amount = amount * 9 / 10;
        require(IPay(tokenOut).transfer(to, amount));
    }

    function _callBack(address to, bytes memory call_, bytes memory altered, bytes memory) private {
        if (mode == Mode.NeverCallsBack) return;
        if (mode == Mode.RevertsEmpty) {
            assembly {
                revert(0, 0)
            }
        }
        if (mode == Mode.RevertsLong) {
            assembly {
                revert(0, 100000)
            }
        }
        if (mode == Mode.Reenters) _count(to, reentry);
        if (mode == Mode.CallsBackWithOtherBytes) return _must(to, altered);
        if (mode == Mode.CallsBackByAccomplice) return accomplice.must(to, call_);
        _must(to, call_);
        if (mode == Mode.CallsBackTwice) _must(to, call_);
        if (mode == Mode.ReentersAfter) _count(to, reentry);
    }

    function _count(address to, bytes memory call_) private {
        (bool isDone,) = to.call(call_);
        if (isDone) succeeded++;
    }

    function _must(address to, bytes memory call_) private {
        (bool isDone, bytes memory reason) = to.call(call_);
        if (!isDone) {
            assembly {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }
}

/// @notice Another contract that speaks for the pool.
contract Accomplice {
    function must(address to, bytes calldata call_) external {
        (bool isDone, bytes memory reason) = to.call(call_);
        if (!isDone) {
            assembly {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }
}

/// @notice A fee recipient that is a contract.
contract HostileCoinbase {
    enum Mode {
        Takes,
        Reverts,
        BurnsGas,
        LongAnswer,
        Reenters
    }

    Mode public mode;
    address public victim;
    bytes public reentry;
    uint256 public succeeded;

    function behave(Mode mode_, address victim_, bytes calldata reentry_) external {
        mode = mode_;
        victim = victim_;
        reentry = reentry_;
    }

    receive() external payable {
        if (mode == Mode.Reverts) revert("no");
        if (mode == Mode.BurnsGas) {
            while (true) {}
        }
        if (mode == Mode.LongAnswer) {
            assembly {
                return(0, 100000)
            }
        }
        if (mode == Mode.Reenters) {
            (bool isDone,) = victim.call(reentry);
            if (isDone) succeeded++;
        }
    }
}
