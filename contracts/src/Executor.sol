// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Lock} from "lock/Lock.sol";

import {Roles} from "./Roles.sol";
import {IExecutor, Settings} from "./interfaces/IExecutor.sol";
import {Head, Leg, Plan, PlanLib} from "./libraries/PlanLib.sol";
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
    /// @notice The wrapped ether of this chain, always accepted as start token.
    address private immutable WETH;

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
    function run_0p4qx() external returns (uint256 gross, uint256 payment) {
        if (!isOperator[msg.sender]) revert NotOperator(msg.sender);
        address vault_ = _vaultUnlessHalted();
        Plan plan = OWN_PLAN;
        Head head = plan.head();
        uint256 length;
        unchecked {
            length = msg.data.length - 4; // behind the selector that led here
        }
        address token = _admit(plan, head, length);

        uint256 before = TokenLib.balanceOf(token, address(this));
        if (head.lendsMiddleToken()) _lendMiddleToken(plan, head, length);
        else _swapCalledBack(plan, head, length, plan.leg(head.lender()));
        uint256 afterwards = TokenLib.balanceOf(token, address(this));

        if (afterwards < before) revert BalanceFell(token, before, afterwards);
        uint256 net;
        unchecked {
            gross = afterwards - before; // just compared
            net = gross;
        }
        uint256 bps = head.paymentBps();
        if (bps != 0) {
            if (bps > BPS) revert PaymentNotPossible(bps);
            payment = gross * bps / BPS; // rounded down in our favour
            net -= payment;
        }
        if (net < head.floorAmount()) revert ProfitBelowFloor(net, head.floorAmount());
        TokenLib.transfer(token, vault_, net);
        // WETH takes exactly what it is told to; of other tokens that is seen, not assumed.
        if (head.namesStartToken()) _requireNotBelow(token, before);
        else if (payment != 0) _pay(payment);
    }

    /// @notice Any callback of any pool, whatever its selector: accepted once, from the pool whose turn it is.
    /// @dev The style decides where the plan lies in the calldata: behind (address,uint256,uint256,bytes) or
    /// (int256,int256,bytes), encoded the canonical way. Anything else gives bytes that do not fit the expectation.
    fallback() external {
        uint256 expected = Lock.read();
        if (expected <= Lock.IDLE) revert UnexpectedCallback(msg.sender);
        (uint256 label, bool isV3Style) = PlanLib.labelIn(expected);
        Plan plan;
        uint256 length;
        uint256 content;
        assembly ("memory-safe") {
            plan := sub(0xa4, shl(5, isV3Style)) // one argument less in front
            length := calldataload(sub(plan, 0x20))
            content := mload(0x40)
            calldatacopy(content, plan, length)
        }
        if (PlanLib.expectation(content, length, msg.sender, label) != expected) revert UnexpectedCallback(msg.sender);
        Lock.write(Lock.IDLE);

        Leg leg = plan.labelled(label);
        if (isV3Style) _requirePlannedAmountOwed(leg);
        Head head = plan.head();
        Leg end = plan.leg(head.legCount());
        Leg behind = leg.next();
        if (behind.isBefore(end) && Leg.unwrap(leg) == Leg.unwrap(plan.leg(head.lender()))) {
            if (head.lendsMiddleToken()) TokenLib.transfer(plan.middleToken(head), behind.pool(), leg.amount());
            _swapPaidUntil(behind, end, end);
        }
        _procure(plan, head, length, leg, end);
    }

    function _vaultUnlessHalted() private view returns (address vault_) {
        uint256 slot;
        assembly ("memory-safe") {
            slot := sload(vault.slot)
        }
        if (slot >> 160 != 0) revert IsHalted();
        return address(uint160(slot));
    }

    /// @dev What can be refused before any token or pool is called. Returns the start token.
    /// A lender beyond the legs is not refused here: it names bytes that the operator chose as well, so all the laws
    /// hold for it as for any leg.
    function _admit(Plan plan, Head head, uint256 length) private view returns (address token) {
        if (block.number > head.lastBlock()) revert Stale(block.number, head.lastBlock());
        token = WETH;
        if (head.isPlain()) return token;
        if (head.hasParentHash() && blockhash(block.number - 1) != plan.parentHash(length)) {
            revert WrongParent(blockhash(block.number - 1));
        }
        if (head.namesStartToken()) {
            token = plan.namedStartToken(head);
            if (!isToken[token]) revert TokenNotListed(token);
            if (head.paymentBps() != 0) revert PaymentNotPossible(head.paymentBps());
        }
    }

    /// @dev The loan of a V2-style pool before the end passes through here; what was here of that token stays.
    function _lendMiddleToken(Plan plan, Head head, uint256 length) private {
        address token = plan.middleToken(head);
        uint256 before = TokenLib.balanceOf(token, address(this));
        _swapCalledBack(plan, head, length, plan.leg(head.lender()));
        _requireNotBelow(token, before);
    }

    /// @dev Makes the input of `leg` arrive at its pool: runs the legs before it, back to the nearest one that calls
    /// back for its own input, or to the start of the route, which is paid from here.
    function _procure(Plan plan, Head head, uint256 length, Leg leg, Leg end) private {
        Leg next = leg;
        while (plan.first().isBefore(next)) {
            Leg before = next.previous();
            if (before.isV3()) {
                _swapCalledBack(plan, head, length, before);
                _swapPaidUntil(next, leg, end);
                return;
            }
            next = before;
        }
        address token = head.namesStartToken() ? plan.namedStartToken(head) : WETH;
        TokenLib.transfer(token, next.pool(), plan.amountIn(head));
        _swapPaidUntil(next, leg, end);
    }

    function _swapPaidUntil(Leg leg, Leg last, Leg end) private {
        for (; leg.isBefore(last); leg = leg.next()) {
            _swapPaid(leg, end);
        }
    }

    /// @dev Swaps through a V2-style pool whose input has arrived.
    function _swapPaid(Leg leg, Leg end) private {
        // A V3-style pool would ask for an input that was never planned: only the lender and legs before it may.
        if (leg.isV3()) revert MalformedPlan();
        address pool = _requireListed(leg, false);
        uint256 call_;
        assembly ("memory-safe") {
            call_ := mload(0x40)
        }
        PoolLib.callPool(
            pool, call_, PoolLib.writeV2Swap(call_, leg.zeroForOne(), leg.amount(), _recipient(leg, end), 0)
        );
    }

    /// @dev Swaps through a pool that calls back before it returns; the plan, `length` bytes, goes along.
    function _swapCalledBack(Plan plan, Head head, uint256 length, Leg leg) private {
        bool isV3Style = leg.isV3();
        address pool = _requireListed(leg, isV3Style);
        uint256 call_;
        uint256 content;
        assembly ("memory-safe") {
            call_ := mload(0x40)
        }
        // A V2-style pool calls back whoever it pays, so its loan comes here.
        if (isV3Style) {
            address to = _recipient(leg, plan.leg(head.legCount()));
            content = PoolLib.writeV3Swap(call_, leg.zeroForOne(), leg.amount(), to, length);
        } else {
            content = PoolLib.writeV2Swap(call_, leg.zeroForOne(), leg.amount(), address(this), length);
        }
        assembly ("memory-safe") {
            calldatacopy(content, plan, length)
        }
        Lock.write(PlanLib.expectation(content, length, pool, plan.labelOf(leg, isV3Style)));
        unchecked {
            // calldata is shorter than any sum here could overflow
            PoolLib.callPool(pool, call_, content + ((length + 31) & ~uint256(31)));
        }
        if (Lock.read() != Lock.IDLE) revert NoCallback(pool);
    }

    /// @dev Where the output of a leg belongs: to the next pool, or here.
    function _recipient(Leg leg, Leg end) private view returns (address) {
        Leg next = leg.next();
        return next.isBefore(end) ? next.pool() : address(this);
    }

    function _requireListed(Leg leg, bool isV3Style) private view returns (address pool) {
        pool = leg.pool();
        if (leg.isByFactory() ? !PoolLib.isFromFactory(factories, pool, isV3Style) : !isPool[pool]) {
            revert PoolNotListed(pool);
        }
    }

    /// @dev A V3-style pool that is short of liquidity asks for less than planned; that is another trade, so it ends here.
    function _requirePlannedAmountOwed(Leg leg) private view {
        uint256 owed;
        bool zeroForOne = leg.zeroForOne();
        assembly ("memory-safe") {
            owed := calldataload(add(4, mul(32, iszero(zeroForOne))))
        }
        if (owed != leg.amount()) revert WrongAmountOwed(msg.sender, owed, leg.amount());
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

    function _weth() internal view override returns (address) {
        return WETH;
    }
}
