// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

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

/// @notice The owner's lists of single addresses.
enum List {
    Operators,
    Tokens,
    Pools
}

/// @title Executor
/// @notice Runs one arbitrage cycle atomically without capital, pays the block's fee recipient a share of the measured
/// profit and sends the rest to the vault; reverts as a whole if less than the caller's floor is left.
/// @dev Holds nothing between transactions but what was there before (1 wei of a token saves gas). It never gives an
/// allowance and never transfers a token but the cycle's start token (and, where a V2-style pool lends in the middle of
/// a route, the token it lent), so an operator's key alone cannot take what it holds.
interface IExecutor {
    /// @notice Only the owner may do this.
    error NotOwner(address caller);
    /// @notice Only the address named by the owner may take over.
    error NotPendingOwner(address caller);
    /// @notice Only an operator may run a plan.
    error NotOperator(address caller);
    /// @notice Only the guardian or the owner may halt.
    error NotGuardian(address caller);
    /// @notice Halted: only the owner can lift it.
    error IsHalted();
    /// @notice A zero address where one is needed.
    error ZeroAddress();
    /// @notice No legs, or legs in an order that cannot be financed.
    error MalformedPlan();
    /// @notice The block is later than the last one the plan was made for.
    error Stale(uint256 blockNumber, uint256 lastBlock);
    /// @notice The chain is another one than the plan was made for.
    error WrongParent(bytes32 parentHash);
    /// @notice Profit may be taken only in tokens of the owner's list.
    error TokenNotListed(address token);
    /// @notice The pool is neither on the owner's list nor proved by a registered factory.
    error PoolNotListed(address pool);
    /// @notice The builder's share is paid in ETH and so only out of WETH, and is at most all of the profit.
    error PaymentNotPossible(uint256 paymentBps);
    /// @notice Nobody's callback is expected, or somebody else's.
    error UnexpectedCallback(address caller);
    /// @notice The pool asks for another amount than the plan gives it.
    error WrongAmountOwed(address pool, uint256 owed, uint256 planned);
    /// @notice The pool did not call back.
    error NoCallback(address pool);
    /// @notice A call into a pool failed without a reason.
    error PoolCallFailed(address pool);
    /// @notice A token refused a transfer or answered with something that is not a balance.
    error TokenCallFailed(address token);
    /// @notice A listed token would be less than before.
    error BalanceFell(address token, uint256 before, uint256 afterwards);
    /// @notice The fee recipient did not take its payment.
    error PaymentRefused(address feeRecipient, uint256 payment);
    /// @notice What is left after payment is less than asked for.
    error ProfitBelowFloor(uint256 net, uint256 floor);
    /// @notice ETH is taken only from the WETH contract.
    error EtherRefused(address sender);

    event OwnerNamed(address indexed pendingOwner);
    event OwnerChanged(address indexed owner);
    event RolesChanged(address indexed guardian, address indexed vault);
    event ListedChanged(List indexed list, address indexed account, bool isListed);
    event FactoryChanged(address indexed factory, address deployer, bytes32 initCodeHash);
    event Halted(address indexed by);
    event Unhalted();

    /// @notice Executes the plan that follows the selector in the calldata, packed as `PlanLib` says.
    /// @dev Called `run` in prose. The suffix makes the selector 0x00000060: it is compared first in the
    /// dispatcher, and a zero byte of calldata costs a quarter.
    /// @return gross Gain of the start token as measured on this contract's own balance, before payment.
    /// @return payment Paid to `block.coinbase` in wei, `gross · paymentBps / 10,000`, rounded down in our favour.
    function run_0p4qx() external returns (uint256 gross, uint256 payment);

    /// @notice Everyone with a role, whether the guardian or the owner has halted, and the wrapped ether accepted.
    function roles()
        external
        view
        returns (address owner, address pendingOwner, address guardian, address vault, bool isHalted, address weth);

    /// @notice On which of the owner's lists an address stands.
    function listed(address account)
        external
        view
        returns (bool isOperator, bool isToken, bool isPool, Factory memory factory);

    /// @notice First step of a change of owner; nothing changes until the new one accepts.
    function nameOwner(address pendingOwner) external;

    /// @notice Second step, by the one who was named.
    function acceptOwnership() external;

    /// @notice Who may halt, and where profit goes.
    function setRoles(address guardian, address vault) external;

    /// @notice Puts accounts on one of the lists or takes them off.
    function setListed(List list, address[] calldata accounts, bool isListed) external;

    /// @notice Accepts the pools of a factory; an init-code hash of zero takes it off again.
    function setFactory(address factory, address deployer, bytes32 initCodeHash) external;

    /// @notice Stops every run until the owner lifts it.
    function halt() external;

    /// @notice Lifts a halt; only the owner.
    function unhalt() external;

    /// @notice Sends everything of `token` that lies here to the owner; the zero address means ETH.
    function sweep(address token) external;
}
