"""The rules a block puts on transactions that nodes forget to check in a simulation.

Anvil 1.7.1 runs a call whose fee is below the base fee, whose nonce is taken or whose gas exceeds the block, even with
`validation` set. A builder would not include it, so it is refused here, before its figures can be believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.eth.transactions import TransactionError, authorization_signer
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv, Call, CallResult


def check_env(env: BlockEnv) -> None:
    """ValueError for a block environment that no block has had since the Merge: contracts branch on it."""
    if env.prev_randao == 0:
        raise ValueError("prev_randao 0 makes contracts take branches that no real block takes")


def broken_rule(calls: tuple[Call, ...], env: BlockEnv) -> str:
    """Why no block with these fields could hold the calls, whatever the state; empty where it could."""
    for position, call in enumerate(calls):
        if call.max_fee_wei < env.base_fee_wei:
            return f"call {position}: fee cap {call.max_fee_wei} wei is below the base fee {env.base_fee_wei}"
        if call.max_priority_fee_wei > call.max_fee_wei:
            return (
                f"call {position}: priority fee {call.max_priority_fee_wei} wei exceeds the fee cap {call.max_fee_wei}"
            )
        if call.gas > env.gas_limit:
            return f"call {position}: gas {call.gas} exceeds the block's {env.gas_limit}"
        if call.to is None and (call.blob_hashes or call.authorizations):
            return f"call {position}: blob and set-code transactions cannot create a contract"
    return ""


def broken_gas_limit(calls: tuple[Call, ...], results: tuple[CallResult, ...], env: BlockEnv) -> str:
    """Why the calls do not fit into one block together: each needs its whole gas left when it begins."""
    used = 0
    for position, (call, result) in enumerate(zip(calls, results, strict=True)):
        if used + call.gas > env.gas_limit:
            return f"call {position}: gas {call.gas} after {used} used exceeds the block's {env.gas_limit}"
        used += result.gas_used
    return ""


def senders_to_check(calls: Iterable[Call]) -> tuple[Address, ...]:
    """The senders whose next nonce must be known to judge the calls."""
    return tuple(dict.fromkeys(call.sender for call in calls if call.nonce is not None))


def broken_nonce(calls: tuple[Call, ...], next_nonces: Mapping[Address, int]) -> str:
    """The first call whose nonce is not its sender's next; senders that `next_nonces` lacks are not judged."""
    nonces = dict(next_nonces)
    for position, call in enumerate(calls):
        expected = nonces.get(call.sender)
        if expected is not None:
            if call.nonce is not None and call.nonce != expected:
                word = "taken" if call.nonce < expected else "too high"
                return f"call {position}: nonce {call.nonce} is {word}, the sender's next is {expected}"
            nonces[call.sender] = expected + 1
        for entry in call.authorizations:
            try:
                authority = authorization_signer(entry)
            except TransactionError:
                continue  # EIP-7702: an invalid entry is skipped, the transaction stays valid
            if nonces.get(authority) == entry.nonce:
                nonces[authority] = entry.nonce + 1
    return ""
