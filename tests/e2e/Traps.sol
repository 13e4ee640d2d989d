// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

interface IToken {
    function balanceOf(address) external view returns (uint256);
    function transfer(address, uint256) external returns (bool);
}

interface ICallee {
    function uniswapV2Call(address, uint256, uint256, bytes calldata) external;
}

/// A pair with Uniswap V2's interface and a fee of its own, written into storage; it may lie or refuse.
contract TrapPair {
    address public token0; // slot 0
    address public token1; // slot 1
    uint256 public feeBps; // slot 2
    uint112 private held0; // slot 3, packed
    uint112 private held1;
    uint256 public saysMoreBps; // slot 4: by how much getReserves shows token1 larger than it is
    address public refused; // slot 5: this caller cannot swap
    address public only; // slot 6: where set, nobody else can

    event Sync(uint112 reserve0, uint112 reserve1);

    function getReserves() external view returns (uint112, uint112, uint32) {
        return (held0, uint112(uint256(held1) * (10000 + saysMoreBps) / 10000), 0);
    }

    function sync() external {
        _update(IToken(token0).balanceOf(address(this)), IToken(token1).balanceOf(address(this)));
    }

    function swap(uint256 out0, uint256 out1, address to, bytes calldata data) external {
        require(msg.sender != refused && (only == address(0) || msg.sender == only), "NOT_SWAPPER");
        require(out0 > 0 || out1 > 0, "OUTPUT");
        (uint256 was0, uint256 was1) = (held0, held1);
        require(out0 < was0 && out1 < was1, "LIQUIDITY");
        if (out0 > 0) IToken(token0).transfer(to, out0);
        if (out1 > 0) IToken(token1).transfer(to, out1);
        if (data.length > 0) ICallee(to).uniswapV2Call(msg.sender, out0, out1, data);
        uint256 now0 = IToken(token0).balanceOf(address(this));
        uint256 now1 = IToken(token1).balanceOf(address(this));
        uint256 in0 = now0 > was0 - out0 ? now0 - (was0 - out0) : 0;
        uint256 in1 = now1 > was1 - out1 ? now1 - (was1 - out1) : 0;
        require(in0 > 0 || in1 > 0, "INPUT");
        uint256 adjusted0 = now0 * 10000 - in0 * feeBps;
        uint256 adjusted1 = now1 * 10000 - in1 * feeBps;
        require(adjusted0 * adjusted1 >= was0 * was1 * 10000 ** 2, "K");
        _update(now0, now1);
    }

    function _update(uint256 now0, uint256 now1) private {
        held0 = uint112(now0);
        held1 = uint112(now1);
        emit Sync(held0, held1);
    }
}

/// An ERC-20 laid out like the slice's tokens, which keeps a hundredth of what is sent, where it is much.
contract TaxedToken {
    mapping(address => uint256) public balanceOf; // slot 0
    mapping(address => mapping(address => uint256)) public allowance; // slot 1
    uint256 public totalSupply; // slot 2
    uint8 public decimals; // slot 3
    string public name; // slot 4
    string public symbol; // slot 5
    uint256 public freeUpTo; // slot 6: amounts up to this are not taxed

    event Transfer(address indexed from, address indexed to, uint256 value);

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        _move(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - value;
        _move(from, to, value);
        return true;
    }

    function _move(address from, address to, uint256 value) private {
        uint256 tax = value > freeUpTo ? value / 100 : 0;
        balanceOf[from] -= value;
        balanceOf[to] += value - tax;
        balanceOf[address(this)] += tax;
        emit Transfer(from, to, value - tax);
    }
}
