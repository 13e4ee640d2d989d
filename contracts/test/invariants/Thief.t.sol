// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExecutor, List} from "../../src/interfaces/IExecutor.sol";
import {LegSpec, PlanSpec, Plans} from "../base/Plans.sol";
import {World} from "../base/World.sol";
import {HostilePool} from "../doubles/HostilePools.sol";
import {Chameleon} from "../doubles/Thief.sol";
import {Token} from "../doubles/Tokens.sol";

/// @notice The thief of every run: holds an operator's key and contracts of his own, some of which even got onto the
/// owner's list of pools. Draws plans from honest, mixed and hostile legs, and calls every function of the ABI as every
/// class of caller.
contract ThiefHandler is World {
    Chameleon private chameleon;
    HostilePool[2] private hostile;
    address[8] private callers;
    bytes4[12] private selectors;

    uint256 public runsDone;
    uint256 public runsOfThiefDone;
    uint256 public runsRefused;
    uint256 public callsDone;
    uint256 public callsRefused;
    uint256 public paid;
    uint256 public earned;

    uint256 public constant HELD = 40 ether;

    /// @dev Not in a constructor: pools call this contract back while it builds the market.
    function setUp() public override {
        super.setUp();
        // A second listed token is held, and ETH: what a check of the start token alone would not protect.
        address[] memory listed = new address[](1);
        listed[0] = address(b);
        vm.prank(OWNER);
        executor.setListed(List.Tokens, listed, true);
        require(weth.transfer(address(executor), HELD - 1));
        a.mint(address(executor), HELD);
        b.mint(address(executor), HELD);
        vm.deal(address(executor), 5 ether);
        chameleon = new Chameleon();
        for (uint256 i = 0; i < 2; i++) {
            hostile[i] = new HostilePool();
            listed[0] = address(hostile[i]);
            vm.prank(OWNER);
            executor.setListed(List.Pools, listed, true);
            require(weth.transfer(address(hostile[i]), 1_000 ether));
            a.mint(address(hostile[i]), 1_000 ether);
            b.mint(address(hostile[i]), 1_000 ether);
        }
        callers = [
            STRANGER,
            OPERATOR,
            GUARDIAN,
            pools[BUY][0],
            pools[MID][1],
            address(weth),
            address(executor),
            COINBASE
        ];
        selectors = [
            IExecutor.run_0p4qx.selector,
            IExecutor.nameOwner.selector,
            IExecutor.acceptOwnership.selector,
            IExecutor.setRoles.selector,
            IExecutor.setListed.selector,
            IExecutor.setFactory.selector,
            IExecutor.unhalt.selector,
            IExecutor.sweep.selector,
            IExecutor.roles.selector,
            IExecutor.listed.selector,
            bytes4(0x10d1e85c), // uniswapV2Call
            bytes4(0xfa461e33) // uniswapV3SwapCallback
        ];
    }

    /// @dev An honest cycle of any kinds and size, now and then with a payment.
    function runHonestly(uint256 kinds, uint256 amountIn, bool hasThree, uint256 bps) external {
        PlanSpec memory plan;
        amountIn = bound(amountIn, 1e12, 2 ether);
        try this.quote(kinds, amountIn, hasThree) returns (PlanSpec memory quoted) {
            plan = quoted;
        } catch {
            return; // the market is level
        }
        plan.paymentBps = bound(bps, 0, 10_000);
        _note(plan, false);
    }

    function quote(uint256 kinds, uint256 amountIn, bool hasThree) external returns (PlanSpec memory plan) {
        (plan,) = hasThree ? _threeHops(kinds % 8, amountIn) : _twoHops(kinds % 4, amountIn);
    }

    /// @dev Any legs over honest, hostile and unlisted pools, any token, amount, lender and payment.
    function runAsThief(uint256 seed, uint256 first, uint256 second, uint128 amountIn, uint128 amount0, uint128 amount1)
        external
    {
        PlanSpec memory plan;
        address[3] memory tokens = [address(0), address(a), address(b)];
        plan.token = tokens[seed % 3];
        plan.legs = new LegSpec[](2);
        plan.legs[0] = _leg(first, _size(amount0));
        plan.legs[1] = _leg(second, _size(amount1));
        plan.lender = seed >> 8 & 1;
        plan.lentToken = [address(weth), address(a), address(b)][(seed >> 16) % 3];
        plan.amountIn = _size(amountIn);
        plan.lastBlock = block.number;
        plan.paymentBps = seed >> 24 & 1 == 0 ? 0 : bound(seed >> 32, 0, 20_000);
        for (uint256 i = 0; i < 2; i++) {
            uint256 each = seed >> (64 + 64 * i);
            hostile[i].behave(
                HostilePool.Mode(each % 13),
                [address(weth), address(a), address(b)][(each >> 8) % 3],
                selectors[(each >> 16) % 12],
                Plans.calldataOf(plan)
            );
        }
        _note(plan, true);
    }

    /// @dev Every function as every class of caller but the owner, with words that are likely to mean something.
    function call(uint256 caller, uint256 selector, uint256 word0, uint256 word1, uint256 value) external {
        address sender = callers[caller % 8];
        bytes4 chosen = selectors[selector % 12];
        bytes memory data = abi.encodePacked(chosen, _word(word0), _word(word1), _word(word0 >> 16));
        _call(sender, data, value % 5 == 0 ? 1 : 0);
    }

    function callRaw(uint256 caller, bytes calldata data, uint256 value) external {
        _call(callers[caller % 8], data, value % 5 == 0 ? 1 : 0);
    }

    /// @dev Time passes, so that the market's oracles and blocks move.
    function pass(uint256 blocks) external {
        vm.roll(block.number + bound(blocks, 1, 5));
        vm.warp(block.timestamp + 12);
    }

    function _call(address sender, bytes memory data, uint256 value) private {
        // Anyone may send WETH's withdrawal of nothing; ETH out of WETH is what the contract takes.
        if (sender == address(weth) && data.length == 0) return;
        vm.deal(sender, sender.balance + value);
        vm.prank(sender);
        (bool isDone,) = address(executor).call{value: value}(data);
        if (isDone) callsDone++;
        else callsRefused++;
    }

    function _note(PlanSpec memory plan, bool isThief) private {
        (bool isDone, bytes memory returned) = _run(plan);
        if (!isDone) {
            runsRefused++;
            return;
        }
        if (isThief) runsOfThiefDone++;
        else runsDone++;
        (uint256 gross, uint256 payment) = abi.decode(returned, (uint256, uint256));
        if (plan.token == address(0)) earned += gross - payment;
        paid += payment;
    }

    function _leg(uint256 seed, uint256 amount) private view returns (LegSpec memory) {
        address pool = pools[seed % 4][seed >> 8 & 1];
        uint256 kind = (seed >> 16) % 5;
        if (kind == 1 || kind == 2) pool = address(hostile[kind - 1]);
        if (kind == 3) pool = address(chameleon);
        if (kind == 4) pool = [address(weth), address(a), address(executor), VAULT][(seed >> 24) % 4];
        return LegSpec(pool, seed >> 32 & 1 == 1, seed >> 40 & 1 == 1, seed >> 48 & 7 == 0, amount);
    }

    function _size(uint128 seed) private pure returns (uint256) {
        return seed % 4 == 0 ? seed : bound(seed, 1, 60 ether);
    }

    function _word(uint256 seed) private view returns (bytes32) {
        uint256 kind = seed % 6;
        if (kind == 0) return bytes32(seed);
        if (kind == 1) return bytes32(uint256(uint160(callers[(seed >> 8) % 8])));
        if (kind == 2) return bytes32(uint256(uint160([address(weth), address(a), address(b), address(0)][(seed >> 8) % 4])));
        return bytes32((seed >> 8) % 0x100);
    }

    function world() external view returns (IExecutor, address, address, address, address[8] memory) {
        address[8] memory all;
        for (uint256 i = 0; i < 8; i++) {
            all[i] = pools[i / 2][i % 2];
        }
        return (executor, address(weth), address(a), address(b), all);
    }

    /// @dev So that forge draws from the five actions alone.
    function IS_TEST() external pure returns (bool) {
        return false;
    }
}

