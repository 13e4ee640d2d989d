"""After a block of the devnet's builder: how each of our bundles ended, and the operators' nonces, from the chain."""

from __future__ import annotations

from agent.chain.client import Rpc
from agent.devnet.builder import BuiltBlock
from agent.devnet.losses import name_losses
from agent.engine.chain_hunt import ChainHunt, next_env
from agent.engine.ending import Aftermath, block_calls, end_bundles
from agent.engine.executor import Executor
from agent.engine.result import RunResult
from agent.eth.hexes import from_quantity, to_data, to_quantity
from agent.eth.transactions import transaction_from_rpc
from agent.sim.node import NodeSimulator
from agent.sim.simulator import call_from_transaction
from agent.venues.onchain.tracker import mined_block_from_rpc


async def end_block(
    hunt: ChainHunt, built: BuiltBlock, rpc: Rpc, simulator: NodeSimulator, executor: Executor, result: RunResult
) -> None:
    """Close every bundle that was sent for this block. The view still stands on its parent."""
    full = await rpc.call("eth_getBlockByNumber", [to_quantity(built.number), True])
    block = mined_block_from_rpc(full, built.receipts)
    after = Aftermath(
        block=block,
        receipts=built.receipts,
        calls=block_calls([call_from_transaction(transaction_from_rpc(tree)) for tree in full["transactions"]]),
        env=next_env(hunt.view.header),
        simulator=simulator.on(hunt.view.header.hash),
    )
    await end_bundles(hunt.hunter, after, executor, result)
    name_losses(hunt.hunter, built)
    counts = await rpc.batch([("eth_getTransactionCount", [to_data(key), "latest"]) for key in hunt.hunter.operators])
    nonces = {key: from_quantity(str(count)) for key, count in zip(hunt.hunter.operators, counts, strict=True)}
    hunt.hunter.on_block(number=built.number, nonces=nonces)
