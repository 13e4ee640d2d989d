// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

interface IToken {
    function transfer(address to, uint256 amount) external returns (bool);
}

interface IV2Pair {
    function token0() external view returns (IToken);
    function token1() external view returns (IToken);
    function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes calldata data) external;
    function getReserves() external view returns (uint112, uint112, uint32);
}

interface IV3Pool {
    function token0() external view returns (IToken);
    function token1() external view returns (IToken);
    function swap(address to, bool zeroForOne, int256 amount, uint160 limit, bytes calldata data)
        external
        returns (int256, int256);
    function slot0() external view returns (uint160, int24, uint16, uint16, uint16, uint8, bool);
    function liquidity() external view returns (uint128);
}

/// @notice Runs many swaps, each from the same state: every one reverts with what it moved.
/// @dev Answers longer than four bytes of selector and 160 bytes long are results, others the pool's own revert data.
contract SwapProbe {
    struct V3Ask {
        bool zeroForOne;
        int256 amount;
        uint160 limit;
    }

    struct V2Ask {
        bool zeroForOne;
        uint256 amountIn;
        uint256 amountOut;
    }

    function runV3(IV3Pool pool, V3Ask[] calldata asks) external returns (bytes[] memory answers) {
        answers = new bytes[](asks.length);
        for (uint256 i = 0; i < asks.length; i++) {
            try this.swapV3(pool, asks[i]) {}
            catch (bytes memory answer) {
                answers[i] = answer;
            }
        }
    }

    function runV2(IV2Pair pair, V2Ask[] calldata asks) external returns (bytes[] memory answers) {
        answers = new bytes[](asks.length);
        for (uint256 i = 0; i < asks.length; i++) {
            try this.swapV2(pair, asks[i]) {}
            catch (bytes memory answer) {
                answers[i] = answer;
            }
        }
    }

    function swapV3(IV3Pool pool, V3Ask calldata ask) external {
        (int256 amount0, int256 amount1) = pool.swap(address(this), ask.zeroForOne, ask.amount, ask.limit, "");
        (uint160 price, int24 tick,,,,,) = pool.slot0();
        answer(abi.encode(amount0, amount1, price, tick, pool.liquidity()));
    }

    function swapV2(IV2Pair pair, V2Ask calldata ask) external {
        (ask.zeroForOne ? pair.token0() : pair.token1()).transfer(address(pair), ask.amountIn);
        pair.swap(ask.zeroForOne ? 0 : ask.amountOut, ask.zeroForOne ? ask.amountOut : 0, address(this), "");
        (uint112 reserve0, uint112 reserve1,) = pair.getReserves();
        answer(abi.encode(reserve0, reserve1, 0, 0, 0));
    }

    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        if (amount0 > 0) IV3Pool(msg.sender).token0().transfer(msg.sender, uint256(amount0));
        if (amount1 > 0) IV3Pool(msg.sender).token1().transfer(msg.sender, uint256(amount1));
    }

    function answer(bytes memory words) private pure {
        assembly ("memory-safe") {
            revert(add(words, 32), mload(words))
        }
    }
}
