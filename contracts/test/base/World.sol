// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FactoryEntry, IExecutor, Settings} from "../../src/interfaces/IExecutor.sol";
import {Token} from "../doubles/Tokens.sol";
import {Base} from "./Base.sol";
import {LegSpec, PlanSpec, Plans} from "./Plans.sol";

interface IWeth {
    function deposit() external payable;
    function transfer(address to, uint256 amount) external returns (bool);
    function approve(address spender, uint256 amount) external returns (bool);
    function allowance(address owner, address spender) external view returns (uint256);
    function balanceOf(address account) external view returns (uint256);
}

interface IV2Factory {
    function createPair(address a, address b) external returns (address);
}

interface IV2Pair {
    function mint(address to) external returns (uint256);
    function token0() external view returns (address);
    function getReserves() external view returns (uint112, uint112, uint32);
}

interface IV3Factory {
    function createPool(address a, address b, uint24 fee) external returns (address);
}

interface IV3Pool {
    function initialize(uint160 sqrtPriceX96) external;
    function mint(address to, int24 lower, int24 upper, uint128 amount, bytes calldata data)
        external
        returns (uint256, uint256);
    function swap(address to, bool zeroForOne, int256 amount, uint160 limit, bytes calldata data)
        external
        returns (int256, int256);
    function token0() external view returns (address);
    function token1() external view returns (address);
}

