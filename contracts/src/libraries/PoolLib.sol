// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Factory, IExecutor} from "../interfaces/IExecutor.sol";

/// @title PoolLib
/// @notice The calls into pools: a swap in either style, and the proof that a pool comes from a registered factory.
library PoolLib {
    uint256 private constant MIN_SQRT_RATIO_PLUS_1 = 4295128740;
    uint256 private constant MAX_SQRT_RATIO_MINUS_1 = 1461446703485210103287273052203988822378723970341;

    /// @notice Writes `swap(uint256,uint256,address,bytes)` at `call_`; the bytes' content is left to the caller.
    /// @return content Where the content begins; the call ends at `content` + content rounded up to words.
    function writeV2Swap(uint256 call_, bool zeroForOne, uint256 amountOut, address to, uint256 contentSize)
        internal
        pure
        returns (uint256 content)
    {
        assembly ("memory-safe") {
            mstore(call_, shl(224, 0x022c0d9f))
            mstore(add(call_, 0x04), mul(amountOut, iszero(zeroForOne)))
            mstore(add(call_, 0x24), mul(amountOut, zeroForOne))
            mstore(add(call_, 0x44), to)
            mstore(add(call_, 0x64), 0x80)
            mstore(add(call_, 0x84), contentSize)
            content := add(call_, 0xa4)
        }
    }

    /// @notice Writes `swap(address,bool,int256,uint160,bytes)` at `call_`, exact in and without a price limit.
    function writeV3Swap(uint256 call_, bool zeroForOne, uint256 amountIn, address to, uint256 contentSize)
        internal
        pure
        returns (uint256 content)
    {
        uint256 limit = zeroForOne ? MIN_SQRT_RATIO_PLUS_1 : MAX_SQRT_RATIO_MINUS_1;
        assembly ("memory-safe") {
            mstore(call_, shl(224, 0x128acb08))
            mstore(add(call_, 0x04), to)
            mstore(add(call_, 0x24), zeroForOne)
            mstore(add(call_, 0x44), amountIn) // below 2^128, so never negative as int256
            mstore(add(call_, 0x64), limit)
            mstore(add(call_, 0x84), 0xa0)
            mstore(add(call_, 0xa4), contentSize)
            content := add(call_, 0xc4)
        }
    }

    /// @notice Calls `pool` with the memory from `call_` to `end`; passes on its reason if it reverts.
    /// @dev At most 256 bytes of the reason, so that a pool cannot make us pay for a long one.
    function callPool(address pool, uint256 call_, uint256 end) internal {
        bytes4 failed = IExecutor.PoolCallFailed.selector;
        assembly ("memory-safe") {
            if iszero(call(gas(), pool, 0, call_, sub(end, call_), 0, 0)) {
                let length := returndatasize()
                if iszero(length) {
                    mstore(0x00, failed)
                    mstore(0x04, pool)
                    revert(0x00, 0x24)
                }
                if gt(length, 0x100) { length := 0x100 }
                returndatacopy(call_, 0, length)
                revert(call_, length)
            }
        }
    }

    /// @notice True if `pool`'s address follows by CREATE2 from what it says of itself and a registered factory.
    /// @dev What the pool says is not believed: a lie leads to another address.
    function isFromFactory(mapping(address => Factory) storage factories, address pool, bool isV3Style)
        internal
        view
        returns (bool)
    {
        Factory storage factory = factories[address(uint160(ask(pool, 0xc45a0155)))]; // factory()
        bytes32 initCodeHash = factory.initCodeHash;
        if (initCodeHash == 0) return false;
        uint256 token0 = ask(pool, 0x0dfe1681); // token0()
        uint256 token1 = ask(pool, 0xd21220a7); // token1()
        bytes32 salt = isV3Style
            ? keccak256(abi.encode(token0, token1, ask(pool, 0xddca3f43))) // fee()
            : keccak256(abi.encodePacked(uint160(token0), uint160(token1)));
        bytes32 derived = keccak256(abi.encodePacked(bytes1(0xff), factory.deployer, salt, initCodeHash));
        return address(uint160(uint256(derived))) == pool;
    }

    /// @dev A getter's one word; reverts if there is no answer.
    function ask(address pool, uint256 selector) private view returns (uint256 answer) {
        bool isAnswered;
        assembly ("memory-safe") {
            mstore(0x00, shl(224, selector))
            isAnswered := and(gt(returndatasize(), 31), staticcall(gas(), pool, 0x00, 0x04, 0x00, 0x20))
            answer := mload(0x00)
        }
        if (!isAnswered) revert IExecutor.PoolCallFailed(pool);
    }
}
