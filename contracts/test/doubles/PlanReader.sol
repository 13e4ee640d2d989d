// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Head, Leg, Plan, PlanLib} from "../../src/libraries/PlanLib.sol";

/// @notice Answers any calldata with what the executor reads from it as a plan, one word a field: the other half of
/// the test of the encoder in Python.
contract PlanReader {
    fallback() external {
        Plan plan = Plan.wrap(4);
        Head head = plan.head();
        uint256 count = head.legCount();
        bytes memory out = abi.encode(
            count,
            head.lender(),
            head.paymentBps(),
            head.lastBlock(),
            head.floorAmount(),
            plan.amountIn(head),
            head.namesStartToken() ? plan.namedStartToken(head) : address(0),
            head.lendsMiddleToken() ? plan.middleToken(head) : address(0),
            head.hasParentHash() ? plan.parentHash(msg.data.length - 4) : bytes32(0)
        );
        Leg leg = plan.first();
        for (uint256 i = 0; i < count; i++) {
            out = bytes.concat(
                out, abi.encode(leg.pool(), leg.isV3(), leg.zeroForOne(), leg.isByFactory(), leg.amount())
            );
            leg = leg.next();
        }
        assembly {
            return(add(out, 0x20), mload(out))
        }
    }
}
