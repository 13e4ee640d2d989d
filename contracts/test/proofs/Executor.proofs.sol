// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Executor} from "../../src/Executor.sol";
import {IExecutor, List, Settings} from "../../src/interfaces/IExecutor.sol";
import {Token} from "../doubles/Tokens.sol";

interface ProofVm {
    function assume(bool condition) external pure;
    function prank(address sender) external;
    function roll(uint256 number) external;
    function deal(address account, uint256 balance) external;
}

/// @notice Proved by halmos for all values of the arguments, within contracts/halmos.toml: calldata of a selector and
/// five free words, loops of up to three rounds.
contract ExecutorProofs {
    ProofVm private constant vm = ProofVm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address private constant OWNER = address(0xA1);
    address private constant GUARDIAN = address(0xA2);
    address private constant VAULT = address(0xA3);
    address private constant OPERATOR = address(0xA4);

    Executor private executor;
    Token private weth;

    function setUp() public {
        weth = new Token();
        Settings memory settings;
        settings.owner = OWNER;
        settings.guardian = GUARDIAN;
        settings.vault = VAULT;
        settings.operators = new address[](1);
        settings.operators[0] = OPERATOR;
        settings.tokens = new address[](0);
        executor = new Executor(address(weth), settings);
        weth.mint(address(executor), 100);
        vm.deal(address(executor), 100);
    }

    function _call(address sender, bytes4 selector, bytes32[5] memory words) private returns (bool isDone) {
        vm.prank(sender);
        (isDone,) = address(executor).call(abi.encodePacked(selector, _concreteArray(selector, words)));
    }

    function _roles() private view returns (bytes32) {
        (address owner, address pending, address guardian, address vault,,) = executor.roles();
        return keccak256(abi.encode(owner, pending, guardian, vault));
    }

    function _isOwn(bytes4 selector) private view returns (bool) {
        return selector == IExecutor.run_0p4qx.selector || selector == executor.nameOwner.selector
            || selector == executor.acceptOwnership.selector || selector == executor.setRoles.selector
            || selector == executor.setListed.selector || selector == executor.setFactory.selector
            || selector == executor.halt.selector || selector == executor.unhalt.selector
            || selector == executor.sweep.selector || selector == executor.roles.selector
            || selector == executor.listed.selector;
    }

    /// @notice Whoever calls back while nobody is expected is refused, under any selector.
    function prove_a_callback_while_idle_reverts(address caller, bytes4 selector, bytes32[5] memory words) public {
        vm.assume(!_isOwn(selector));
        assert(!_call(caller, selector, words));
    }

    /// @notice No call of anyone without a role moves a token, ETH, a role or the halt.
    function prove_a_stranger_changes_nothing(address caller, bytes4 selector, bytes32[5] memory words) public {
        vm.assume(caller != OWNER && caller != GUARDIAN && caller != OPERATOR && caller != address(0));
        vm.assume(caller != address(executor) && caller != address(weth));
        bytes32 before = _roles();
        _call(caller, selector, words);
        (,,,, bool isHalted,) = executor.roles();
        assert(weth.balanceOf(address(executor)) == 100);
        assert(address(executor).balance == 100);
        assert(_roles() == before);
        assert(!isHalted);
    }

    /// @notice All that an operator can do is run: no role, list or halt moves under any other selector.
    function prove_an_operator_only_runs(bytes4 selector, bytes32[5] memory words) public {
        vm.assume(selector != IExecutor.run_0p4qx.selector);
        bytes32 before = _roles();
        _call(OPERATOR, selector, words);
        (,,,, bool isHalted,) = executor.roles();
        assert(weth.balanceOf(address(executor)) == 100);
        assert(_roles() == before);
        assert(!isHalted);
    }

    /// @notice The guardian can set the halt and nothing else.
    function prove_the_guardian_only_halts(bytes4 selector, bytes32[5] memory words) public {
        bytes32 before = _roles();
        bool isDone = _call(GUARDIAN, selector, words);
        (,,,, bool isHalted,) = executor.roles();
        assert(_roles() == before);
        assert(weth.balanceOf(address(executor)) == 100);
        if (isHalted) assert(isDone && selector == executor.halt.selector);
    }

    /// @notice Once halted, nobody but the owner lifts it.
    function prove_only_the_owner_lifts_a_halt(address caller, bytes4 selector, bytes32[5] memory words) public {
        vm.assume(caller != OWNER);
        vm.prank(GUARDIAN);
        executor.halt();
        _call(caller, selector, words);
        (,,,, bool isHalted,) = executor.roles();
        assert(isHalted);
    }

    /// @notice While halted every run reverts, whatever the plan.
    function prove_no_run_while_halted(bytes32[5] memory words) public {
        vm.prank(GUARDIAN);
        executor.halt();
        assert(!_call(OPERATOR, IExecutor.run_0p4qx.selector, words));
    }

    /// @notice Behind its last block every plan reverts.
    function prove_no_run_after_the_last_block(uint256 blockNumber, bytes32[5] memory words) public {
        vm.assume(blockNumber < 1 << 64);
        vm.roll(blockNumber);
        uint256 lastBlock = (uint256(words[0]) >> 176) & 0xffffffffff;
        vm.assume(blockNumber > lastBlock);
        assert(!_call(OPERATOR, IExecutor.run_0p4qx.selector, words));
    }

    /// @notice With no pool listed there is no plan that runs.
    function prove_no_run_over_pools_not_listed(bytes32[5] memory words) public {
        vm.assume(uint8(words[0][2]) == 0); // no rarer field
        vm.assume(uint8(words[0][1]) == 0); // leg 0 lends
        vm.assume(uint8(words[0][26]) & 4 == 0); // not by factory
        assert(!_call(OPERATOR, IExecutor.run_0p4qx.selector, words));
    }

    /// @notice ETH enters by WETH's hand alone, with or without data.
    function prove_ether_is_refused_from_all_but_weth(address caller, bytes4 selector, bytes32[5] memory words) public {
        vm.assume(caller != address(weth) && caller != address(this) && caller != address(executor));
        vm.deal(caller, 1);
        vm.prank(caller);
        (bool isTaken,) = address(executor).call{value: 1}("");
        assert(!isTaken);
        vm.prank(caller);
        (isTaken,) = address(executor).call{value: 1}(abi.encodePacked(selector, _concreteArray(selector, words)));
        assert(!isTaken);
    }

    /// @dev The one dynamic argument, `setListed`'s, begins where the ABI puts it; its length and content stay free.
    function _concreteArray(bytes4 selector, bytes32[5] memory words) private pure returns (bytes32[5] memory) {
        if (selector == IExecutor.setListed.selector) words[1] = bytes32(uint256(0x60));
        return words;
    }
}