/// @notice A small market of the real contracts: WETH9, two V2 factories (Uniswap's code), a V3 factory, two tokens.
/// Each edge of WETH -> A -> WETH and WETH -> A -> B -> WETH has a V2 pair and a V3 pool, priced so that both cycles pay.
abstract contract World is Base {
    uint256 internal constant BUY = 0; // WETH -> A, where A is cheap
    uint256 internal constant SELL = 1; // A -> WETH, where A is dear
    uint256 internal constant MID = 2; // A -> B
    uint256 internal constant LAST = 3; // B -> WETH, where B is dear

    address internal constant OWNER = address(0x0123456789012345678901234567890123456701);
    address internal constant GUARDIAN = address(0x0123456789012345678901234567890123456702);
    address internal constant VAULT = address(0x0123456789012345678901234567890123456703);
    address internal constant OPERATOR = address(0x0123456789012345678901234567890123456704);
    address internal constant STRANGER = address(0x0123456789012345678901234567890123456705);
    address payable internal constant COINBASE = payable(address(0x0123456789012345678901234567890123456706));

    string private constant V2_FACTORY = "node_modules/@uniswap/v2-core/build/UniswapV2Factory.json";
    string private constant V3_FACTORY = "node_modules/@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json";
    string internal constant V2_PAIR = "node_modules/@uniswap/v2-core/build/UniswapV2Pair.json";
    string internal constant V3_POOL = "node_modules/@uniswap/v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json";
    string private constant WETH9 = "node_modules/canonical-weth/build/contracts/WETH9.json";

    IWeth internal weth;
    Token internal a;
    Token internal b;
    address internal v2Factory;
    address internal otherV2Factory;
    address internal v3Factory;
    IExecutor internal executor;
    /// @dev [edge][0 V2, 1 V3]
    address[2][4] internal pools;

    function setUp() public virtual {
        vm.warp(1_700_000_000);
        vm.roll(20_000_000);
        vm.coinbase(COINBASE);
        weth = IWeth(deploy(creationCode(WETH9)));
        vm.deal(address(this), 1_000_000 ether);
        weth.deposit{value: 500_000 ether}();
        a = new Token();
        b = new Token();
        a.mint(address(this), 1e30);
        b.mint(address(this), 1e30);
        v2Factory = deploy(bytes.concat(creationCode(V2_FACTORY), abi.encode(address(this))));
        otherV2Factory = deploy(bytes.concat(creationCode(V2_FACTORY), abi.encode(address(this))));
        v3Factory = deploy(creationCode(V3_FACTORY));
        // 1 WETH is 2,000 A where it is cheap, 1,800 where it is dear; A and B are at par; 1 WETH is 1,750 B.
        pools[BUY][0] = _pair(v2Factory, address(weth), 1_000 ether, address(a), 2_000_000 ether);
        pools[SELL][0] = _pair(otherV2Factory, address(weth), 1_000 ether, address(a), 1_800_000 ether);
        pools[MID][0] = _pair(v2Factory, address(a), 2_000_000 ether, address(b), 2_000_000 ether);
        pools[LAST][0] = _pair(v2Factory, address(weth), 1_000 ether, address(b), 1_750_000 ether);
        pools[BUY][1] = _v3Pool(address(weth), address(a), 3000, 2_000, 40_000 ether);
        pools[SELL][1] = _v3Pool(address(weth), address(a), 500, 1_800, 40_000 ether);
        pools[MID][1] = _v3Pool(address(a), address(b), 500, 1, 2_000_000 ether);
        pools[LAST][1] = _v3Pool(address(weth), address(b), 3000, 1_750, 40_000 ether);
        executor = _executor();
        require(weth.transfer(address(executor), 1));
    }

    function _executor() internal virtual returns (IExecutor) {
        address[] memory operators = new address[](1);
        operators[0] = OPERATOR;
        address[] memory tokens = new address[](1);
        tokens[0] = address(a);
        address[] memory listed = new address[](8);
        for (uint256 i = 0; i < 8; i++) {
            listed[i] = pools[i / 2][i % 2];
        }
        FactoryEntry[] memory factories = new FactoryEntry[](2);
        factories[0] = FactoryEntry(v2Factory, v2Factory, keccak256(creationCode(V2_PAIR)));
        factories[1] = FactoryEntry(v3Factory, v3Factory, keccak256(creationCode(V3_POOL)));
        return _deployExecutor(address(weth), Settings(OWNER, GUARDIAN, VAULT, operators, tokens, listed, factories));
    }

    // -- plans

    /// @dev The cycle over these edges, V3 where `kinds` has bit i, exact in all amounts; the last leg lends.
    function _plan(uint256[] memory edges, uint256 kinds, uint256 amountIn)
        internal
        returns (PlanSpec memory plan, uint256 gross)
    {
        LegSpec[] memory legs = new LegSpec[](edges.length);
        address token = address(weth);
        uint256 amount = amountIn;
        for (uint256 i = 0; i < edges.length; i++) {
            bool isV3 = kinds >> i & 1 == 1;
            address pool = pools[edges[i]][isV3 ? 1 : 0];
            bool zeroForOne = IV3Pool(pool).token0() == token;
            uint256 out = isV3 ? _quoteV3(pool, zeroForOne, amount) : _quoteV2(pool, zeroForOne, amount);
            legs[i] = LegSpec(pool, isV3, zeroForOne, false, isV3 ? amount : out);
            amount = out;
            token = zeroForOne ? IV3Pool(pool).token1() : IV3Pool(pool).token0();
        }
        assertEq(token, address(weth), "the route is a cycle");
        gross = amount - amountIn;
        plan = PlanSpec(address(0), legs, edges.length - 1, amountIn, address(0), block.number, 0, 0, 0);
    }

    function _twoHops(uint256 kinds, uint256 amountIn) internal returns (PlanSpec memory, uint256) {
        uint256[] memory edges = new uint256[](2);
        (edges[0], edges[1]) = (BUY, SELL);
        return _plan(edges, kinds, amountIn);
    }

    function _threeHops(uint256 kinds, uint256 amountIn) internal returns (PlanSpec memory, uint256) {
        uint256[] memory edges = new uint256[](3);
        (edges[0], edges[1], edges[2]) = (BUY, MID, LAST);
        return _plan(edges, kinds, amountIn);
    }

    function _run(PlanSpec memory plan) internal returns (bool isDone, bytes memory returned) {
        return _runAs(OPERATOR, Plans.calldataOf(plan));
    }

    function _runAs(address sender, bytes memory data) internal returns (bool isDone, bytes memory returned) {
        vm.prank(sender);
        (isDone, returned) = address(executor).call{gas: 5_000_000}(data);
    }

    function _mustRun(PlanSpec memory plan) internal returns (uint256 gross, uint256 payment) {
        (bool isDone, bytes memory returned) = _run(plan);
        if (!isDone) {
            assembly {
                revert(add(returned, 0x20), mload(returned))
            }
        }
        return abi.decode(returned, (uint256, uint256));
    }

    function _mustFail(PlanSpec memory plan, bytes4 selector) internal {
        (bool isDone, bytes memory returned) = _run(plan);
        _requireFailed(isDone, returned, selector);
    }

    function _requireFailed(bool isDone, bytes memory returned, bytes4 selector) internal pure {
        assertTrue(!isDone, "it must revert");
        if (bytes4(returned) != selector) revert NotEqual(uint32(bytes4(returned)), uint32(selector), "the error");
    }

    // -- the market

    function _pair(address factory, address x, uint256 amountX, address y, uint256 amountY) internal returns (address pair) {
        pair = IV2Factory(factory).createPair(x, y);
        require(Token(x).transfer(pair, amountX));
        require(Token(y).transfer(pair, amountY));
        IV2Pair(pair).mint(address(this));
    }

    /// @dev A pool of `x` and `y` at `price` y for 1 x (both 18 decimals), with `liquidity` over its whole range.
    function _v3Pool(address x, address y, uint24 fee, uint256 price, uint128 liquidity)
        internal returns (address pool) {
        pool = IV3Factory(v3Factory).createPool(x, y, fee);
        uint256 root = _sqrt(price << 64) << 64; // sqrt(price) · 2^96
        if (x > y) root = (1 << 192) / root;
        IV3Pool(pool).initialize(uint160(root));
        int24 spacing = fee == 500 ? int24(10) : int24(60);
        int24 edge = 887272 / spacing * spacing;
        IV3Pool(pool).mint(address(this), -edge, edge, liquidity, "");
    }

    function uniswapV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        if (owed0 > 0) require(Token(IV3Pool(msg.sender).token0()).transfer(msg.sender, owed0));
        if (owed1 > 0) require(Token(IV3Pool(msg.sender).token1()).transfer(msg.sender, owed1));
    }

    /// @dev Reverts with what comes out, so that a quote leaves no trace.
    function uniswapV3SwapCallback(int256 delta0, int256 delta1, bytes calldata) external pure {
        int256 out = delta0 < 0 ? -delta0 : -delta1;
        assembly {
            mstore(0, out)
            revert(0, 32)
        }
    }

    function _quoteV3(address pool, bool zeroForOne, uint256 amountIn) internal returns (uint256) {
        uint160 limit = zeroForOne ? 4295128740 : 1461446703485210103287273052203988822378723970341;
        try IV3Pool(pool).swap(address(this), zeroForOne, int256(amountIn), limit, "") {
            revert NotTrue("a quote reverts");
        } catch (bytes memory reason) {
            return abi.decode(reason, (uint256));
        }
    }

    function _quoteV2(address pair, bool zeroForOne, uint256 amountIn) internal view returns (uint256) {
        (uint256 reserveIn, uint256 reserveOut,) = IV2Pair(pair).getReserves();
        if (!zeroForOne) (reserveIn, reserveOut) = (reserveOut, reserveIn);
        return amountIn * 997 * reserveOut / (reserveIn * 1000 + amountIn * 997);
    }

    function _sqrt(uint256 value) internal pure returns (uint256 root) {
        root = value;
        uint256 next = value / 2 + 1;
        while (next < root) {
            root = next;
            next = (value / next + next) / 2;
        }
    }
}
