"""What is read beside a head before anything may be sent on it: is this the chain, the executor, the state of our keys.

A bundle is refused where one of these is not known, so whatever a node does not answer stays None here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from agent.chain.jsonrpc import RpcError
from agent.core.events.chain import ChainFacts
from agent.core.limits import RiskLimits
from agent.dex.pool_set import PoolSet
from agent.engine.chain_worth import account_of, holdings
from agent.engine.executor import Executor
from agent.eth.hexes import from_data, from_quantity, to_data
from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32
from agent.sim.node import BatchRpc

NO_CUTOFF_NS = 1 << 62
"""In a world that builds its block when we are ready."""
BUNDLES_PER_SLOT = 256
"""What an endpoint takes of one sender where it says nothing else; a devnet's relay takes more."""


async def read_facts(
    rpc: BatchRpc,
    *,
    executor: Executor,
    ledger: Mapping[Address, int],
    head_hash: Hash32,
    endpoints: Sequence[str],
    pools: PoolSet | None,
    tokens: Sequence[Address] = (),
    head_age_ns: int = 0,
    cutoff_ns: int = NO_CUTOFF_NS,
) -> ChainFacts:
    """Ask the node for the facts at its latest block, in one batch. `ledger` are our nonces by operator.

    `tokens` are those in which profit is taken, `pools` the head's, which price them; None: what the account is worth
    is not followed.
    """
    operators = tuple(ledger)
    questions: list[tuple[str, list[object]]] = [
        ("eth_chainId", []),
        ("eth_getCode", [to_data(executor.address), "latest"]),
        ("eth_syncing", []),
    ]
    questions += [("eth_getTransactionCount", [to_data(operator), "latest"]) for operator in operators]
    account = account_of(executor, operators, tokens)
    questions += account.questions if pools is not None else account.questions[: len(operators)]
    chain_id, code, syncing, *rest = [None if isinstance(one, RpcError) else one for one in await rpc.batch(questions)]
    nonces, balances = rest[: len(operators)], rest[len(operators) :]
    return ChainFacts(
        head_hash=to_data(head_hash),
        chain_id=None if chain_id is None else from_quantity(str(chain_id)),
        executor_code_hash=None if code is None else to_data(keccak256(from_data(str(code)))),
        is_synced=syncing is False,
        head_age_ns=head_age_ns,
        chain_nonces=_sum(nonces),
        ledger_nonces=sum(ledger.values()),
        operators_wei=_sum(balances[: len(operators)]),
        holdings=() if pools is None else holdings(account, balances, pools, weth=executor.weth),
        cutoff_ns=cutoff_ns,
        endpoints=tuple((name, BUNDLES_PER_SLOT) for name in endpoints),
    )


def pretended_facts(
    *, executor: Executor, chain_id: int, head_hash: Hash32, operators_wei: int, head_age_ns: int, cutoff_ns: int
) -> ChainFacts:
    """What a shadow pretends: its executor and operators stand on no chain, and nothing is sent."""
    return ChainFacts(
        head_hash=to_data(head_hash),
        chain_id=chain_id,
        executor_code_hash=to_data(executor.code_hash),
        is_synced=True,
        head_age_ns=head_age_ns,
        chain_nonces=0,
        ledger_nonces=0,
        operators_wei=operators_wei,
        cutoff_ns=cutoff_ns,
        endpoints=(("shadow", BUNDLES_PER_SLOT),),
    )


def of_world(
    limits: RiskLimits, *, chain_id: int, executor: Executor, max_guard_age_ms: int | None = None
) -> RiskLimits:
    """The limits with the chain and the executor that bundles are made for, and a patience where the world waits."""
    return msgspec.structs.replace(
        limits,
        chain_id=chain_id,
        executor_code_hash=to_data(executor.code_hash),
        max_guard_age_ms=limits.max_guard_age_ms if max_guard_age_ms is None else max_guard_age_ms,
    )


def _sum(answers: Sequence[object]) -> int | None:
    """None where one is missing."""
    return None if any(answer is None for answer in answers) else sum(from_quantity(str(answer)) for answer in answers)
