// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

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

    /// @notice Executes the plan that follows the selector in the calldata, packed as `PlanLib` says.
    /// @dev Called `run` in prose. The suffix makes the selector 0x00000060: it is compared first in the
    /// dispatcher, and a zero byte of calldata costs a quarter.
    /// @return gross Gain of the start token as measured on this contract's own balance, before payment.
    /// @return payment Paid to `block.coinbase` in wei, `gross · paymentBps / 10,000`, rounded down in our favour.
    function run_0p4qx() external returns (uint256 gross, uint256 payment);
}