/// @notice What no sequence of the thief's calls may change.
contract ThiefInvariants is World {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    ThiefHandler private thief;
    bytes32 private roles;

    function setUp() public override {
        thief = new ThiefHandler();
        thief.setUp();
        (executor,,,,) = thief.world();
        roles = _roles();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(thief);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory actions = new bytes4[](5);
        actions[0] = ThiefHandler.runHonestly.selector;
        actions[1] = ThiefHandler.runAsThief.selector;
        actions[2] = ThiefHandler.call.selector;
        actions[3] = ThiefHandler.callRaw.selector;
        actions[4] = ThiefHandler.pass.selector;
        targets[0] = FuzzSelector(address(thief), actions);
    }

    /// @dev One invariant of three parts: each would be a campaign of its own.
    function invariant_the_thief_takes_nothing() external view {
        _requireNothingTaken();
        assertTrue(roles == _roles(), "roles and lists stay");
        _requireNoAllowanceAndNoLock();
    }

    function _requireNothingTaken() private view {
        (, address weth_, address a_, address b_,) = thief.world();
        uint256 held = thief.HELD();
        assertTrue(Token(weth_).balanceOf(address(executor)) >= held, "WETH held");
        assertTrue(Token(a_).balanceOf(address(executor)) >= held, "A held");
        assertTrue(Token(b_).balanceOf(address(executor)) >= held, "B held");
        assertTrue(address(executor).balance >= 5 ether, "ETH held");
        assertTrue(Token(weth_).balanceOf(VAULT) >= thief.earned(), "the vault has all that was earned");
        assertTrue(COINBASE.balance >= thief.paid(), "the fee recipient has all that was paid");
    }

    function _requireNoAllowanceAndNoLock() private view {
        (, address weth_, address a_, address b_, address[8] memory all) = thief.world();
        for (uint256 i = 0; i < 8; i++) {
            assertEq(Token(weth_).allowance(address(executor), all[i]), 0, "allowance of WETH");
            assertEq(Token(a_).allowance(address(executor), all[i]), 0, "allowance of A");
            assertEq(Token(b_).allowance(address(executor), all[i]), 0, "allowance of B");
        }
        uint256 lock = uint256(vm.load(address(executor), keccak256("mev-agent.executor.lock")));
        assertTrue(lock <= 1, "the storage lock is idle or unused");
    }

    /// @dev A run of the fuzzer that did nothing proves nothing.
    function afterInvariant() external view {
        assertTrue(thief.runsDone() > 0, "honest runs went through");
        assertTrue(thief.runsRefused() > 0, "others did not");
        assertTrue(thief.callsRefused() > 0, "calls were refused");
    }

    /// @dev The named test: a thousand hostile runs in one go.
    function test_a_thief_with_an_operator_key_takes_nothing_in_a_thousand_transactions() external {
        uint256 seed = 1;
        for (uint256 i = 0; i < 1_000; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 more = uint256(keccak256(abi.encode(seed, i)));
            thief.runAsThief(seed, more, more >> 128, uint128(seed >> 96), uint128(more), uint128(more >> 120));
        }
        assertTrue(thief.runsOfThiefDone() > 0, "some of his runs went through");
        assertTrue(thief.runsRefused() > 500, "most did not");
        this.invariant_the_thief_takes_nothing();
    }

    function _roles() private view returns (bytes32) {
        (address owner, address pending, address guardian, address vault,, address weth_) = executor.roles();
        (bool isOperator,,,) = executor.listed(STRANGER);
        (,, bool isPool,) = executor.listed(STRANGER);
        return keccak256(abi.encode(owner, pending, guardian, vault, weth_, isOperator, isPool));
    }
}
