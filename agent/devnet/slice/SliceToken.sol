// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.33;

/// An ERC-20 as plain as it can be: no tax, no list, no owner. The slice puts its runtime code at the
/// addresses of mainnet's tokens and writes every word of its storage; hence no constructor and no minting.
contract SliceToken {
    mapping(address => uint256) public balanceOf; // slot 0
    mapping(address => mapping(address => uint256)) public allowance; // slot 1
    uint256 public totalSupply; // slot 2
    uint8 public decimals; // slot 3
    string public name; // slot 4, at most 31 bytes
    string public symbol; // slot 5, at most 31 bytes

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
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
        balanceOf[from] -= value;
        unchecked {
            balanceOf[to] += value; // cannot pass the supply
        }
        emit Transfer(from, to, value);
    }
}
