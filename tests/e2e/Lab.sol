// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

interface IERC20 {
    function balanceOf(address) external view returns (uint256);
}

interface IV2 {
    function token0() external view returns (address);
    function getReserves() external view returns (uint112, uint112, uint32);
    function swap(uint256, uint256, address, bytes calldata) external;
}

interface IV3 {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function mint(address, int24, int24, uint128, bytes calldata) external returns (uint256, uint256);
    function burn(int24, int24, uint128) external returns (uint256, uint256);
    function collect(address, int24, int24, uint128, uint128) external returns (uint128, uint128);
    function swap(address, bool, int256, uint160, bytes calldata) external returns (int256, int256);
}

/// Trades and provides with tokens that it holds itself; knows nothing of the executor or of any quote.
contract Lab {
    function mint(address pool, int24 low, int24 high, uint128 liquidity) public {
        IV3(pool).mint(address(this), low, high, liquidity, "");
    }

    function burn(address pool, int24 low, int24 high, uint128 liquidity) public {
        IV3(pool).burn(low, high, liquidity);
        IV3(pool).collect(address(this), low, high, type(uint128).max, type(uint128).max);
    }

    /// limit 0: as far as it goes. Returns what came out.
    function swap3(address pool, address tokenIn, int256 amount, uint160 limit) public returns (uint256) {
        bool down = tokenIn == IV3(pool).token0();
        if (limit == 0) limit = down ? 4295128740 : 1461446703485210103287273052203988822378723970341;
        (int256 a, int256 b) = IV3(pool).swap(address(this), down, amount, limit, "");
        if (amount > 0 && (down ? a : b) < amount) revert("not all of it");
        return uint256(-(down ? b : a));
    }

    function swapTo(address pool, address tokenIn, int256 amount, uint160 limit) public {
        IV3(pool).swap(address(this), tokenIn == IV3(pool).token0(), amount, limit, "");
    }

    /// A pair's own reserves and the fee that is told give the amount out, floored.
    function swap2(address pair, address tokenIn, uint256 amount, uint256 feeBps) public returns (uint256 out) {
        bool down = tokenIn == IV2(pair).token0();
        (uint256 r0, uint256 r1,) = IV2(pair).getReserves();
        (uint256 from, uint256 to) = down ? (r0, r1) : (r1, r0);
        _send(tokenIn, pair, amount);
        uint256 paid = amount * (10000 - feeBps);
        out = paid * to / (from * 10000 + paid);
        IV2(pair).swap(down ? 0 : out, down ? out : 0, address(this), "");
    }

    struct Leg {
        address pool;
        bool isThree;
        address tokenIn;
        uint256 feeBps;
    }

    /// What a cycle gives at this size, less what it takes; the first leg takes `amount`.
    function cycle(Leg[] calldata legs, uint256 amount) external returns (int256) {
        uint256 held = amount;
        for (uint256 i; i < legs.length; i++) {
            Leg calldata leg = legs[i];
            held = leg.isThree
                ? swap3(leg.pool, leg.tokenIn, int256(held), 0)
                : swap2(leg.pool, leg.tokenIn, held, leg.feeBps);
        }
        return int256(held) - int256(amount);
    }

    function send(address token, address to, uint256 amount) external {
        _send(token, to, amount);
    }

    function many(address[] calldata to, bytes[] calldata data) external {
        for (uint256 i; i < to.length; i++) {
            (bool ok,) = to[i].call(data[i]);
            require(ok, "many");
        }
    }

    function uniswapV3MintCallback(uint256 a, uint256 b, bytes calldata) external {
        if (a > 0) _send(IV3(msg.sender).token0(), msg.sender, a);
        if (b > 0) _send(IV3(msg.sender).token1(), msg.sender, b);
    }

    function uniswapV3SwapCallback(int256 a, int256 b, bytes calldata) external {
        if (a > 0) _send(IV3(msg.sender).token0(), msg.sender, uint256(a));
        if (b > 0) _send(IV3(msg.sender).token1(), msg.sender, uint256(b));
    }

    function pancakeV3MintCallback(uint256 a, uint256 b, bytes calldata) external {
        if (a > 0) _send(IV3(msg.sender).token0(), msg.sender, a);
        if (b > 0) _send(IV3(msg.sender).token1(), msg.sender, b);
    }

    function pancakeV3SwapCallback(int256 a, int256 b, bytes calldata) external {
        if (a > 0) _send(IV3(msg.sender).token0(), msg.sender, uint256(a));
        if (b > 0) _send(IV3(msg.sender).token1(), msg.sender, uint256(b));
    }

    function _send(address token, address to, uint256 amount) private {
        (bool ok,) = token.call(abi.encodeWithSignature("transfer(address,uint256)", to, amount));
        require(ok, "transfer");
    }
}

