// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExecutor} from "../../src/interfaces/IExecutor.sol";

struct LegSpec {
    address pool;
    bool isV3;
    bool zeroForOne;
    bool isByFactory;
    uint256 amount;
}

struct PlanSpec {
    /// @dev The zero address stands for WETH.
    address token;
    LegSpec[] legs;
    uint256 lender;
    uint256 amountIn;
    address lentToken;
    uint256 lastBlock;
    bytes32 parentHash;
    uint256 paymentBps;
    uint256 floor;
}

/// @notice Writes plans as PlanLib reads them, independently of both PlanLib and the Python encoder.
library Plans {
    function calldataOf(PlanSpec memory plan) internal pure returns (bytes memory out) {
        return bytes.concat(IExecutor.run_0p4qx.selector, bytesOf(plan));
    }

    function bytesOf(PlanSpec memory plan) internal pure returns (bytes memory out) {
        bool isWeth = plan.token == address(0);
        out = abi.encodePacked(
            uint8(plan.legs.length),
            uint8(plan.lender),
            uint8((plan.parentHash == 0 ? 0 : 1) | (_lendsEarly(plan) ? 2 : 0) | (isWeth ? 0 : 4)),
            uint16(plan.paymentBps),
            uint40(plan.lastBlock),
            uint128(plan.floor)
        );
        for (uint256 i = 0; i < plan.legs.length; i++) {
            LegSpec memory leg = plan.legs[i];
            uint8 flags = (leg.zeroForOne ? 1 : 0) | (leg.isV3 ? 2 : 0) | (leg.isByFactory ? 4 : 0);
            out = bytes.concat(out, abi.encodePacked(flags, leg.pool, uint128(leg.amount)));
        }
        if (!plan.legs[0].isV3) out = bytes.concat(out, abi.encodePacked(uint128(plan.amountIn)));
        if (!isWeth) out = bytes.concat(out, abi.encodePacked(plan.token));
        if (_lendsEarly(plan)) out = bytes.concat(out, abi.encodePacked(plan.lentToken));
        if (plan.parentHash != 0) out = bytes.concat(out, plan.parentHash);
    }

    function _lendsEarly(PlanSpec memory plan) private pure returns (bool) {
        return plan.lender + 1 < plan.legs.length && !plan.legs[plan.lender].isV3;
    }
}
