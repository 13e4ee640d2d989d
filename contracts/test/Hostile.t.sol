// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExecutor, List} from "../src/interfaces/IExecutor.sol";
import {LegSpec, PlanSpec, Plans} from "./base/Plans.sol";
import {IV3Pool, World} from "./base/World.sol";
import {HostileCoinbase, HostilePool} from "./doubles/HostilePools.sol";
import {HostileToken, LyingToken} from "./doubles/HostileTokens.sol";
import {Token} from "./doubles/Tokens.sol";

/// @notice Tokens, pools and fee recipients that do what they should not. Pools and tokens are on the owner's list, and
/// the executor holds WETH, A and the hostile token, so that there is something to lose.
contract HostileTest is World {
    bytes4 private constant V2_CALL = 0x10d1e85c;
    bytes4 private constant V3_CALL = 0xfa461e33;
    uint256 private constant HELD = 40 ether;

    HostilePool private pool;
    HostilePool private other;
    HostileToken private token;

    function setUp() public override {
        super.setUp();
        pool = new HostilePool();
        other = new HostilePool();
        token = new HostileToken();
        _list(List.Pools, address(pool));
        _list(List.Pools, address(other));
        _list(List.Tokens, address(token));
        require(weth.transfer(address(executor), HELD));
        a.mint(address(executor), HELD);
        token.mint(address(executor), HELD);
        for (uint256 i = 0; i < 2; i++) {
            address each = i == 0 ? address(pool) : address(other);
            require(weth.transfer(each, 100 ether));
            a.mint(each, 100 ether);
            token.mint(each, 100 ether);
        }
    }

    function _list(List list, address account) private {
        address[] memory accounts = new address[](1);
        accounts[0] = account;
        vm.prank(OWNER);
        executor.setListed(list, accounts, true);
    }

    /// @dev Two hostile pools: 1 of the start token in, 2 of A between, 3 of the start token out.
    function _hostilePlan(address start, bool isFirstV3, bool isLastV3) private view returns (PlanSpec memory plan) {
        plan.token = start;
        plan.legs = new LegSpec[](2);
        plan.legs[0] = LegSpec(address(other), isFirstV3, true, false, isFirstV3 ? 1 ether : 2 ether);
        plan.legs[1] = LegSpec(address(pool), isLastV3, true, false, isLastV3 ? 2 ether : 3 ether);
        plan.lender = 1;
        plan.amountIn = 1 ether;
        plan.lastBlock = block.number;
    }

    function _behave(HostilePool.Mode mode, address tokenOut, bytes4 selector, bytes memory reentry) private {
        pool.behave(mode, tokenOut, selector, reentry);
        other.behave(HostilePool.Mode.Honest, address(a), V3_CALL, "");
    }

    function _requireNothingLost() private view {
        assertTrue(weth.balanceOf(address(executor)) >= HELD, "WETH is there");
        assertTrue(a.balanceOf(address(executor)) >= HELD, "A is there");
        assertTrue(token.balanceOf(address(executor)) >= HELD, "the token is there");
    }

    // -- pools

    function test_an_honest_pool_with_any_callback_selector_works() public {
        bytes4[4] memory selectors = [V2_CALL, bytes4(0xfe1b3a66), bytes4(0xcbca709d), bytes4(0xffffffff)];
        for (uint256 i = 0; i < 4; i++) {
            _behave(HostilePool.Mode.Honest, address(weth), selectors[i], "");
            (uint256 gross,) = _mustRun(_hostilePlan(address(0), false, false));
            assertEq(gross, 2 ether, "gross");
            _behave(HostilePool.Mode.Honest, address(weth), i == 0 ? V3_CALL : selectors[i], "");
            (gross,) = _mustRun(_hostilePlan(address(0), true, true));
            assertEq(gross, 1 ether, "gross over V3 style, 1:1");
        }
        _requireNothingLost();
    }

    function test_a_pool_that_pays_nothing_or_less_takes_nothing() public {
        for (uint256 style = 0; style < 2; style++) {
            for (uint256 i = 1; i <= 2; i++) {
                _behave(HostilePool.Mode(i), address(weth), V2_CALL, "");
                PlanSpec memory plan = _hostilePlan(address(0), false, style == 1);
                if (i == 2) plan.amountIn = 2.9 ether;
                _mustFail(plan, IExecutor.BalanceFell.selector);
            }
        }
        _requireNothingLost();
    }

    function test_a_pool_that_pays_in_another_token_takes_nothing() public {
        _behave(HostilePool.Mode.Honest, address(a), V2_CALL, "");
        _mustFail(_hostilePlan(address(0), false, false), IExecutor.BalanceFell.selector);
        _requireNothingLost();
    }

    function test_a_pool_that_never_calls_back_is_refused() public {
        for (uint256 style = 0; style < 2; style++) {
            _behave(HostilePool.Mode.NeverCallsBack, address(weth), V2_CALL, "");
            _mustFail(_hostilePlan(address(0), false, style == 1), IExecutor.NoCallback.selector);
        }
        _requireNothingLost();
    }

    function test_a_second_callback_is_refused() public {
        for (uint256 style = 0; style < 2; style++) {
            _behave(HostilePool.Mode.CallsBackTwice, address(weth), V2_CALL, "");
            _mustFail(_hostilePlan(address(0), false, style == 1), IExecutor.UnexpectedCallback.selector);
        }
        _requireNothingLost();
    }

    function test_a_callback_with_other_bytes_is_refused() public {
        for (uint256 style = 0; style < 2; style++) {
            _behave(HostilePool.Mode.CallsBackWithOtherBytes, address(weth), V2_CALL, "");
            _mustFail(_hostilePlan(address(0), false, style == 1), IExecutor.UnexpectedCallback.selector);
        }
        _requireNothingLost();
    }

    function test_a_callback_by_another_contract_is_refused() public {
        for (uint256 style = 0; style < 2; style++) {
            _behave(HostilePool.Mode.CallsBackByAccomplice, address(weth), V2_CALL, "");
            _mustFail(_hostilePlan(address(0), false, style == 1), IExecutor.UnexpectedCallback.selector);
        }
        _requireNothingLost();
    }

    function test_a_pool_that_asks_for_more_or_for_the_other_token_is_refused() public {
        _behave(HostilePool.Mode.AsksForMore, address(weth), V3_CALL, "");
        _mustFail(_hostilePlan(address(0), false, true), IExecutor.WrongAmountOwed.selector);
        _behave(HostilePool.Mode.AsksForOtherToken, address(weth), V3_CALL, "");
        _mustFail(_hostilePlan(address(0), false, true), IExecutor.WrongAmountOwed.selector);
        _requireNothingLost();
    }

    function test_a_pool_that_is_no_operator_cannot_run() public {
        bytes memory inner = Plans.calldataOf(_hostilePlan(address(0), false, false));
        for (uint256 i = 0; i < 2; i++) {
            HostilePool.Mode mode = i == 0 ? HostilePool.Mode.Reenters : HostilePool.Mode.ReentersAfter;
            _behave(mode, address(weth), V2_CALL, inner);
            _mustRun(_hostilePlan(address(0), false, false));
            assertEq(pool.succeeded(), 0, "no inner run");
        }
        _requireNothingLost();
    }

    /// @dev The worst case: a listed pool that is an operator as well. A run inside a run takes over the expectation,
    /// so the outer one cannot go on; behind the callback it is a run like any other. Either way nothing is lost.
    function test_a_pool_that_is_an_operator_and_runs_inside_a_run_takes_nothing() public {
        _list(List.Operators, address(pool));
        (PlanSpec memory honest,) = _twoHops(0, 1 ether);
        _behave(HostilePool.Mode.Reenters, address(weth), V2_CALL, Plans.calldataOf(honest));
        _mustFail(_hostilePlan(address(0), false, false), IExecutor.UnexpectedCallback.selector);
        _behave(HostilePool.Mode.ReentersAfter, address(weth), V2_CALL, Plans.calldataOf(honest));
        _mustRun(_hostilePlan(address(0), false, false));
        _requireNothingLost();
    }

    function test_a_reason_is_passed_on_but_not_a_long_one() public {
        _behave(HostilePool.Mode.RevertsEmpty, address(weth), V2_CALL, "");
        _mustFail(_hostilePlan(address(0), false, false), IExecutor.PoolCallFailed.selector);
        _behave(HostilePool.Mode.RevertsLong, address(weth), V2_CALL, "");
        (bool isDone, bytes memory reason) = _run(_hostilePlan(address(0), false, false));
        assertTrue(!isDone && reason.length == 256, "256 bytes of it");
    }

    function test_what_a_v2_pool_lends_in_the_middle_is_not_made_up_from_here() public {
        // It lends nothing; what was held of A would be passed on.
        pool.behave(HostilePool.Mode.Honest, address(weth), V2_CALL, "");
        other.behave(HostilePool.Mode.PaysNothing, address(a), V2_CALL, "");
        PlanSpec memory plan = _hostilePlan(address(0), false, false);
        plan.lender = 0;
        plan.lentToken = address(a);
        _mustFail(plan, IExecutor.BalanceFell.selector);
        other.behave(HostilePool.Mode.PaysLess, address(a), V2_CALL, "");
        _mustFail(plan, IExecutor.BalanceFell.selector);
        other.behave(HostilePool.Mode.Honest, address(a), V2_CALL, "");
        _mustRun(plan);
        _requireNothingLost();
    }

    function test_a_plan_that_pays_leg_0_of_its_own_pool_from_the_inventory_is_refused() public {
        // The thief's own pool takes a large amount in and gives nothing.
        _behave(HostilePool.Mode.PaysNothing, address(weth), V2_CALL, "");
        PlanSpec memory plan = _hostilePlan(address(0), false, false);
        plan.amountIn = HELD;
        _mustFail(plan, IExecutor.BalanceFell.selector);
        plan.token = address(a);
        _mustFail(plan, IExecutor.BalanceFell.selector);
        _requireNothingLost();
    }

    // -- tokens

    function _tokenPlan(HostileToken.Mode mode, bytes memory reentry) private returns (PlanSpec memory) {
        _behave(HostilePool.Mode.Honest, address(token), V2_CALL, "");
        token.behave(mode, address(executor), reentry);
        return _hostilePlan(address(token), false, false);
    }

    function test_a_token_that_answers_nothing_or_long_is_fine() public {
        _mustRun(_tokenPlan(HostileToken.Mode.Honest, ""));
        _mustRun(_tokenPlan(HostileToken.Mode.AnswersNothing, ""));
        _mustRun(_tokenPlan(HostileToken.Mode.LongAnswer, ""));
        assertEq(token.balanceOf(VAULT), 6 ether, "three times 2");
        _requireNothingLost();
    }

    function test_a_token_that_does_not_transfer_is_refused() public {
        _mustFail(_tokenPlan(HostileToken.Mode.AnswersFalse, ""), IExecutor.TokenCallFailed.selector);
        _mustFail(_tokenPlan(HostileToken.Mode.AnswersTwo, ""), IExecutor.TokenCallFailed.selector);
        _mustFail(_tokenPlan(HostileToken.Mode.Reverts, ""), IExecutor.TokenCallFailed.selector);
        _mustFail(_tokenPlan(HostileToken.Mode.RevertsWithoutReason, ""), IExecutor.TokenCallFailed.selector);
        _requireNothingLost();
    }

    function test_a_token_that_taxes_the_sender_or_rebases_cannot_lower_the_inventory() public {
        _mustFail(_tokenPlan(HostileToken.Mode.TakesMore, ""), IExecutor.BalanceFell.selector);
        _mustFail(_tokenPlan(HostileToken.Mode.Rebases, ""), IExecutor.BalanceFell.selector);
        _mustRun(_tokenPlan(HostileToken.Mode.Taxes, "")); // the vault gets less, the executor loses nothing
        _requireNothingLost();
    }

    function test_a_token_that_reenters_gets_nowhere() public {
        bytes memory inner = Plans.calldataOf(_hostilePlan(address(0), false, false));
        _mustRun(_tokenPlan(HostileToken.Mode.Reenters, inner));
        _mustRun(_tokenPlan(HostileToken.Mode.Reenters, hex"10d1e85c"));
        assertEq(token.reentries(), 0, "no call got in");
        _requireNothingLost();
    }

    function test_a_token_that_lies_about_balances_is_refused_or_hurts_itself() public {
        for (uint256 i = 0; i < 4; i++) {
            address liar = address(new LyingToken(LyingToken.Mode(i)));
            _list(List.Tokens, liar);
            _behave(HostilePool.Mode.Honest, liar, V2_CALL, "");
            (bool isDone, bytes memory reason) = _run(_hostilePlan(liar, false, false));
            if (i < 3) _requireFailed(isDone, reason, IExecutor.TokenCallFailed.selector);
        }
        _requireNothingLost();
    }

    function test_a_token_without_code_is_refused() public {
        _list(List.Tokens, STRANGER);
        _behave(HostilePool.Mode.Honest, address(weth), V2_CALL, "");
        _mustFail(_hostilePlan(STRANGER, false, false), IExecutor.TokenCallFailed.selector);
    }

    // -- fee recipients

    function _coinbase(HostileCoinbase.Mode mode, bytes memory reentry) private returns (HostileCoinbase recipient) {
        recipient = new HostileCoinbase();
        recipient.behave(mode, address(executor), reentry);
        vm.coinbase(address(recipient));
    }

    function _payingPlan() private returns (PlanSpec memory plan) {
        _behave(HostilePool.Mode.Honest, address(weth), V2_CALL, "");
        plan = _hostilePlan(address(0), false, false);
        plan.paymentBps = 5_000;
    }

    function test_a_fee_recipient_that_is_a_contract_is_paid() public {
        HostileCoinbase recipient = _coinbase(HostileCoinbase.Mode.Takes, "");
        _mustRun(_payingPlan());
        assertEq(address(recipient).balance, 1 ether, "paid");
        recipient = _coinbase(HostileCoinbase.Mode.LongAnswer, "");
        _mustRun(_payingPlan());
        assertEq(address(recipient).balance, 1 ether, "paid");
    }

    function test_a_fee_recipient_that_refuses_undoes_the_run() public {
        PlanSpec memory plan = _payingPlan();
        _coinbase(HostileCoinbase.Mode.Reverts, "");
        _mustFail(plan, IExecutor.PaymentRefused.selector);
        _requireNothingLost();
    }

    function test_a_fee_recipient_burns_only_the_gas_it_is_given() public {
        PlanSpec memory plan = _payingPlan();
        _coinbase(HostileCoinbase.Mode.BurnsGas, "");
        uint256 before = gasleft();
        _mustFail(plan, IExecutor.PaymentRefused.selector);
        assertTrue(before - gasleft() < 1_000_000, "bounded");
        _requireNothingLost();
    }

    function test_a_fee_recipient_that_reenters_gets_nowhere() public {
        PlanSpec memory plan = _payingPlan();
        bytes[3] memory calls =
            [Plans.calldataOf(plan), bytes(hex"10d1e85c"), abi.encodeCall(IExecutor.sweep, (address(weth)))];
        for (uint256 i = 0; i < 3; i++) {
            HostileCoinbase recipient = _coinbase(HostileCoinbase.Mode.Reenters, calls[i]);
            _mustRun(plan);
            assertEq(recipient.succeeded(), 0, "no call got in");
        }
        _requireNothingLost();
    }
}