interface IHook {
    function tokensReceived(address, uint256) external;
}

/// Anybody's: a token that does what slot 6 says. Laid out like the slice's tokens.
contract OddToken {
    mapping(address => uint256) private shares; // slot 0
    mapping(address => mapping(address => uint256)) public allowance; // slot 1
    uint256 public totalSupply; // slot 2
    uint8 public decimals; // slot 3
    string public name; // slot 4
    string public symbol; // slot 5
    uint256 public mode; // slot 6
    uint256 public index; // slot 7: balance is shares * index / 1e18
    bool public paused; // slot 8

    uint256 constant SAYS_NOTHING = 1;
    uint256 constant SAYS_FALSE = 2;
    uint256 constant CALLS_BACK = 3;
    uint256 constant TAXES_CONTRACTS = 4;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function balanceOf(address who) public view returns (uint256) {
        return shares[who] * index / 1e18;
    }

    function pause(bool on) external {
        paused = on;
    }

    function rebase(uint256 to) external {
        index = to;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        _move(msg.sender, to, value);
        return _answer();
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        _move(from, to, value);
        return _answer();
    }

    function _answer() private view returns (bool) {
        if (mode == SAYS_NOTHING) {
            assembly {
                return(0, 0)
            }
        }
        return mode != SAYS_FALSE;
    }

    function _move(address from, address to, uint256 value) private {
        require(!paused, "paused");
        uint256 part = value * 1e18 / index;
        shares[from] -= part;
        if (mode == TAXES_CONTRACTS && to.code.length > 0) part -= part / 50;
        shares[to] += part;
        emit Transfer(from, to, value);
        if (mode == CALLS_BACK && to.code.length > 0) {
            try IHook(to).tokensReceived(from, value) {} catch {}
        }
    }
}

/// Uniswap V2's interface, and another fee on what comes in of token0 than of token1.
contract LopsidedPair {
    address public token0; // slot 0
    address public token1; // slot 1
    uint256 public fee0Bps; // slot 2
    uint256 public fee1Bps; // slot 3
    uint112 private held0; // slot 4, packed
    uint112 private held1;

    event Sync(uint112 reserve0, uint112 reserve1);

    function getReserves() external view returns (uint112, uint112, uint32) {
        return (held0, held1, 0);
    }

    function sync() external {
        _update(IERC20(token0).balanceOf(address(this)), IERC20(token1).balanceOf(address(this)));
    }

    function swap(uint256 out0, uint256 out1, address to, bytes calldata data) external {
        (uint256 was0, uint256 was1) = (held0, held1);
        require(out0 < was0 && out1 < was1, "LIQUIDITY");
        if (out0 > 0) _send(token0, to, out0);
        if (out1 > 0) _send(token1, to, out1);
        if (data.length > 0) ICall(to).uniswapV2Call(msg.sender, out0, out1, data);
        uint256 now0 = IERC20(token0).balanceOf(address(this));
        uint256 now1 = IERC20(token1).balanceOf(address(this));
        uint256 in0 = now0 > was0 - out0 ? now0 - (was0 - out0) : 0;
        uint256 in1 = now1 > was1 - out1 ? now1 - (was1 - out1) : 0;
        require(in0 > 0 || in1 > 0, "INPUT");
        uint256 left0 = now0 * 10000 - in0 * fee0Bps;
        uint256 left1 = now1 * 10000 - in1 * fee1Bps;
        require(left0 * left1 >= was0 * was1 * 10000 ** 2, "K");
        _update(now0, now1);
    }

    function _send(address token, address to, uint256 amount) private {
        (bool ok,) = token.call(abi.encodeWithSignature("transfer(address,uint256)", to, amount));
        require(ok, "transfer");
    }

    function _update(uint256 now0, uint256 now1) private {
        held0 = uint112(now0);
        held1 = uint112(now1);
        emit Sync(held0, held1);
    }
}

interface ICall {
    function uniswapV2Call(address, uint256, uint256, bytes calldata) external;
}
