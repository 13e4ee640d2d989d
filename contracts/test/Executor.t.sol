// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Factory, IExecutor, List, Settings} from "../src/interfaces/IExecutor.sol";
import {LegSpec, PlanSpec, Plans} from "./base/Plans.sol";
import {IV3Factory, IV3Pool, World} from "./base/World.sol";
import {Token} from "./doubles/Tokens.sol";

/// @notice What a run earns and where it goes, over the real contracts.
contract ExecutorTest is World {
    function _requireEarned(uint256 gross, uint256 quoted) private view {
        assertTrue(quoted > 0, "the route pays");
        assertEq(gross, quoted, "gross is the quote");
        assertEq(weth.balanceOf(VAULT), quoted, "the vault has it");
        assertEq(weth.balanceOf(address(executor)), 1, "1 wei stays");
        assertEq(a.balanceOf(address(executor)), 0, "no A stays");
        assertEq(b.balanceOf(address(executor)), 0, "no B stays");
        for (uint256 i = 0; i < 8; i++) {
            assertEq(weth.allowance(address(executor), pools[i / 2][i % 2]), 0, "no allowance");
        }
    }

    function test_every_mix_of_two_kinds_earns_its_quote() public {
        uint256 state = vm.snapshotState();
        for (uint256 kinds = 0; kinds < 4; kinds++) {
            (PlanSpec memory plan, uint256 quoted) = _twoHops(kinds, 3 ether);
            (uint256 gross, uint256 payment) = _mustRun(plan);
            _requireEarned(gross, quoted);
            assertEq(payment, 0, "no payment");
            vm.revertToState(state);
        }
    }

    function test_every_mix_of_three_kinds_earns_its_quote() public {
        uint256 state = vm.snapshotState();
        for (uint256 kinds = 0; kinds < 8; kinds++) {
            (PlanSpec memory plan, uint256 quoted) = _threeHops(kinds, 3 ether);
            (uint256 gross,) = _mustRun(plan);
            _requireEarned(gross, quoted);
            vm.revertToState(state);
        }
    }

    function test_any_leg_may_lend_if_all_behind_it_are_v2() public {
        uint256 state = vm.snapshotState();
        uint256 tried = 0;
        for (uint256 kinds = 0; kinds < 8; kinds++) {
            for (uint256 lender = 0; lender < 3; lender++) {
                if (kinds >> (lender + 1) != 0) continue;
                (PlanSpec memory plan, uint256 quoted) = _threeHops(kinds, 3 ether);
                plan.lender = lender;
                plan.lentToken = lender == 0 ? address(a) : address(b);
                (uint256 gross,) = _mustRun(plan);
                _requireEarned(gross, quoted);
                vm.revertToState(state);
                tried++;
            }
        }
        assertEq(tried, 14, "all orders that can be financed");
    }

    function test_a_v3_leg_behind_the_lender_is_refused() public {
        (PlanSpec memory plan,) = _twoHops(2, 3 ether);
        plan.lender = 0;
        plan.lentToken = address(a);
        _mustFail(plan, IExecutor.MalformedPlan.selector);
    }

    function test_a_route_of_five_legs_over_both_kinds() public {
        uint256[] memory edges = new uint256[](5);
        (edges[0], edges[1], edges[2], edges[3], edges[4]) = (BUY, MID, LAST, BUY, SELL);
        (PlanSpec memory plan, uint256 quoted) = _plan(edges, 8, 1 ether); // the second BUY is the V3 pool
        (uint256 gross,) = _mustRun(plan);
        _requireEarned(gross, quoted);
    }

    function testFuzz_gross_is_the_quote_for_any_size(uint256 amountIn, uint256 kinds, bool hasThree) public {
        amountIn = bound(amountIn, 1e12, 12 ether);
        (PlanSpec memory plan, uint256 quoted) =
            hasThree ? _threeHops(kinds % 8, amountIn) : _twoHops(kinds % 4, amountIn);
        (uint256 gross,) = _mustRun(plan);
        _requireEarned(gross, quoted);
    }

    function testFuzz_payment_is_its_share_rounded_down(uint256 amountIn, uint256 bps) public {
        bps = bound(bps, 1, 10_000);
        (PlanSpec memory plan, uint256 quoted) = _twoHops(0, bound(amountIn, 1e12, 12 ether));
        plan.paymentBps = bps;
        plan.floor = quoted - quoted * bps / 10_000;
        (uint256 gross, uint256 payment) = _mustRun(plan);
        assertEq(gross, quoted, "gross");
        assertEq(payment, quoted * bps / 10_000, "payment");
        assertEq(COINBASE.balance, payment, "the fee recipient has it");
        assertEq(weth.balanceOf(VAULT), quoted - payment, "the vault has the rest");
        assertEq(weth.balanceOf(address(executor)), 1, "1 wei stays");
        assertEq(address(executor).balance, 0, "no ETH stays");
    }

    function testFuzz_the_floor_is_exact(uint256 amountIn, uint256 bps) public {
        bps = bound(bps, 0, 10_000);
        (PlanSpec memory plan, uint256 quoted) = _twoHops(1, bound(amountIn, 1e12, 12 ether));
        plan.paymentBps = bps;
        plan.floor = quoted - quoted * bps / 10_000 + 1;
        _mustFail(plan, IExecutor.ProfitBelowFloor.selector);
        plan.floor--;
        _mustRun(plan);
    }

    function test_profit_in_another_listed_token() public {
        // A -> WETH -> A: the sell pools first.
        (PlanSpec memory plan, uint256 quoted) = _cycleOfA(5_000 ether);
        a.mint(address(executor), 7);
        (uint256 gross, uint256 payment) = _mustRun(plan);
        assertEq(gross, quoted, "gross in A");
        assertEq(payment, 0, "no payment");
        assertEq(a.balanceOf(VAULT), quoted, "the vault has it");
        assertEq(a.balanceOf(address(executor)), 7, "what was there stays");
    }

    function test_profit_in_a_token_not_listed_is_refused() public {
        (PlanSpec memory plan,) = _cycleOfA(5_000 ether);
        _setListed(List.Tokens, address(a), false);
        _mustFail(plan, IExecutor.TokenNotListed.selector);
    }

    function test_the_fee_recipient_is_paid_only_out_of_weth() public {
        (PlanSpec memory plan,) = _cycleOfA(5_000 ether);
        plan.paymentBps = 1;
        _mustFail(plan, IExecutor.PaymentNotPossible.selector);
    }

    function test_a_share_above_the_whole_is_refused() public {
        (PlanSpec memory plan,) = _twoHops(0, 3 ether);
        plan.paymentBps = 10_001;
        _mustFail(plan, IExecutor.PaymentNotPossible.selector);
    }

    function test_a_late_block_and_another_parent_are_refused() public {
        (PlanSpec memory plan,) = _twoHops(0, 3 ether);
        bytes32 parent = keccak256("parent");
        vm.setBlockhash(block.number - 1, parent);
        plan.lastBlock = block.number - 1;
        _mustFail(plan, IExecutor.Stale.selector);
        plan.lastBlock = block.number;
        plan.parentHash = keccak256("other");
        _mustFail(plan, IExecutor.WrongParent.selector);
        plan.parentHash = parent;
        _mustRun(plan);
    }

    function test_only_an_operator_runs_and_nobody_while_halted() public {
        (PlanSpec memory plan,) = _twoHops(0, 3 ether);
        address[4] memory others = [STRANGER, OWNER, GUARDIAN, VAULT];
        for (uint256 i = 0; i < 4; i++) {
            (bool isDone, bytes memory returned) = _runAs(others[i], Plans.calldataOf(plan));
            _requireFailed(isDone, returned, IExecutor.NotOperator.selector);
        }
        vm.prank(GUARDIAN);
        executor.halt();
        _mustFail(plan, IExecutor.IsHalted.selector);
        vm.prank(OWNER);
        executor.unhalt();
        _mustRun(plan);
    }

    function test_a_pool_off_the_list_is_refused_at_any_leg() public {
        (PlanSpec memory plan,) = _threeHops(2, 3 ether);
        for (uint256 i = 0; i < 3; i++) {
            _setListed(List.Pools, plan.legs[i].pool, false);
            _mustFail(plan, IExecutor.PoolNotListed.selector);
            _setListed(List.Pools, plan.legs[i].pool, true);
        }
        _mustRun(plan);
    }

    function test_pools_prove_themselves_by_their_factory() public {
        for (uint256 kinds = 0; kinds < 8; kinds++) {
            (PlanSpec memory plan,) = _threeHops(kinds, 1 ether);
            for (uint256 i = 0; i < 3; i++) {
                _setListed(List.Pools, plan.legs[i].pool, false);
                plan.legs[i].isByFactory = true;
            }
            _mustRun(plan);
        }
    }

    function test_a_pool_of_a_factory_not_registered_proves_nothing() public {
        (PlanSpec memory plan,) = _twoHops(0, 3 ether);
        plan.legs[1].isByFactory = true; // of the other V2 factory
        _mustFail(plan, IExecutor.PoolNotListed.selector);
    }

    function test_a_factory_taken_off_proves_nothing() public {
        (PlanSpec memory plan,) = _twoHops(1, 3 ether);
        plan.legs[0].isByFactory = true;
        vm.prank(OWNER);
        executor.setFactory(v3Factory, v3Factory, 0);
        _mustFail(plan, IExecutor.PoolNotListed.selector);
    }

    function test_a_liar_about_its_factory_proves_nothing() public {
        address liar = address(new FactoryLiar(v2Factory, address(weth), address(a)));
        (PlanSpec memory plan,) = _twoHops(0, 3 ether);
        plan.legs[0].pool = liar;
        plan.legs[0].isByFactory = true;
        _mustFail(plan, IExecutor.PoolNotListed.selector);
    }

    function test_a_v3_pool_that_takes_less_than_planned_is_refused() public {
        // More than the pool can take: it stops at the end of its range and asks for what it took.
        address pool = IV3Factory(v3Factory).createPool(address(weth), address(a), 10_000);
        IV3Pool(pool).initialize(1 << 96);
        IV3Pool(pool).mint(address(this), -200, 200, 1_000 ether, "");
        (PlanSpec memory plan,) = _twoHops(1, 3 ether);
        plan.legs[0].pool = pool;
        plan.legs[0].isByFactory = true;
        plan.legs[0].amount = 100 ether;
        _mustFail(plan, IExecutor.WrongAmountOwed.selector);
    }

    function test_a_donation_before_or_an_inventory_is_not_profit() public {
        (PlanSpec memory plan, uint256 quoted) = _twoHops(0, 3 ether);
        require(weth.transfer(address(executor), 5 ether));
        (uint256 gross,) = _mustRun(plan);
        assertEq(gross, quoted, "gross");
        assertEq(weth.balanceOf(address(executor)), 5 ether + 1, "what was there stays");
    }

    function test_a_route_that_loses_reverts_although_the_inventory_would_cover_it() public {
        (PlanSpec memory plan,) = _twoHops(0, 3 ether);
        require(weth.transfer(address(executor), 50 ether));
        plan.legs[1].amount = 2 ether;
        _mustFail(plan, IExecutor.BalanceFell.selector);
    }

    function test_one_unit_too_much_out_of_a_v2_pool_reverts() public {
        for (uint256 i = 0; i < 2; i++) {
            (PlanSpec memory plan,) = _twoHops(0, 3 ether);
            plan.legs[i].amount++;
            (bool isDone,) = _run(plan);
            assertTrue(!isDone, "K");
        }
    }

    function test_other_bytes_than_a_plan_do_nothing(bytes calldata junk) public {
        (bool isDone,) = _runAs(OPERATOR, bytes.concat(IExecutor.run_0p4qx.selector, junk));
        assertTrue(!isDone, "junk is no plan");
    }

    // -- roles

    function test_the_owner_changes_in_two_steps() public {
        vm.prank(OWNER);
        executor.nameOwner(STRANGER);
        (address owner, address pending,,,,) = executor.roles();
        assertEq(owner, OWNER, "not yet");
        assertEq(pending, STRANGER, "named");
        vm.prank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotPendingOwner.selector, GUARDIAN));
        executor.acceptOwnership();
        vm.prank(STRANGER);
        executor.acceptOwnership();
        (owner, pending,,,,) = executor.roles();
        assertEq(owner, STRANGER, "changed");
        assertEq(pending, address(0), "used up");
    }

    function test_nobody_but_the_owner_administers() public {
        bytes[8] memory calls = [
            abi.encodeCall(executor.nameOwner, (STRANGER)),
            abi.encodeCall(executor.setRoles, (STRANGER, STRANGER)),
            abi.encodeCall(executor.setListed, (List.Operators, new address[](1), true)),
            abi.encodeCall(executor.setListed, (List.Pools, new address[](0), true)),
            abi.encodeCall(executor.setFactory, (STRANGER, STRANGER, bytes32(uint256(1)))),
            abi.encodeCall(executor.unhalt, ()),
            abi.encodeCall(executor.sweep, (address(weth))),
            abi.encodeCall(executor.sweep, (address(0)))
        ];
        address[4] memory others = [STRANGER, OPERATOR, GUARDIAN, address(executor)];
        for (uint256 i = 0; i < calls.length; i++) {
            for (uint256 j = 0; j < 4; j++) {
                (bool isDone, bytes memory returned) = _runAs(others[j], calls[i]);
                _requireFailed(isDone, returned, IExecutor.NotOwner.selector);
            }
            (bool isOwnerDone,) = _runAs(OWNER, calls[i]);
            assertTrue(isOwnerDone || i == 1, "the owner may");
        }
    }

    function test_the_guardian_only_halts() public {
        vm.prank(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotGuardian.selector, STRANGER));
        executor.halt();
        vm.prank(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotGuardian.selector, OPERATOR));
        executor.halt();
        vm.prank(OWNER);
        executor.halt();
        (,,,, bool isHalted,) = executor.roles();
        assertTrue(isHalted, "halted by the owner");
    }

    function test_roles_and_lists_read_back() public {
        vm.prank(OWNER);
        executor.setRoles(STRANGER, COINBASE);
        (,, address guardian, address vault, bool isHalted, address weth_) = executor.roles();
        assertEq(guardian, STRANGER, "guardian");
        assertEq(vault, COINBASE, "vault");
        assertTrue(!isHalted, "not halted");
        assertEq(weth_, address(weth), "weth");
        for (uint256 i = 0; i < 3; i++) {
            _setListed(List(i), STRANGER, true);
            (bool isOperator, bool isToken, bool isPool,) = executor.listed(STRANGER);
            assertTrue(isOperator && isToken == (i > 0) && isPool == (i > 1), "one list at a time");
        }
        (,,, Factory memory factory) = executor.listed(v3Factory);
        assertEq(factory.deployer, v3Factory, "factory");
    }

    function test_no_owner_vault_or_weth_of_zero() public {
        vm.prank(OWNER);
        vm.expectRevert(IExecutor.ZeroAddress.selector);
        executor.setRoles(GUARDIAN, address(0));
        Settings memory settings;
        (settings.owner, settings.vault) = (OWNER, address(0));
        _mustNotDeploy(address(weth), settings);
        (settings.owner, settings.vault) = (address(0), VAULT);
        _mustNotDeploy(address(weth), settings);
        (settings.owner, settings.vault) = (OWNER, VAULT);
        _mustNotDeploy(address(0), settings);
        this.deployExecutor(address(weth), settings);
    }

    function deployExecutor(address weth_, Settings memory settings) external {
        _deployExecutor(weth_, settings);
    }

    function _mustNotDeploy(address weth_, Settings memory settings) private {
        try this.deployExecutor(weth_, settings) {
            revert NotTrue("it must not deploy");
        } catch (bytes memory reason) {
            _requireFailed(false, reason, IExecutor.ZeroAddress.selector);
        }
    }

    function test_sweep_sends_everything_to_the_owner_alone() public {
        require(weth.transfer(address(executor), 4 ether));
        vm.deal(address(executor), 3 ether);
        vm.prank(OWNER);
        executor.sweep(address(weth));
        assertEq(weth.balanceOf(OWNER), 4 ether + 1, "tokens");
        vm.prank(OWNER);
        executor.sweep(address(0));
        assertEq(OWNER.balance, 3 ether, "ETH");
    }

    function test_ether_is_taken_only_from_weth() public {
        vm.deal(STRANGER, 1 ether);
        vm.prank(STRANGER);
        (bool isTaken,) = address(executor).call{value: 1 ether}("");
        assertTrue(!isTaken, "refused");
        vm.prank(STRANGER);
        (isTaken,) = address(executor).call{value: 1 ether}(hex"10d1e85c");
        assertTrue(!isTaken, "refused with data");
    }

    /// @dev Also proved for all selectors in proofs/.
    function testFuzz_a_callback_while_idle_is_refused(address caller, bytes4 selector, bytes calldata rest) public {
        bytes4[12] memory own = [
            IExecutor.run_0p4qx.selector,
            executor.nameOwner.selector,
            executor.acceptOwnership.selector,
            executor.setRoles.selector,
            executor.setListed.selector,
            executor.setFactory.selector,
            executor.halt.selector,
            executor.unhalt.selector,
            executor.sweep.selector,
            executor.roles.selector,
            executor.listed.selector,
            bytes4(0)
        ];
        for (uint256 i = 0; i < own.length; i++) {
            vm.assume(selector != own[i]);
        }
        (bool isDone, bytes memory returned) = _runAs(caller, bytes.concat(selector, rest));
        _requireFailed(isDone, returned, IExecutor.UnexpectedCallback.selector);
    }

    function _setListed(List list, address account, bool isListed) private {
        address[] memory accounts = new address[](1);
        accounts[0] = account;
        vm.prank(OWNER);
        executor.setListed(list, accounts, isListed);
    }

    /// @dev A -> WETH -> A through the V2 pairs: the way round that pays in A.
    function _cycleOfA(uint256 amountIn) private view returns (PlanSpec memory plan, uint256 gross) {
        plan.token = address(a);
        plan.legs = new LegSpec[](2);
        address sell = pools[SELL][0];
        address buy = pools[BUY][0];
        bool isAFirst = IV3Pool(sell).token0() == address(a);
        uint256 out = _quoteV2(sell, isAFirst, amountIn);
        plan.legs[0].pool = sell;
        plan.legs[0].zeroForOne = isAFirst;
        plan.legs[0].amount = out;
        out = _quoteV2(buy, !isAFirst, out);
        plan.legs[1].pool = buy;
        plan.legs[1].zeroForOne = !isAFirst;
        plan.legs[1].amount = out;
        plan.lender = 1;
        plan.amountIn = amountIn;
        plan.lastBlock = block.number;
        gross = out - amountIn;
    }
}

/// @notice Says of itself what would prove a real pair.
contract FactoryLiar {
    address public factory;
    address public token0;
    address public token1;

    constructor(address factory_, address x, address y) {
        factory = factory_;
        (token0, token1) = x < y ? (x, y) : (y, x);
    }
}
