// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Lock} from "lock/Lock.sol";

import {Roles, Settings} from "./Roles.sol";
import {IExecutor} from "./interfaces/IExecutor.sol";
import {Plan, PlanLib} from "./libraries/PlanLib.sol";
import {PoolLib} from "./libraries/PoolLib.sol";
import {TokenLib} from "./libraries/TokenLib.sol";

/// @title Executor
/// @notice See IExecutor. How a cycle is financed without capital:
///
/// Every output goes straight to the pool that needs it as input; only the last one comes here, as start token.
/// Leg f lends: it is called first and hands out before it is paid. In its callback the legs behind it run (all
/// V2-style, so paid already by the leg before), which brings the start token here. Then f's own input is procured:
/// legs 0..f-1 run towards it, leg 0 being paid from the start token that has just come in. A V3-style leg asks for its
/// input in its callback, so there the procuring goes on from that leg backwards: V3-style legs nest, V2-style legs do not.
///
/// So this contract makes one transfer to a pool a run, of the start token, and its amount stands in the plan. Where a
/// V2-style pool lends before the end, its output must pass through here, for such pools call back whoever they pay.
contract Executor is Roles {
    using PlanLib for Plan;

    /// @notice The wrapped ether of this chain, always accepted as start token.
    address public immutable WETH;

    /// @dev More than any fee recipient that is a contract was seen to need; caps what a hostile one can burn.
    uint256 private constant PAYMENT_GAS = 100_000;
    uint256 private constant BPS = 10_000;
    /// @dev The plan begins behind `run`'s selector.
    Plan private constant OWN_PLAN = Plan.wrap(4);

    constructor(address weth, Settings memory settings) Roles(settings) {
        if (weth == address(0)) revert ZeroAddress();
        WETH = weth;
        Lock.write(Lock.IDLE);
    }

    receive() external payable {
        if (msg.sender != WETH) revert EtherRefused(msg.sender);
    }

    /// @inheritdoc IExecutor
    function run() external returns (uint256 gross, uint256 payment) {
        if (!isOperator[msg.sender]) revert NotOperator(msg.sender);
        address vault_ = vault;
        if (isHalted) revert IsHalted();
        if (Lock.read() >= Lock.RUNNING) revert IsRunning();
        Plan plan = OWN_PLAN;
        address token = _admit(plan);

        uint256 before = TokenLib.balanceOf(token, address(this));
        if (plan.lendsMiddleToken()) _lendMiddleToken(plan);
        else _swap(plan, plan.lender(), true);

        uint256 afterwards = TokenLib.balanceOf(token, address(this));
        if (afterwards < before) revert BalanceFell(token, before, afterwards);
        unchecked {
            gross = afterwards - before; // just compared
            payment = plan.paymentBps() == 0 ? 0 : _share(gross, plan.paymentBps());
            uint256 net = gross - payment; // a share of at most the whole
            if (net < plan.floorAmount()) revert ProfitBelowFloor(net, plan.floorAmount());
            if (net != 0) TokenLib.transfer(token, vault_, net);
        }
        // WETH takes exactly what it is told to; of other tokens that is seen, not assumed.
        if (token != WETH) _requireNotBelow(token, before);
        else if (payment != 0) _pay(payment);
        Lock.write(Lock.IDLE);
    }

    /// @notice Any callback of any pool, whatever its selector: accepted once, from the pool whose turn it is.
    /// @dev The style decides where the plan lies in the calldata: behind (address,uint256,uint256,bytes) or
    /// (int256,int256,bytes), encoded the canonical way. Anything else gives bytes that do not fit the expectation.
    fallback() external {
        uint256 expected = Lock.read();
        if (expected <= Lock.RUNNING) revert UnexpectedCallback(msg.sender);
        (uint256 leg, bool isV3Style) = PlanLib.expectedLeg(expected);
        Plan plan = Plan.wrap(isV3Style ? 0x84 : 0xa4);
        if (_expectation(plan, leg, isV3Style) != expected) revert UnexpectedCallback(msg.sender);
        Lock.write(Lock.RUNNING);

        if (isV3Style) _requirePlannedAmountOwed(plan, leg);
        if (leg == plan.lender()) {
            if (plan.lendsMiddleToken()) TokenLib.transfer(plan.middleToken(), plan.pool(leg + 1), plan.amount(leg));
            uint256 count = plan.legCount();
            for (uint256 next = leg + 1; next < count; next++) {
                _swap(plan, next, false);
            }
        }
        _procure(plan, leg);
    }

    /// @dev Everything that can be refused before a pool is touched. Returns the start token.
    function _admit(Plan plan) private view returns (address token) {
        uint256 length = plan.size();
        if (msg.data.length != 4 + length || plan.lender() >= plan.legCount()) revert MalformedPlan();
        if (block.number > plan.lastBlock()) revert Stale(block.number, plan.lastBlock());
        if (plan.hasParentHash() && blockhash(block.number - 1) != plan.parentHash(length)) {
            revert WrongParent(blockhash(block.number - 1));
        }
        token = plan.startToken();
        if (token != WETH) {
            if (!isToken[token]) revert TokenNotListed(token);
            if (plan.paymentBps() != 0) revert PaymentNotPossible(plan.paymentBps());
        }
        if (plan.paymentBps() > BPS) revert PaymentNotPossible(plan.paymentBps());
    }

    /// @dev The loan of a V2-style pool before the end passes through here; what was here of that token stays.
    function _lendMiddleToken(Plan plan) private {
        address token = plan.middleToken();
        uint256 before = TokenLib.balanceOf(token, address(this));
        _swap(plan, plan.lender(), true);
        _requireNotBelow(token, before);
    }

    /// @dev Makes the input of `leg` arrive at its pool: runs the legs before it, back to the nearest one that calls
    /// back for its own input, or to the start of the route, which is paid from here.
    function _procure(Plan plan, uint256 leg) private {
        uint256 first = leg;
        while (first != 0 && !plan.isV3(first - 1)) first--;
        if (first == 0) TokenLib.transfer(plan.startToken(), plan.pool(0), plan.amountIn());
        else _swap(plan, first - 1, true);
        for (; first < leg; first++) {
            _swap(plan, first, false);
        }
    }

    /// @dev Swaps through the pool of `leg`, towards the next pool or here. With `isCalledBack` the plan goes along,
    /// and the pool must call back before it returns.
    function _swap(Plan plan, uint256 leg, bool isCalledBack) private {
        uint256 flags = plan.flags(leg);
        address pool = plan.pool(leg);
        bool isV3Style = flags & PlanLib.V3_STYLE != 0;
        bool zeroForOne = flags & PlanLib.ZERO_FOR_ONE != 0;
        if (flags & PlanLib.BY_FACTORY == 0 ? !isPool[pool] : !PoolLib.isFromFactory(factories, pool, isV3Style)) {
            revert PoolNotListed(pool);
        }
        // A V2-style pool calls back whoever it pays, so a loan of it comes here.
        bool isPaidHere = leg + 1 == plan.legCount() || (isCalledBack && !isV3Style);
        address to = isPaidHere ? address(this) : plan.pool(leg + 1);
        uint256 call_;
        assembly ("memory-safe") {
            call_ := mload(0x40)
        }
        if (!isCalledBack) {
            // A V3-style leg here would ask for an input that was never planned: only the lender and legs before it may.
            if (isV3Style) revert MalformedPlan();
            PoolLib.callPool(pool, call_, PoolLib.writeV2Swap(call_, zeroForOne, plan.amount(leg), to, 0));
            return;
        }
        uint256 length = plan.size();
        uint256 content = isV3Style
            ? PoolLib.writeV3Swap(call_, zeroForOne, plan.amount(leg), to, length)
            : PoolLib.writeV2Swap(call_, zeroForOne, plan.amount(leg), to, length);
        assembly ("memory-safe") {
            calldatacopy(content, plan, length)
        }
        Lock.write(PlanLib.expectation(content, length, pool, leg, isV3Style));
        PoolLib.callPool(pool, call_, (content + length + 31) & ~uint256(31));
        if (Lock.read() != Lock.RUNNING) revert NoCallback(pool);
    }

    /// @dev The expectation that this very callback answers to.
    function _expectation(Plan plan, uint256 leg, bool isV3Style) private view returns (uint256) {
        uint256 length = plan.size();
        uint256 content;
        assembly ("memory-safe") {
            content := mload(0x40)
            calldatacopy(content, plan, length)
        }
        return PlanLib.expectation(content, length, msg.sender, leg, isV3Style);
    }

    /// @dev A V3-style pool that is short of liquidity asks for less than planned; that is another trade, so it ends here.
    function _requirePlannedAmountOwed(Plan plan, uint256 leg) private view {
        uint256 owed;
        bool zeroForOne = plan.flags(leg) & PlanLib.ZERO_FOR_ONE != 0;
        assembly ("memory-safe") {
            owed := calldataload(add(4, mul(32, iszero(zeroForOne))))
        }
        if (owed != plan.amount(leg)) revert WrongAmountOwed(msg.sender, owed, plan.amount(leg));
    }

    /// @dev The builder's share, rounded down in our favour.
    function _share(uint256 gross, uint256 bps) private pure returns (uint256) {
        return gross * bps / BPS;
    }

    /// @dev Unwraps and pays; the answer of the recipient is not read, only whether it took it.
    function _pay(uint256 payment) private {
        address weth = WETH;
        bool isDone;
        assembly ("memory-safe") {
            mstore(0x00, shl(224, 0x2e1a7d4d)) // withdraw(uint256)
            mstore(0x04, payment)
            isDone := call(gas(), weth, 0, 0x00, 0x24, 0, 0)
        }
        if (!isDone) revert TokenCallFailed(weth);
        assembly ("memory-safe") {
            isDone := call(PAYMENT_GAS, coinbase(), payment, 0, 0, 0, 0)
        }
        if (!isDone) revert PaymentRefused(block.coinbase, payment);
    }

    function _requireNotBelow(address token, uint256 before) private view {
        uint256 afterwards = TokenLib.balanceOf(token, address(this));
        if (afterwards < before) revert BalanceFell(token, before, afterwards);
    }
}
