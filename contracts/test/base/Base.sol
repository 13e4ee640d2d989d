// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExecutor, Settings} from "../../src/interfaces/IExecutor.sol";
import {Vm} from "./Vm.sol";

/// @notice Cheat codes and the few assertions used; a failed one reverts with both figures.
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(uint256 found, uint256 expected, string what);
    error NotTrue(string what);

    function assertEq(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert NotEqual(found, expected, what);
    }

    function assertEq(address found, address expected, string memory what) internal pure {
        if (found != expected) revert NotEqual(uint160(found), uint160(expected), what);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    /// @dev `value` moved into [low, high].
    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }

    function deploy(bytes memory code) internal returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 0x20), mload(code))
        }
        assertTrue(made != address(0), "creation code ran");
    }

    /// @dev Creation code of an npm package's JSON artefact, with or without 0x.
    function creationCode(string memory path) internal view returns (bytes memory) {
        string memory text = vm.parseJsonString(vm.readFile(path), ".bytecode");
        bytes memory raw = bytes(text);
        bool hasPrefix = raw.length > 1 && raw[1] == "x";
        return vm.parseBytes(hasPrefix ? text : string.concat("0x", text));
    }

    /// @dev The build under test, as forge compiled it from contracts/src; the tests themselves never compile it, so
    /// they need not share its settings.
    function executorCode() internal view returns (bytes memory) {
        string memory path = vm.envOr("EXECUTOR_ARTIFACT", "contracts/out/Executor.sol/Executor.json");
        return vm.parseBytes(vm.parseJsonString(vm.readFile(path), ".bytecode.object"));
    }

    function _deployExecutor(address weth, Settings memory settings) internal returns (IExecutor made) {
        bytes memory code = bytes.concat(executorCode(), abi.encode(weth, settings));
        assembly ("memory-safe") {
            made := create(0, add(code, 0x20), mload(code))
            if iszero(made) {
                returndatacopy(code, 0, returndatasize())
                revert(code, returndatasize())
            }
        }
    }
}
