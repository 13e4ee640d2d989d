// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Factory, FactoryEntry, IExecutor, List, Settings} from "./interfaces/IExecutor.sol";
import {TokenLib} from "./libraries/TokenLib.sol";

/// @title Roles
/// @notice Who may do what, and the owner's lists of tokens, pools and factories.
/// @dev The order of the state variables is mirrored by `agent/venues/onchain/executor.py`.
/// Few functions, because a callback passes all of their selectors before it reaches the fallback, 22 gas each:
/// two views instead of a getter for each variable.
/// The owner changes in two steps, operators only run, the guardian only halts, money leaves only to vault or owner.
abstract contract Roles is IExecutor {
    address internal owner;
    address internal pendingOwner;
    address internal guardian;
    /// @dev Where profit goes. Shares its slot with `isHalted`, so that a run reads both at once.
    address internal vault;
    bool internal isHalted;
    mapping(address account => bool) internal isOperator;
    /// @dev WETH is accepted without an entry: it is fixed in the code.
    mapping(address token => bool) internal isToken;
    mapping(address pool => bool) internal isPool;
    mapping(address factory => Factory) internal factories;

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    constructor(Settings memory settings) {
        if (settings.owner == address(0) || settings.vault == address(0)) revert ZeroAddress();
        owner = settings.owner;
        guardian = settings.guardian;
        vault = settings.vault;
        for (uint256 i = 0; i < settings.operators.length; i++) {
            isOperator[settings.operators[i]] = true;
        }
        for (uint256 i = 0; i < settings.tokens.length; i++) {
            isToken[settings.tokens[i]] = true;
        }
        for (uint256 i = 0; i < settings.pools.length; i++) {
            isPool[settings.pools[i]] = true;
        }
        for (uint256 i = 0; i < settings.factories.length; i++) {
            FactoryEntry memory entry = settings.factories[i];
            factories[entry.factory] = Factory({initCodeHash: entry.initCodeHash, deployer: entry.deployer});
        }
    }

    /// @inheritdoc IExecutor
    function roles()
        external
        view
        returns (address owner_, address pendingOwner_, address guardian_, address vault_, bool isHalted_, address weth)
    {
        return (owner, pendingOwner, guardian, vault, isHalted, _weth());
    }

    function _weth() internal view virtual returns (address);

    /// @inheritdoc IExecutor
    function listed(address account)
        external
        view
        returns (bool isOperator_, bool isToken_, bool isPool_, Factory memory factory)
    {
        return (isOperator[account], isToken[account], isPool[account], factories[account]);
    }

    /// @inheritdoc IExecutor
    function nameOwner(address pendingOwner_) external onlyOwner {
        pendingOwner = pendingOwner_;
        emit OwnerNamed(pendingOwner_);
    }

    /// @inheritdoc IExecutor
    function acceptOwnership() external {
        if (msg.sender != pendingOwner) revert NotPendingOwner(msg.sender);
        owner = msg.sender;
        pendingOwner = address(0);
        emit OwnerChanged(msg.sender);
    }

    /// @inheritdoc IExecutor
    function setRoles(address guardian_, address vault_) external onlyOwner {
        if (vault_ == address(0)) revert ZeroAddress();
        guardian = guardian_;
        vault = vault_;
        emit RolesChanged(guardian_, vault_);
    }

    /// @inheritdoc IExecutor
    function setListed(List list, address[] calldata accounts, bool isListed) external onlyOwner {
        mapping(address => bool) storage entries =
            list == List.Operators ? isOperator : list == List.Tokens ? isToken : isPool;
        for (uint256 i = 0; i < accounts.length; i++) {
            entries[accounts[i]] = isListed;
            emit ListedChanged(list, accounts[i], isListed);
        }
    }

    /// @inheritdoc IExecutor
    function setFactory(address factory, address deployer, bytes32 initCodeHash) external onlyOwner {
        factories[factory] = Factory({initCodeHash: initCodeHash, deployer: deployer});
        emit FactoryChanged(factory, deployer, initCodeHash);
    }

    /// @inheritdoc IExecutor
    function halt() external {
        if (msg.sender != guardian && msg.sender != owner) revert NotGuardian(msg.sender);
        isHalted = true;
        emit Halted(msg.sender);
    }

    /// @inheritdoc IExecutor
    function unhalt() external onlyOwner {
        isHalted = false;
        emit Unhalted();
    }

    /// @inheritdoc IExecutor
    function sweep(address token) external onlyOwner {
        if (token == address(0)) {
            (bool isTaken,) = msg.sender.call{value: address(this).balance}("");
            if (!isTaken) revert PaymentRefused(msg.sender, address(this).balance);
        } else {
            TokenLib.transfer(token, msg.sender, TokenLib.balanceOf(token, address(this)));
        }
    }
}
