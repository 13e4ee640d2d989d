// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bare} from "./doubles/Bare.sol";
import {PlanSpec, Plans} from "./base/Plans.sol";
import {World} from "./base/World.sol";

/// @notice Gas of whole transactions (intrinsic gas and refunds included) of a warm executor: its pools have been
/// traded, it holds 1 wei, the vault has been paid before. The snapshot is committed under contracts/snapshots.
/// forge-config: suite.isolate = true
/// forge-config: suite-london.isolate = true
contract GasTest is World {
    uint256 private constant AMOUNT = 3 ether;

    Bare private bare;

    function setUp() public override {
        super.setUp();
        bare = new Bare();
        require(weth.transfer(address(bare), 100 ether));
        require(weth.transfer(VAULT, 1 ether));
        vm.warp(block.timestamp + 12);
        // One trade through every pool, so that no accumulator goes from zero to something in what is measured.
        for (uint256 kinds = 0; kinds < 4; kinds += 3) {
            (PlanSpec memory two,) = _twoHops(kinds, 1 ether);
            _mustRun(two);
        }
        for (uint256 kinds = 0; kinds < 8; kinds += 7) {
            (PlanSpec memory three,) = _threeHops(kinds, 1 ether);
            _mustRun(three);
        }
        vm.warp(block.timestamp + 12);
        vm.roll(block.number + 1);
    }

    function _measure(PlanSpec memory plan, string memory name) private returns (uint256 gas) {
        _mustRun(plan);
        return vm.snapshotGasLastCall(_group(), name);
    }

    function _group() private view returns (string memory) {
        return keccak256(bytes(vm.envOr("FOUNDRY_PROFILE", ""))) == keccak256("suite-london")
            ? "ExecutorLondon"
            : "ExecutorCancun";
    }

    function test_two_v2_legs_cost_little_more_than_bare_swaps() public {
        (PlanSpec memory plan,) = _twoHops(0, AMOUNT);
        bytes memory swaps = abi.encodePacked(address(weth));
        for (uint256 i = 0; i < 2; i++) {
            uint256 amount = plan.legs[i].amount;
            (uint256 out0, uint256 out1) = plan.legs[i].zeroForOne ? (uint256(0), amount) : (amount, 0);
            swaps = bytes.concat(swaps, abi.encodePacked(plan.legs[i].pool, uint128(out0), uint128(out1)));
        }
        swaps = bytes.concat(swaps, abi.encodePacked(uint128(AMOUNT)));
        uint256 before = weth.balanceOf(address(bare));
        uint256 state = vm.snapshotState();
        vm.prank(OPERATOR);
        (bool isDone,) = address(bare).call(swaps);
        uint256 bareGas = vm.snapshotGasLastCall(_group(), "bare v2 v2, capital of its own");
        assertTrue(isDone && weth.balanceOf(address(bare)) > before, "the bare swaps earn");
        vm.revertToState(state);
        uint256 gas = _measure(plan, "v2 v2");
        if (keccak256(bytes(_group())) == keccak256("ExecutorCancun")) {
            assertTrue(gas * 100 <= bareGas * 115, "at most 1.15 times the bare swaps");
        }
    }

    function test_v2_v2_with_payment() public {
        (PlanSpec memory plan,) = _twoHops(0, AMOUNT);
        vm.deal(COINBASE, 1 ether);
        plan.paymentBps = 9_000;
        _measure(plan, "v2 v2, paying the builder");
    }

    function test_v3_v2() public {
        (PlanSpec memory plan,) = _twoHops(1, AMOUNT);
        _measure(plan, "v3 v2");
    }

    function test_v2_v3() public {
        (PlanSpec memory plan,) = _twoHops(2, AMOUNT);
        _measure(plan, "v2 v3");
    }

    function test_v3_v3() public {
        (PlanSpec memory plan,) = _twoHops(3, AMOUNT);
        _measure(plan, "v3 v3");
    }

    function test_v2_v2_v2() public {
        (PlanSpec memory plan,) = _threeHops(0, AMOUNT);
        _measure(plan, "v2 v2 v2");
    }

    function test_v2_v3_v2() public {
        (PlanSpec memory plan,) = _threeHops(2, AMOUNT);
        _measure(plan, "v2 v3 v2");
    }

    function test_v3_v3_v3() public {
        (PlanSpec memory plan,) = _threeHops(7, AMOUNT);
        _measure(plan, "v3 v3 v3");
    }

    function test_v2_v2_proved_by_factory() public {
        (PlanSpec memory plan,) = _threeHops(0, AMOUNT);
        for (uint256 i = 0; i < 3; i++) {
            plan.legs[i].isByFactory = true;
        }
        _measure(plan, "v2 v2 v2, pools proved by their factory");
    }
}
