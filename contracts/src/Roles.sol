// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExecutor} from "./interfaces/IExecutor.sol";
import {TokenLib} from "./libraries/TokenLib.sol";

/// @notice A factory whose pools are accepted: they are created by CREATE2 from `deployer` with this init-code hash.
struct Factory {
    bytes32 initCodeHash;
    address deployer;
}

/// @notice A factory as the owner registers it.
struct FactoryEntry {
    address factory;
    address deployer;
    bytes32 initCodeHash;
}

/// @notice What a new executor starts with.
struct Settings {
    address owner;
    address guardian;
    address vault;
    address[] operators;
    address[] tokens;
    address[] pools;
    FactoryEntry[] factories;
}

/// @title Roles
/// @notice Who may do what, and the owner's lists of tokens, pools and factories.
/// @dev The order of the state variables is mirrored by `agent/venues/onchain/executor.py`.
/// The owner changes in two steps, operators only run, the guardian only halts, money leaves only to vault or owner.
abstract contract Roles is IExecutor {
    address public owner;
    address public pendingOwner;
    address public guardian;
    /// @dev Where profit goes. Shares its slot with `isHalted`, so that a run reads both at once.
    address public vault;
    bool public isHalted;
    mapping(address account => bool) public isOperator;
    /// @dev WETH is accepted without an entry: it is fixed in the code.
    mapping(address token => bool) public isToken;
    mapping(address pool => bool) public isPool;
    mapping(address factory => Factory) public factories;

    event OwnerNamed(address indexed pendingOwner);
    event OwnerChanged(address indexed owner);
    event GuardianChanged(address indexed guardian);
    event VaultChanged(address indexed vault);
    event OperatorChanged(address indexed account, bool isOperator);
    event TokenChanged(address indexed token, bool isToken);
    event PoolChanged(address indexed pool, bool isPool);
    event FactoryChanged(address indexed factory, address deployer, bytes32 initCodeHash);
    event Halted(address indexed by);
    event Unhalted();

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

    /// @notice First step of a change of owner; nothing changes until the new one accepts.
    function nameOwner(address pendingOwner_) external onlyOwner {
        pendingOwner = pendingOwner_;
        emit OwnerNamed(pendingOwner_);
    }

    /// @notice Second step, by the one who was named.
    function acceptOwnership() external {
        if (msg.sender != pendingOwner) revert NotPendingOwner(msg.sender);
        owner = msg.sender;
        pendingOwner = address(0);
        emit OwnerChanged(msg.sender);
    }

    function setGuardian(address guardian_) external onlyOwner {
        guardian = guardian_;
        emit GuardianChanged(guardian_);
    }

    function setVault(address vault_) external onlyOwner {
        if (vault_ == address(0)) revert ZeroAddress();
        vault = vault_;
        emit VaultChanged(vault_);
    }

    function setOperator(address account, bool isOperator_) external onlyOwner {
        isOperator[account] = isOperator_;
        emit OperatorChanged(account, isOperator_);
    }

    function setToken(address token, bool isToken_) external onlyOwner {
        isToken[token] = isToken_;
        emit TokenChanged(token, isToken_);
    }

    function setPools(address[] calldata pools, bool isPool_) external onlyOwner {
        for (uint256 i = 0; i < pools.length; i++) {
            isPool[pools[i]] = isPool_;
            emit PoolChanged(pools[i], isPool_);
        }
    }

    /// @notice Accepts the pools of a factory; an init-code hash of zero takes it off again.
    function setFactory(address factory, address deployer, bytes32 initCodeHash) external onlyOwner {
        factories[factory] = Factory({initCodeHash: initCodeHash, deployer: deployer});
        emit FactoryChanged(factory, deployer, initCodeHash);
    }

    /// @notice Stops every run until the owner lifts it.
    function halt() external {
        if (msg.sender != guardian && msg.sender != owner) revert NotGuardian(msg.sender);
        isHalted = true;
        emit Halted(msg.sender);
    }

    function unhalt() external onlyOwner {
        isHalted = false;
        emit Unhalted();
    }

    /// @notice Sends everything of `token` that lies here to the owner; the zero address means ETH.
    function sweep(address token) external onlyOwner {
        if (token == address(0)) {
            (bool isTaken,) = msg.sender.call{value: address(this).balance}("");
            if (!isTaken) revert PaymentRefused(msg.sender, address(this).balance);
        } else {
            TokenLib.transfer(token, msg.sender, TokenLib.balanceOf(token, address(this)));
        }
    }
}
